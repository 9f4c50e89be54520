"""`python -m tests.fuzz.dmesg [--minutes N] [--folder FOLDER] [INPUT…]`: fuzz the reader of logs.

Atheris (`pip install -e '.[fuzz]'`) looks for bytes that bring the reader to lines of its code
that nothing else has; half of the changes that it tries are libFuzzer's, the others those of
tests/fuzz/grammar.py. An input is a finding where properties.py doesn't hold, where the reader is
slow, or where twice as much of the same takes much more than twice as long. The folder keeps the
corpus from one run to the next, and what was found. With INPUTs, only these are tried.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["harness.dmesg"]):
    from harness.dmesg import find_splats

from tests.fuzz.grammar import DATA, PREFIXES, REPORTS, mutated
from tests.fuzz.properties import checked, gist, read_in_chunks, read_singly

_MAX_INPUT = 20_000
# CPU seconds that an input may take: instrumented code is several times slower than the reader's
# usual 0.1 µs a byte and 10 µs a line.
_START = 0.02
_PER_BYTE = 4e-6
_PER_LINE = 150e-6
# Of an input that is repeated so often, each byte may take so much more than it did alone.
_REPEATED = 16
_GROWTH = 3
# One input of so many has the dear checks; which one, its bytes decide.
_EVERY = 10


class Slow(Exception):
    """The reader took longer than it may."""


def _seconds(log: bytes) -> float:
    began = time.process_time()
    find_splats(log)
    return time.process_time() - began


def _best(log: bytes, enough: float) -> float:
    """CPU time of reading the log: the best of some rounds, since other programs' cache misses
    cost too; the first that is good enough."""
    best = float("inf")
    for _ in range(5):
        best = min(best, _seconds(log))
        if best <= enough:
            break
    return best


def _check_speed(log: bytes) -> None:
    budget = _START + _PER_BYTE * len(log) + _PER_LINE * (log.count(b"\n") + log.count(b"\r"))
    if (spent := _best(log, budget)) > budget:
        raise Slow(f"{len(log)} bytes took {spent:.3f} s, more than {budget:.3f} s")


def _check_growth(log: bytes) -> None:
    # What was read before is a replay, and cheap; so the one that counts is one of several, too.
    some = log * 2
    budget = _START + _GROWTH * (_REPEATED / 2) * _best(some, 0)
    if (spent := _best(log * _REPEATED, budget)) > budget:
        raise Slow(f"{_REPEATED} times {len(log)} bytes took {spent:.3f} s, not {budget:.3f} s")


def one_input(log: bytes) -> None:
    """Read the log, and raise if anything is wrong."""
    _check_speed(log)
    splats = checked(log)
    dice = random.Random(log)
    if dice.randrange(_EVERY) == 0:
        assert read_in_chunks(log, dice.randrange(1, 3000)) == splats
        assert read_singly(log) == splats
        assert gist(find_splats(log.replace(b"\n", b"\r\n"))) == gist(splats)
        _check_growth(log)


def change(log: bytes, max_size: int, seed: int) -> bytes:
    """What libFuzzer tries next, given an input that was worth keeping."""
    dice = random.Random(seed)
    if dice.random() < 0.5:
        return bytes(atheris.Mutate(log, max_size))
    for _ in range(dice.randrange(1, 5)):
        log = mutated(log, dice)[:max_size]
    return log


def _sow(corpus: Path) -> None:
    """The inputs to begin with: every report in some format, and real logs."""
    corpus.mkdir(parents=True, exist_ok=True)
    for at, report in enumerate(REPORTS):
        prefix = PREFIXES[at % len(PREFIXES)]
        prefix = prefix % 12 if b"%" in prefix else prefix
        log = b"".join(prefix + line + b"\n" for line in report)
        (corpus / f"report-{at:03}").write_bytes(log)
    for path in sorted((DATA / "real").glob("*/*.log")):
        name = f"real-{path.parent.name}-{path.stem}"
        (corpus / name).write_bytes(path.read_bytes()[-_MAX_INPUT:])


def main() -> None:
    """Fuzz until the time is over, or until something was found."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=5)
    options.add_argument("--folder", type=Path, default=Path("results/fuzz/dmesg"))
    options.add_argument("inputs", nargs="*", metavar="INPUT")
    given = options.parse_args()
    corpus = given.folder / "corpus"
    _sow(corpus)
    where = given.inputs or [str(corpus), f"-max_total_time={int(given.minutes * 60)}"]
    flags = [f"-artifact_prefix={given.folder}/", f"-max_len={_MAX_INPUT}"]
    # For a hang alone, by the clock: where other programs have the CPU, it may pass without us.
    flags += ["-timeout=300", "-rss_limit_mb=1024", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *flags, *where], one_input, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
