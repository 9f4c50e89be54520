"""The main job on real kernels: the facts of NOREF.md, "What to expect", as measured cells."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import Noref, Ran
from junitparser import JUnitXml

from harness.build.cache import default_folder
from harness.model import End, Grade, Outcome, Property, Standing

STEPS = ["base", "noref+1", "noref+2", "noref+3", "noref+4"]
MODES = ["tdp", "legacy", "shadow"]
ARM64_MODES = ["vhe", "nvhe"]


def standing(ran: Ran, kernel: str, mode: str, memory: str, prop: Property) -> Standing:
    for entry in ran.result.table:
        if (entry.kernel, entry.mode, entry.memory, entry.prop) == (kernel, mode, memory, prop):
            return entry.standing
    return Standing.unseen


def cells(ran: Ran, kernel: str, mode: str, scenario: str, backing: str) -> list[Outcome]:
    found = [
        outcome
        for outcome in ran.result.outcomes
        if (outcome.cell.kernel, outcome.cell.mode) == (kernel, mode)
        and (outcome.cell.scenario, outcome.cell.backing) == (scenario, backing)
    ]
    assert found
    return found


def test_main_job_ends_as_expected_with_every_cell_reported(main_job: Ran) -> None:
    assert main_job.status == 0, main_job.output[-3000:]
    assert {outcome.end for outcome in main_job.result.outcomes} == {End.reported}
    assert Grade.error not in {verdict.grade for verdict in main_job.result.verdicts}
    seen = {(o.cell.kernel, o.cell.mode) for o in main_job.result.outcomes}
    assert seen == {(kernel, mode) for kernel in STEPS for mode in MODES + ARM64_MODES}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kernel", ["base", "noref+1"])
def test_memory_without_refcount_is_refused_with_efault_before_patch_2(
    main_job: Ran, kernel: str, mode: str
) -> None:
    for outcome in cells(main_job, kernel, mode, "guest_write", "kmalloc_slab"):
        assert any("errno=14" in detail for detail in outcome.subtests[0].detail)
        assert outcome.splats == ()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("number", range(5))
def test_access_comes_with_patch_2(main_job: Ran, number: int, mode: str) -> None:
    want = Standing.holds if number >= 2 else Standing.lost
    assert standing(main_job, STEPS[number], mode, "uncounted", Property.access) is want
    assert standing(main_job, STEPS[number], mode, "counted", Property.access) is Standing.holds


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("number", range(5))
def test_silence_is_lost_in_the_middle_where_the_legacy_mmu_warns(
    main_job: Ran, number: int, mode: str
) -> None:
    warns = number in (2, 3) and mode != "tdp"
    want = Standing.lost if warns else Standing.holds
    assert standing(main_job, STEPS[number], mode, "uncounted", Property.silence) is want
    assert standing(main_job, STEPS[number], mode, "counted", Property.silence) is Standing.holds
    if warns:
        splat = cells(main_job, STEPS[number], mode, "slot_delete", "tail")[0].splats[0]
        assert splat.title == "WARNING in mmu_spte_clear_track_bits"
        assert splat.source == "arch/x86/kvm/mmu/mmu.c"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("number", range(5))
def test_detection_is_the_legacy_mmus_alone_until_patch_4_removes_it(
    main_job: Ran, number: int, mode: str
) -> None:
    want = Standing.holds if number < 4 and mode != "tdp" else Standing.lost
    assert standing(main_job, STEPS[number], mode, "counted", Property.detection) is want


@pytest.mark.parametrize("mode", ARM64_MODES)
@pytest.mark.parametrize("number", range(5))
def test_on_arm64_access_comes_with_patch_3(main_job: Ran, number: int, mode: str) -> None:
    want = Standing.holds if number >= 3 else Standing.lost
    assert standing(main_job, STEPS[number], mode, "uncounted", Property.access) is want
    assert standing(main_job, STEPS[number], mode, "counted", Property.access) is Standing.holds
    for memory in ("counted", "uncounted"):
        assert standing(main_job, STEPS[number], mode, memory, Property.silence) is Standing.holds


def test_one_table_has_the_modes_of_all_architectures(main_job: Ran) -> None:
    setting = main_job.result.setting
    assert setting.arch == "x86_64, arm64"
    assert {setting.arch_of(mode) for mode in MODES} == {"x86_64"}
    assert {setting.arch_of(mode) for mode in ARM64_MODES} == {"arm64"}
    junit = JUnitXml.fromfile(str(main_job.results / "latest/junit.xml"))
    arches = {
        suite.name.split("/")[1]: {p.name: p.value for p in suite.properties()}["arch"]
        for suite in junit
    }
    assert arches["tdp"] == "x86_64"
    assert arches["nvhe"] == "arm64"


def test_every_cell_keeps_its_evidence_and_the_commands_that_run_it_again(main_job: Ran) -> None:
    run = main_job.results / "latest"
    for outcome in main_job.result.outcomes:
        folder = run / outcome.folder
        again = (folder / "again").read_text()
        assert f"noref run {outcome.cell}" in again
        arm64 = outcome.cell.mode in ARM64_MODES
        assert ("qemu-system-aarch64" if arm64 else "qemu-system-x86_64") in again
        assert (folder / "console.log").stat().st_size > 0
        assert (folder / "vmm.ktap").read_bytes().startswith(b"KTAP version 1")
        assert (folder / "outcome.json").exists()


def test_second_run_builds_nothing(main_job: Ran, noref: Noref) -> None:
    def entries() -> dict[Path, int]:
        cache = default_folder()
        kinds = ("kernel", "module", "image", "vmm")
        return {p: p.stat().st_mtime_ns for kind in kinds for p in (cache / kind).glob("*")}

    before = entries()
    assert before
    again = noref("test", "--mode", "tdp", "--scenario", "guest_read")
    assert again.status == 0
    assert noref("test", "--arch", "arm64", "--scenario", "guest_read").status == 0
    assert entries() == before
    assert "building" not in again.output


def test_one_cell_runs_again_by_its_name(main_job: Ran, noref: Noref) -> None:
    again = noref("run", "noref+3/legacy/tail/fault/slot_delete")
    assert again.status == 0
    (outcome,) = again.result.outcomes
    assert [splat.function for splat in outcome.splats] == ["mmu_spte_clear_track_bits"]


def test_cells_by_the_hundreds_run_without_one_error(main_job: Ran, noref: Noref) -> None:
    again = noref("run", "noref+4/shadow/tail/fault/swap_pages", "--repeat", "300")
    assert again.status == 0
    assert len(again.result.outcomes) == 300
    assert {verdict.grade for verdict in again.result.verdicts} <= {Grade.passed, Grade.failed}


def test_l1_outlives_a_storm_however_often_it_is_run(main_job: Ran, noref: Noref) -> None:
    """One in ten died while KVM ran on the CPU whose flags QEMU may lose: arch_choose_cpus()."""
    ran = noref("run", "base/tdp/anon/private/storm_discard", "--repeat", "25")
    assert ran.status == 0
    assert len(ran.result.outcomes) == 25
    assert {outcome.end for outcome in ran.result.outcomes} == {End.reported}


def test_the_mode_of_a_cell_says_which_architecture_it_is_of(main_job: Ran, noref: Noref) -> None:
    again = noref("run", "noref+3/nvhe/tail/fault/guest_read", "--repeat", "300")
    assert again.status == 0
    assert {verdict.grade for verdict in again.result.verdicts} <= {Grade.passed, Grade.failed}
    assert noref("shell", "--mode", "vhe", "--", "uname", "-m").output.endswith("aarch64\n")


def test_shell_runs_a_command_in_l1(main_job: Ran, noref: Noref) -> None:
    ran = noref("shell", "--kernel", "noref+4", "--", "uname", "-r")
    assert ran.status == 0
    assert "6.12" in ran.output
    failed = noref("shell", "--", "sh", "-c", "exit 7")
    assert failed.status == 7


def test_cell_can_be_run_by_hand_with_the_printed_qemu_command(main_job: Ran) -> None:
    run = main_job.results / "latest"
    cell = "noref+3/legacy/tail/fault/slot_delete"
    by_hand = (run / "cells" / cell / "again").read_text().splitlines()[-1]
    output = os.popen(f"timeout 60 {by_hand} 2>/dev/null </dev/null").read()
    assert "ok 1 access: guest writes all pages" in output
    assert "mmu_spte_clear_track_bits" in output
    assert "status 0" in output
