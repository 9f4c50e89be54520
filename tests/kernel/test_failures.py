"""What goes wrong while a cell runs gets the right verdict, promptly, with the log."""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path

import msgspec
import pytest
from conftest import Noref, Ran, add_scenario

from harness.build.image import append_files
from harness.errors import InfraError
from harness.machine.arches import find_arch
from harness.machine.l1 import L1, L1Failed, restore, save
from harness.machine.qemu import Qemu, Spec
from harness.model import End, Grade

# Bodies of odd scenarios; the VMM runs as L1's root.
PANIC = '\tsystem("echo c >/proc/sysrq-trigger");\n\t(void)stage;'
HANG = "\tfor (;;)\n\t\tguest_fills(stage, GUEST_PATTERN);"
CRASH = "\t(void)stage;\n\tabort();"
GIVES_UP = '\tbail_out("backing %s is not to my liking", stage->region.backing);'
LIES = '\tktap_step(true, "access: all is well");\n\t_exit(0);\n\t(void)stage;'


@pytest.fixture
def run_scenario(main_job: Ran, noref: Noref, own_guest: Path):  # type: ignore[no-untyped-def]
    """Add a scenario with this body, run it on the base, return the run and its one verdict."""

    def run(body: str, *arguments: str, steps: int = 1):  # type: ignore[no-untyped-def]
        add_scenario(own_guest, "odd", body, steps, "stdlib unistd")
        ran = noref(
            *("run", "base/tdp/order0/fault/odd"),
            *("--guest-images", str(own_guest), "--series", "none", *arguments),
        )
        (verdict,) = ran.result.verdicts
        (outcome,) = ran.result.outcomes
        folder = ran.results / "latest" / outcome.folder
        return ran, verdict, outcome, folder

    return run


def test_panic_in_a_cell_is_the_kernels_failure(run_scenario) -> None:  # type: ignore[no-untyped-def]
    ran, verdict, outcome, folder = run_scenario(PANIC)
    assert (outcome.end, verdict.grade, ran.status) == (End.panic, Grade.failed, 1)
    assert any("panic" in splat.title.lower() for splat in outcome.splats)
    assert b"Kernel panic - not syncing" in (folder / "console.log").read_bytes()
    assert outcome.seconds < 15  # found at once, not by the time-out of a hang


def test_hang_in_a_cell_is_the_kernels_failure_and_shows_where(run_scenario) -> None:  # type: ignore[no-untyped-def]
    ran, verdict, outcome, folder = run_scenario(HANG, "--timeout", "5")
    assert (outcome.end, verdict.grade, ran.status) == (End.hang, Grade.failed, 1)
    assert "no answer within 5 s" in verdict.reason
    assert b"NMI" in (folder / "console.log").read_bytes()


def test_vmm_that_crashes_is_not_taken_for_a_pass(run_scenario) -> None:  # type: ignore[no-untyped-def]
    _, verdict, outcome, _ = run_scenario(CRASH)
    assert (outcome.end, verdict.grade) == (End.reported, Grade.failed)
    assert "signal 6" in verdict.reason


def test_vmm_that_gives_up_says_why(run_scenario) -> None:  # type: ignore[no-untyped-def]
    _, verdict, _, _ = run_scenario(GIVES_UP)
    assert verdict.grade is Grade.failed
    assert "backing order0 is not to my liking" in verdict.reason


def test_report_with_steps_missing_is_not_taken_for_a_pass(run_scenario) -> None:  # type: ignore[no-untyped-def]
    _, verdict, _, _ = run_scenario(LIES, steps=2)
    assert verdict.grade is Grade.failed
    assert "not complete" in verdict.reason


def test_module_that_does_not_load_is_an_error_with_the_log(
    main_job: Ran, noref: Noref, own_guest: Path
) -> None:
    source = own_guest / "module/noref_dev.c"
    text = source.read_text()
    registers = "return misc_register(&noref_device);"
    assert registers in text
    source.write_text(text.replace(registers, "return -ENODEV;"))
    ran = noref(
        *("run", "base/tdp/order0/fault/guest_read"),
        *("--guest-images", str(own_guest), "--series", "none"),
    )
    (verdict,) = ran.result.verdicts
    assert (ran.status, verdict.grade) == (3, Grade.error)
    assert "module" in verdict.reason
    assert "console.log" in verdict.reason


def fake_qemu(folder: Path, script: str) -> dict[str, str]:
    """An environment in which QEMU is this shell script, which can start $REAL."""
    real = Path("/usr/bin/qemu-system-x86_64")
    fake = folder / "bin/qemu-system-x86_64"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\nREAL={real}\n{script}\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{fake.parent}:{os.environ['PATH']}"}


