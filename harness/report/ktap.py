"""The run as KTAP version 1 (Documentation/dev-tools/ktap.rst): a subtest per kernel and mode."""

from __future__ import annotations

from pathlib import Path

from harness.judge.result import RunResult
from harness.model import Grade
from harness.report.cases import Case, Suite, make_suites
from harness.report.files import write_file
from harness.report.summary import stale_line, surprised
from harness.report.text import command, line


def write_ktap(result: RunResult, path: Path) -> None:
    """Write the run as KTAP."""
    write_file(path, ktap(result).encode())


def ktap(result: RunResult) -> str:
    """Return the run as KTAP.

    A known loss is `ok … # XFAIL`, as kselftest writes it; an error of ours `not ok … # ERROR`.
    """
    suites = make_suites(result)
    lines = ["KTAP version 1", f"1..{len(suites) + len(result.unbuilt) + len(result.stale)}"]
    for number, suite in enumerate(suites, 1):
        lines += [f"  {text}" for text in _subtest(suite, result.options(suite.kernel))]
        lines.append(f"{_ok(all(map(_good, suite.cases)))} {number} {_escape(suite.name)}")
    for number, kernel in enumerate(result.unbuilt, len(suites) + 1):
        lines.append(f"# {line(kernel.failure)}")
        lines.append(f"not ok {number} {_escape(line(kernel.label))} not built")
    for number, entry in enumerate(result.stale, len(suites) + len(result.unbuilt) + 1):
        lines.append(f"not ok {number} {_escape(stale_line(entry))}")
    return "\n".join(lines) + "\n"


def _subtest(suite: Suite, options: str) -> list[str]:
    lines = ["KTAP version 1", f"# Subtest: {_escape(suite.name)}", f"1..{len(suite.cases)}"]
    for number, case in enumerate(suite.cases, 1):
        if not _good(case):
            lines += [f"# {text}" for text in surprised(case)]
            lines.append(f"# {command(case.verdict.cell, options)}")
        lines.append(f"{_ok(_good(case))} {number} {_escape(case.name)}{_directive(case)}")
    return lines


def _good(case: Case) -> bool:
    return case.verdict.grade is not Grade.error and not case.surprises


def _directive(case: Case) -> str:
    if case.verdict.grade is Grade.error:
        return f" # ERROR {_escape(line(case.verdict.reason))}"
    if case.excuse:
        return f" # XFAIL {_escape(line(case.excuse))}"
    if case.verdict.grade is Grade.skipped and _good(case):
        return f" # SKIP {_escape(line(case.verdict.reason))}"
    return ""


def _ok(good: bool) -> str:
    return "ok" if good else "not ok"


def _escape(text: str) -> str:
    # What follows a bare # is a directive.
    return text.replace("#", "\\#")
