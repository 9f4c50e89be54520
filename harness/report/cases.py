"""Each cell with all that was said of it: what JUnit, KTAP and HTML go through."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness.judge.expected import Surprise
from harness.judge.result import RunResult
from harness.model import Finding, Grade, Outcome, Property, Standing, Value, Verdict
from harness.report.text import claim, line

# kernel, mode, memory, property: a field of the table
Field = tuple[str, str, str, Property]


class Case(Value):
    """One cell.  excuse: why a loss that was seen is no finding, if that is so.

    word: the cell's grade, where it matters whether a loss is a finding.
    """

    outcome: Outcome
    verdict: Verdict
    surprises: tuple[Surprise, ...]
    excuse: str
    word: str

    @property
    def name(self) -> str:
        """The cell's name within its kernel and mode."""
        cell = self.verdict.cell
        return line(f"{cell.backing}/{cell.mapping}/{cell.scenario}")


class Suite(Value):
    """The cells of one kernel and mode, in the order in which they ran."""

    kernel: str
    mode: str
    cases: tuple[Case, ...]

    @property
    def name(self) -> str:
        return line(f"{self.kernel}/{self.mode}")


def field_of(finding: Finding) -> Field:
    """Return the field of the table that a finding goes into."""
    return finding.cell.kernel, finding.cell.mode, finding.memory, finding.prop


def make_suites(result: RunResult) -> tuple[Suite, ...]:
    """Put outcomes, verdicts and surprises of a run together, by kernel and mode."""
    red: dict[Field, list[Surprise]] = {}
    for surprise in result.surprises:
        red.setdefault(field_of(surprise.finding), []).append(surprise)
    suites: dict[tuple[str, str], list[Case]] = {}
    # judge_run() judges each outcome in turn: the two go side by side.
    for outcome, verdict in zip(result.outcomes, result.verdicts, strict=True):
        found = tuple(_surprises(verdict.findings, red, result.known))
        case = Case(
            outcome=outcome,
            verdict=verdict,
            surprises=found,
            excuse="" if found else _excuse(verdict, result),
            word="finding" if found else _word(verdict, result),
        )
        suites.setdefault((verdict.cell.kernel, verdict.cell.mode), []).append(case)
    return tuple(
        Suite(kernel=kernel, mode=mode, cases=tuple(cases))
        for (kernel, mode), cases in suites.items()
    )


def _surprises(
    findings: Iterable[Finding], red: dict[Field, list[Surprise]], known: bool
) -> Iterable[Surprise]:
    for finding in findings:
        candidates = red.get(field_of(finding), [])
        exact = [surprise for surprise in candidates if surprise.finding == finding]
        if exact:
            yield exact[0]
        elif candidates and not known and finding.standing is Standing.lost:
            # The rule names one cell for the whole field, but each that lost it broke it.
            yield msgspec.structs.replace(candidates[0], finding=finding)


def _excuse(verdict: Verdict, result: RunResult) -> str:
    if verdict.grade is not Grade.failed:
        return ""
    lost = [f for f in verdict.findings if f.standing is Standing.lost]
    if result.known:
        return "; ".join(_known(f, result.reason(f)) for f in lost)
    why = "not held against the series, as no kernel before had it"
    return f"{why}: {', '.join(claim(f) for f in lost)}"


def _known(finding: Finding, reason: str) -> str:
    said = claim(finding)
    return f"expected: {said}, as {reason}" if reason else f"nothing is known: {said}"


def _word(verdict: Verdict, result: RunResult) -> str:
    if verdict.grade is Grade.failed:
        lost = (f for f in verdict.findings if f.standing is Standing.lost)
        return "fail as expected" if all(map(result.reason, lost)) else "fail, no finding"
    return str(verdict.grade.value)
