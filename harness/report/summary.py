"""The run in one line, and what all formats say of it alike."""

from __future__ import annotations

from collections.abc import Iterable

from harness.judge.result import RunResult
from harness.model import Grade, Property
from harness.report.cases import Case, Suite
from harness.report.text import claim, count, duration, line


def verdict_line(result: RunResult) -> str:
    """Say in a few words what came out: `as expected`, `3 findings`, `nothing ran`."""
    parts = []
    findings = len(result.surprises) + len(result.unbuilt) + len(result.stale)
    if findings:
        parts.append(count(findings, "finding"))
    if result.errors:
        said = "which say" if len(result.errors) > 1 else "which says"
        parts.append(f"{count(len(result.errors), 'error')}, {said} nothing of the kernel")
    if result.stopped:
        parts.append(f"stopped before the end ({line(result.stopped)})")
    if not result.verdicts:
        parts.append("nothing ran")
    if parts:
        return "; ".join(parts)
    return "as expected" if result.known else "nothing lost that an earlier kernel had"


def stale_line(entry: str) -> str:
    """Say that an entry of expected.toml is about nothing."""
    return line(f"{entry}: this known fact is about nothing that ran, take it out or correct it")


def grades_line(result: RunResult, suites: Iterable[Suite]) -> str:
    """Count the cells that are as they should be, and those that aren't."""
    cases = [case for suite in suites for case in suite.cases]
    errors = sum(1 for case in cases if case.verdict.grade is Grade.error)
    red = sum(1 for case in cases if case.surprises and case.verdict.grade is not Grade.error)
    number = "all" if not errors and not red else str(len(cases) - errors - red)
    word = "as expected" if result.known else "without a finding"
    return f"{count(len(cases), 'cell')}: {number} {word}, {red} not, {count(errors, 'error')}"


def setting_line(result: RunResult) -> str:
    """Say what was run (series, base, arch), how it was judged, and the time that it took."""
    setting = result.setting
    series = f"{setting.series} on {setting.base}"
    known = "" if result.known else ", judged by the kernels before"
    return line(f"{series}, {setting.arch}{known}, {duration(result.seconds)}")


def witnessed(result: RunResult) -> tuple[Property, ...]:
    """Return the properties that some cell was a witness for."""
    seen = {entry.prop for entry in result.table}
    return tuple(prop for prop in Property if prop in seen)


def memories(result: RunResult) -> tuple[str, ...]:
    """Return the memory classes of a run, the two that matter first."""
    seen = {entry.memory for entry in result.table}
    first = ("counted", "uncounted")
    return tuple(name for name in first if name in seen) + tuple(sorted(seen - set(first)))


def told(case: Case) -> list[str]:
    """Return what was seen in a cell, a line for each finding and for what isn't one."""
    lines = [
        line(f"{f.prop.value} {f.standing.value} ({f.memory}): {f.evidence}")
        for f in case.verdict.findings
    ]
    if case.outcome.note:
        lines.append(line(f"{case.outcome.end.value}: {case.outcome.note}"))
    return lines


def surprised(case: Case) -> list[str]:
    """Return a line for each surprise of a cell: what is so, and what was expected, and why."""
    return [
        f"{claim(s.finding)}, {line(s.expected)} ({line(s.why)}): {line(s.finding.evidence)}"
        for s in case.surprises
    ]
