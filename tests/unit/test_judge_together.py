"""Results of several architectures in one: what is told of which, and how it ends."""

from __future__ import annotations

from pathlib import Path

import msgspec
from junitparser import JUnitXml
from test_report_sample import noref_run, without_patch_4

from harness.judge.result import RunResult, together
from harness.model import INTERRUPTED
from harness.report.junit import write_junit
from harness.report.table import make_view

MODES = {"tdp": "vhe", "legacy": "nvhe", "shadow": "hvhe"}


def arm64(result: RunResult) -> RunResult:
    """The run of an arm64 that has a mode of its own for each of x86's."""
    data = msgspec.json.encode(result).decode()
    for mode, name in MODES.items():
        data = data.replace(f'"{mode}"', f'"{name}"')
    other = msgspec.json.decode(data, type=RunResult)
    setting = msgspec.structs.replace(other.setting, arch="arm64", accel="emulated: it is x86_64")
    return msgspec.structs.replace(other, setting=setting)


def test_one_result_stays_as_it_is() -> None:
    result = noref_run()
    assert together([result]) is result


def test_each_mode_knows_its_architecture_and_the_table_has_all() -> None:
    both = together([noref_run(), arm64(noref_run())])
    assert (both.setting.arch, both.status) == ("x86_64, arm64", 0)
    assert [both.setting.arch_of(mode) for mode in ("legacy", "nvhe")] == ["x86_64", "arm64"]
    assert both.setting.accel.startswith("x86_64 emulated: there is")
    assert "arm64 emulated: it is" in both.setting.accel
    first = make_view(both).groups[0].rows
    assert list(dict.fromkeys(row.mode for row in first)) == [*MODES, *MODES.values()]


def test_a_finding_of_one_architecture_makes_all_red() -> None:
    for results in (
        [noref_run(change=without_patch_4), arm64(noref_run())],
        [noref_run(), arm64(noref_run(change=without_patch_4))],
    ):
        assert together(results).status == 1


def test_a_kernel_that_one_architecture_can_not_build_says_for_which() -> None:
    both = together([noref_run(), arm64(noref_run(unbuilt="noref+3"))])
    (kernel,) = both.unbuilt
    assert kernel.label == "noref+3"
    assert kernel.failure.startswith("for arm64: ")
    assert both.status == 1


def test_a_run_that_was_stopped_in_one_was_stopped() -> None:
    stopped = msgspec.structs.replace(noref_run(), stopped=INTERRUPTED)
    assert together([noref_run(), arm64(stopped)]).stopped == INTERRUPTED


def test_junit_says_the_architecture_of_each_suite(tmp_path: Path) -> None:
    write_junit(together([noref_run(), arm64(noref_run())]), tmp_path / "junit.xml")
    arches = {
        suite.name.split("/")[1]: {p.name: p.value for p in suite.properties()}["arch"]
        for suite in JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    }
    assert (arches["shadow"], arches["vhe"]) == ("x86_64", "arm64")
