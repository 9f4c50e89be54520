"""JSON, JUnit and KTAP say of a run what its verdicts say."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite
from test_report_sample import SPLAT_LINE, noref_run, without_patch_4

from harness.errors import UserError
from harness.judge.result import RunResult
from harness.model import End, Outcome
from harness.report.jsonfile import read_json, schema, write_json
from harness.report.junit import write_junit
from harness.report.ktap import ktap
from harness.report.write import write_all


def junit(result: RunResult, folder: Path) -> JUnitXml:
    write_junit(result, folder / "junit.xml")
    return JUnitXml.fromfile(str(folder / "junit.xml"))


def case(report: JUnitXml, suite: str, name: str) -> TestCase:
    suites: list[TestSuite] = [one for one in report if one.name == suite]
    return next(one for one in suites[0] if one.name == name)


def one_dies(outcome: Outcome) -> Outcome:
    if str(outcome.cell) != "base/tdp/tail/fault/guest_write":
        return outcome
    return msgspec.structs.replace(outcome, end=End.qemu, note="QEMU ended")


def test_every_file_is_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_all(noref_run(), tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"result.json", "junit.xml", "result.ktap", "report.html"}


def test_json_gives_back_the_same_run(tmp_path: Path) -> None:
    result = noref_run(change=without_patch_4)
    write_json(result, tmp_path / "result.json")
    assert read_json(tmp_path / "result.json") == result


def test_what_is_no_run_is_the_users_input(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"setting": 1}')
    for name in ("x.json", "none.json"):
        with pytest.raises(UserError, match="reading the run"):
            read_json(tmp_path / name)


def test_the_schema_names_every_part_of_the_run() -> None:
    made = msgspec.json.decode(schema())
    assert set(made["$defs"]["RunResult"]["properties"]) == set(RunResult.__struct_fields__)


def test_junit_of_a_run_as_expected_is_green(tmp_path: Path) -> None:
    report = junit(noref_run(), tmp_path)
    assert (report.tests, report.failures, report.errors, report.skipped) == (180, 0, 0, 0)
    assert len(list(report)) == 15


def test_junit_says_of_a_known_loss_that_it_was_expected(tmp_path: Path) -> None:
    known = case(junit(noref_run(), tmp_path), "base/tdp", "tail/fault/guest_write")
    assert not known.result
    assert known.system_out.startswith(
        "expected: access of uncounted memory is LOST, as KVM takes no page"
    )
    assert "KVM_RUN: errno=14 (Bad address)" in known.system_out


def test_junit_fails_each_cell_that_differs_and_shows_the_evidence(tmp_path: Path) -> None:
    result = noref_run(change=without_patch_4)
    report = junit(result, tmp_path)
    assert report.failures == len({surprise.finding.cell for surprise in result.surprises}) == 14
    (failure,) = case(report, "noref+4/shadow", "tail/fault/vm_close").result
    assert isinstance(failure, Failure)
    assert SPLAT_LINE in failure.message
    assert "noref run noref+4/shadow/tail/fault/vm_close" in str(failure.text)


def test_junit_without_known_facts_fails_every_cell_that_broke_the_rule(tmp_path: Path) -> None:
    report = junit(noref_run(known=False), tmp_path)
    assert all(
        case(report, "noref+2/legacy", f"tail/fault/{name}").result
        for name in ("guest_write", "vm_close")
    )
    assert not case(report, "base/legacy", "tail/fault/guest_write").result


def test_junit_has_errors_and_unbuilt_kernels(tmp_path: Path) -> None:
    report = junit(noref_run(change=one_dies, unbuilt="noref+3"), tmp_path)
    assert (report.tests, report.errors, report.failures) == (145, 1, 1)
    (error,) = case(report, "base/tdp", "tail/fault/guest_write").result
    assert isinstance(error, Error)
    (failure,) = case(report, "noref+3", "build").result
    assert "not built" in failure.message


def test_junit_of_nothing_is_not_green(tmp_path: Path) -> None:
    assert junit(noref_run(()), tmp_path).errors == 1


def test_ktap_has_a_subtest_for_each_kernel_and_mode() -> None:
    lines = ktap(noref_run()).splitlines()
    assert lines[:5] == [
        "KTAP version 1",
        "1..15",
        "  KTAP version 1",
        "  # Subtest: base/tdp",
        "  1..12",
    ]
    assert sum(line.startswith("ok ") for line in lines) == 15
    assert (
        "  ok 1 tail/fault/guest_write # XFAIL expected: access of uncounted memory is LOST,"
        " as KVM takes no page whose count is 0" in lines
    )


def test_ktap_fails_what_differs_and_counts_what_was_not_built() -> None:
    lines = ktap(noref_run(change=one_dies, unbuilt="noref+3")).splitlines()
    assert lines[1] == "1..13"
    assert lines[-1] == "not ok 13 noref+3 not built"
    assert "  not ok 1 tail/fault/guest_write # ERROR QEMU ended" in lines
    assert "not ok 1 base/tdp" in lines
    wrong = ktap(noref_run(change=without_patch_4))
    assert "  # silence of uncounted memory is LOST, expected holds" in wrong
    assert "  # noref run noref+4/legacy/tail/fault/vm_close\n  not ok" in wrong
