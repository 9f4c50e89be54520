"""The run as JUnit XML: a suite for each kernel and mode, a case for each cell.

A case fails if the cell is not as expected; a loss that is a known fact passes, and says so.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from harness.judge.result import KernelState, RunResult
from harness.model import Grade
from harness.report.cases import Case, Suite, make_suites
from harness.report.files import write_file
from harness.report.summary import stale_line, surprised, told
from harness.report.text import command, line


def write_junit(result: RunResult, path: Path) -> None:
    """Write the run as JUnit XML."""
    report = JUnitXml("noref")
    for kernel in result.unbuilt:
        report.add_testsuite(_unbuilt(kernel))
    for suite in make_suites(result):
        arch = result.setting.arch_of(suite.mode)
        report.add_testsuite(_suite(suite, arch, result.options(suite.kernel)))
    if result.stale:
        report.add_testsuite(_stale(result.stale))
    if not result.verdicts:
        report.add_testsuite(_nothing())
    report.update_statistics()  # type: ignore[no-untyped-call]
    buffer = BytesIO()
    report.write(buffer, pretty=True)
    write_file(path, buffer.getvalue())


def _suite(suite: Suite, arch: str, options: str) -> TestSuite:
    made = TestSuite(suite.name)
    made.add_property("arch", line(arch))
    made.add_property("kernel", line(suite.kernel))
    made.add_property("mode", line(suite.mode))
    for case in suite.cases:
        made.add_testcase(_case(case, suite.name, options))
    return made


def _case(case: Case, suite: str, options: str) -> TestCase:
    made = TestCase(case.name, classname=suite, time=case.outcome.seconds)
    where = [command(case.verdict.cell, options), line(case.outcome.folder, 1000)]
    if case.verdict.grade is Grade.error:
        made.result = [_filled(Error(line(case.verdict.reason), "infrastructure"), where)]
    elif case.surprises:
        props = sorted({surprise.finding.prop.value for surprise in case.surprises})
        failure = Failure(surprised(case)[0], " ".join(props))
        made.result = [_filled(failure, [*surprised(case), "", *told(case), "", *where])]
    elif case.verdict.grade is Grade.skipped:
        made.result = [Skipped(line(case.verdict.reason))]
    if case.excuse:
        made.system_out = "\n".join([case.excuse, *told(case), *where])
    return made


def _unbuilt(kernel: KernelState) -> TestSuite:
    case = TestCase("build", classname=line(kernel.label))
    failure = Failure(line(f"not built: {kernel.failure}"), "build")
    case.result = [_filled(failure, [line(kernel.subject), line(kernel.log, 1000)])]
    made = TestSuite(line(kernel.label))
    made.add_testcase(case)
    return made


def _stale(entries: tuple[str, ...]) -> TestSuite:
    made = TestSuite("expected.toml")
    for entry in entries:
        case = TestCase(line(entry), classname="expected.toml")
        case.result = [Failure(stale_line(entry), "stale")]
        made.add_testcase(case)
    return made


def _nothing() -> TestSuite:
    case = TestCase("run", classname="noref")
    case.result = [Error("nothing ran", "infrastructure")]
    made = TestSuite("noref")
    made.add_testcase(case)
    return made


def _filled(result: Error | Failure, lines: list[str]) -> Error | Failure:
    result.text = "\n".join(lines)
    return result
