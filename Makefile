# Everything that a person or CI runs.  `make test-kernel` and `make test` install what they lack.

VENV := .venv
NOREF := $(VENV)/bin/noref
ARCH ?= x86_64
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

# Written when the machine has all that it takes for an architecture, or for all, which the tests
# need; made again when the list changes.
OWN := $(if $(KERNEL_SRC),-own-source)
SETUP := $(VENV)/setup-$(ARCH)$(OWN)
SETUP_ALL := $(VENV)/setup-all$(OWN)

.PHONY: help setup setup-all test test-unit test-kernel-harness test-kernel lint format bench fuzz clean

help:
	@echo 'make test-kernel   build the series, run it, show the result table'
	@echo '                   (SERIES=, KERNEL_SRC=, ARCH=x86_64|arm64|all, NOREF_FLAGS=: see README.md)'
	@echo 'make test          lint, unit tests, and tests that boot real kernels'
	@echo 'make lint          ruff, mypy, checkpatch'
	@echo 'make bench         timings of the harness itself'
	@echo 'make fuzz          30 minutes of broken logs for the log reader (FUZZ_FLAGS=)'
	@echo 'make clean         remove .venv and results; kernels stay in the cache'

# --- the two main commands ---------------------------------------------------------------------

test-kernel: setup
	$(NOREF) test $(NOREF_FLAGS)

test: lint test-unit test-kernel-harness

test-unit: setup-all
	$(VENV)/bin/pytest tests/unit -q

# Real kernels: the series' own run first, whose kernels the tests then share.
test-kernel-harness: setup-all
	$(VENV)/bin/pytest tests/kernel -v

bench: setup
	$(VENV)/bin/python -m tests.bench

fuzz: setup
	$(VENV)/bin/pip install -q --disable-pip-version-check --no-build-isolation -e '.[fuzz]'
	$(VENV)/bin/python -m tests.fuzz.dmesg --minutes 30 $(FUZZ_FLAGS)

# --- style -------------------------------------------------------------------------------------

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy harness
	$(VENV)/bin/python tools/checkpatch.py

format: setup
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# --- set-up ------------------------------------------------------------------------------------

setup: $(SETUP)
setup-all: $(SETUP_ALL)

$(VENV)/installed: pyproject.toml requirements.lock tools/setup
	tools/setup venv $(VENV)
	@touch $@

$(VENV)/setup-%: $(VENV)/installed harness/build/tools.py
	tools/setup packages $(NOREF) $(patsubst %-own-source,%,$*)
	@touch $@

clean:
	rm -rf $(VENV) results