DIES_IN_CELL = """
case "$*" in *-incoming*) (sleep 2; kill -9 $$) & ;; esac
exec $REAL "$@"
"""
DIES_AT_ONCE = 'echo "qemu: no room for a cabin" >&2; exit 1'
STOPS_IN_CELL = """
case "$*" in *-incoming*) (sleep 2; kill -STOP $$) & ;; esac
exec $REAL "$@"
"""


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (DIES_IN_CELL, "killed by signal 9"),
        (DIES_AT_ONCE, "no room for a cabin"),
        (STOPS_IN_CELL, "doesn't answer"),
    ],
)
def test_qemu_that_dies_is_an_error_not_the_kernels_failure(
    main_job: Ran, noref: Noref, own_guest: Path, tmp_path: Path, script: str, words: str
) -> None:
    add_scenario(own_guest, "odd", HANG)
    ran = noref(
        *("run", "base/tdp/order0/fault/odd", "--timeout", "20"),
        *("--guest-images", str(own_guest), "--series", "none"),
        env=fake_qemu(tmp_path, script),
    )
    (verdict,) = ran.result.verdicts
    assert (ran.status, verdict.grade) == (3, Grade.error)
    assert words in verdict.reason


def test_qemu_that_is_missing_is_named(base_spec: Spec, tmp_path: Path) -> None:
    arch = msgspec.structs.replace(find_arch("x86_64"), qemu="qemu-system-absent")
    spec = msgspec.structs.replace(base_spec, arch=arch)
    with pytest.raises(InfraError, match="qemu-system-absent"):
        save(spec, arch.modes[0], tmp_path, tmp_path / "console.log", 10)


@pytest.mark.parametrize(
    ("option", "note"),
    [("rdinit=/no/such/init", "ended by itself"), ("rdinit=/spin", "no answer within 10 s")],
)
def test_l1_that_does_not_come_up_is_a_boot_failure(
    base_spec: Spec, tmp_path: Path, option: str, note: str
) -> None:
    image = tmp_path / "initramfs"
    spin = b"#!/bin/busybox sh\nwhile :; do :; done\n"
    append_files(base_spec.initramfs, {"/spin": (0o755, spin)}, image)
    spec = msgspec.structs.replace(base_spec, append=(*base_spec.append, option), initramfs=image)
    mode = find_arch("x86_64").modes[0]
    with pytest.raises(L1Failed, match=note) as caught:
        save(spec, mode, tmp_path, tmp_path / "console.log", 10)
    assert caught.value.end is End.no_boot
    assert b"Linux version" in (tmp_path / "console.log").read_bytes()


PORT_LATER = r"""#!/bin/bash
for word; do
	case $word in virtserialport,*) unset "words[-1]" ;; *) words+=("$word") ;; esac
done
exec REAL "${words[@]}"
"""


def test_l1_waits_for_its_port_which_the_kernel_learns_of_in_its_own_time(
    base_spec: Spec, tmp_path: Path
) -> None:
    """Here QEMU has it only after init has begun to look for it."""
    qemu = tmp_path / "qemu"
    qemu.write_text(PORT_LATER.replace("REAL", str(shutil.which(base_spec.arch.qemu))))
    qemu.chmod(0o755)
    arch = msgspec.structs.replace(base_spec.arch, qemu=str(qemu))
    spec = msgspec.structs.replace(base_spec, arch=arch)
    console = tmp_path / "console.log"
    with Qemu(spec.command(), console) as running:
        before_the_ports = re.compile(rb"Switched to clocksource tsc\r?\n")
        while not before_the_ports.search(console.read_bytes()):
            assert running.ended(0.05) is None, console.read_text()
        assert running.ended(1.0) is None, console.read_text()
        running.execute("device_add", driver="virtserialport", chardev="agent", name="noref.agent")
        assert L1(running).wait_ready(20.0)["module"] == "Y"


def test_l1_in_another_mode_than_asked_for_is_not_run(base_spec: Spec, tmp_path: Path) -> None:
    legacy = find_arch("x86_64").modes[1]
    with pytest.raises(InfraError, match=r"kvm\.tdp_mmu=N"):
        save(base_spec, legacy, tmp_path, tmp_path / "console.log", 60)


def test_every_cell_starts_from_the_same_untouched_l1(base_spec: Spec, tmp_path: Path) -> None:
    mode = find_arch("x86_64").modes[0]
    saved = save(base_spec, mode, tmp_path, tmp_path / "boot.log", 60)
    before = saved.ram.stat().st_mtime_ns
    for number in range(3):
        with restore(saved, tmp_path / f"{number}.log") as l1:
            assert l1.shell("test ! -e /tmp/mark && touch /tmp/mark", 30).status == 0
            assert l1.shell("test -e /tmp/mark", 30).status == 0
    assert saved.ram.stat().st_mtime_ns == before


def test_scenario_that_the_vmm_lacks_is_an_error_of_ours(
    main_job: Ran, noref: Noref, own_guest: Path
) -> None:
    listing = own_guest / "scenarios.toml"
    listing.write_text(listing.read_text().replace('"guest_read"', '"guest_reads"'))
    ran = noref(
        *("run", "base/tdp/tail/fault/guest_reads"),
        *("--guest-images", str(own_guest), "--series", "none"),
    )
    assert ran.status == 3
    assert "guest_reads is in scenarios.toml alone" in ran.output
    assert "guest_read is in the VMM alone" in ran.output
