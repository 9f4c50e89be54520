"""What the test module itself promises, on a booted base."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Noref, Ran, add_scenario

from harness.model import Result

PRIVATE = """
	const struct region *region = &stage->region;
	size_t size = region->npages * region->page_size;
	void *writable = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, region->fd, 0);

	ktap_step(writable == MAP_FAILED && errno == EINVAL, "access: refused");
"""

# The VM and the mapping are alive, then the file alone, then nothing.
UNLOAD = """
	struct region *region = &stage->region;

	guest_fills(stage, GUEST_PATTERN);
	ktap_step(system("rmmod noref 2>/dev/null") != 0, "access: not while mapped");
	ktap_step(guest_sees(stage, GUEST_PATTERN), "access: the mapping lives on");
	region_unmap(region);
	ktap_step(system("rmmod noref 2>/dev/null") != 0, "access: not while open");
	region_map(region);
"""

# As many VMs and regions as there are, torn down by the process's end in any order.
EXIT_MAPPED = """
	if (!fork()) {
		struct stage other = {};

		region_open(&other.region, "tail", "fault", 4);
		vm_open(&other.vm, 0, 1);
		vm_set_region(&other.vm, &other.region, 0);
		guest_fills(&other, GUEST_PATTERN);
		kill(getpid(), SIGKILL);
	}
	ktap_step(wait(NULL) > 0, "access: a killed user's region is gone");
	vm_close(&stage->vm);
	region_unmap(&stage->region);
	ledger_during(&stage->region);
	close(stage->region.fd);
	ktap_step(!system("rmmod noref && insmod /lib/noref.ko"), "access: unloaded and loaded");
	_exit(0);
"""

HEADERS = "errno signal stdlib sys/mman sys/wait unistd"


@pytest.mark.parametrize(
    ("body", "steps"),
    [(PRIVATE, 1), (UNLOAD, 3), (EXIT_MAPPED, 2)],
    ids=[
        "private-writable-mapping-is-refused",
        "no-unloading-while-in-use",
        "unloads-after-a-kill",
    ],
)
def test_module_keeps_its_promises(
    main_job: Ran, noref: Noref, own_guest: Path, body: str, steps: int
) -> None:
    add_scenario(own_guest, "odd", body, steps, HEADERS)
    ran = noref(
        *("run", "base/tdp/order0/fault/odd"),
        *("--guest-images", str(own_guest), "--series", "none"),
    )
    (outcome,) = ran.result.outcomes
    assert [step.result for step in outcome.subtests] == [Result.ok] * steps
    assert outcome.splats == ()
    assert outcome.status == 0
