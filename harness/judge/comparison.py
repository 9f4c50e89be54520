"""Several series side by side: what their last kernels have, and the cells in which they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from harness.judge.expected import Expectation, Expected
from harness.judge.result import RunResult, Setting, judge_run
from harness.model import Finding, Outcome, Property, Scenario, Standing, Value


class Row(Value):
    """One property of one class of memory.

    fields: for each column, for each mode, what its cells say together; None without a witness.
    """

    prop: Property
    memory: str
    fields: tuple[tuple[Standing | None, ...], ...]


class Difference(Value):
    """One cell that the columns don't agree on: what each that ran it says of one property."""

    mode: str
    backing: str
    mapping: str
    scenario: str
    prop: Property
    memory: str
    findings: tuple[Finding, ...]


class Comparison(Value):
    """columns: labels of kernels, the base first."""

    columns: tuple[str, ...]
    modes: tuple[str, ...]
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]


def judge_columns(
    setting: Setting,
    outcomes: Sequence[Outcome],
    scenarios: Sequence[Scenario],
    known: Mapping[str, Expected | None],
    seconds: float,
    stopped: str = "",
) -> RunResult:
    """Judge a run of the base and of the last kernels of several series.

    known: for the label of each last kernel, what is known of its series.  There, a finding that
    differs is a surprise.  Elsewhere nothing is expected, but that L1 and the VMM live.
    """
    run = judge_run(setting, outcomes, scenarios, _merged(setting, known), seconds, stopped)
    judged = {label for label, expected in known.items() if expected is not None}
    red = [
        surprise
        for surprise in run.surprises
        if surprise.finding.cell.kernel in judged
        or (surprise.finding.prop, surprise.finding.standing)
        == (Property.robustness, Standing.lost)
    ]
    return msgspec.structs.replace(run, surprises=tuple(red), changes=())


def _merged(setting: Setting, known: Mapping[str, Expected | None]) -> Expected:
    """Put what is known of the series together, each kernel by its place among the columns."""
    entries: list[Expectation] = []
    for place, kernel in enumerate(setting.kernels):
        expected = known.get(kernel.label)
        if expected is not None:
            entries += _entries(expected, kernel.patches, place)
            entries += _entries(expected, 0, 0)
    return Expected(expect=tuple(entries))


def _entries(expected: Expected, patches: int, place: int) -> Iterator[Expectation]:
    """Yield the entries about a kernel, and what is claimed of it where no entry says more."""
    for entry in (*expected.expect, *expected.base):
        if patches in (entry.kernels or (patches,)):
            yield msgspec.structs.replace(entry, kernels=(place,))
    for claim in expected.claim if patches else ():
        yield Expectation(
            prop=claim.prop,
            kernels=(place,),
            standing=Standing.holds,
            why=claim.why,
            memory=claim.memory,
            modes=claim.modes,
            mappings=claim.mappings,
            scenarios=claim.scenarios,
        )


def make_comparison(result: RunResult) -> Comparison:
    """Arrange a run's table by property and memory, and pick the cells that differ."""
    columns = tuple(kernel.label for kernel in result.setting.kernels)
    ran = {entry.mode for entry in result.table}
    modes = tuple(mode for mode in result.setting.modes if mode in ran)
    entries = {(e.prop, e.memory, e.kernel, e.mode): e.standing for e in result.table}
    pairs = sorted({(list(Property).index(e.prop), e.memory) for e in result.table})
    rows = [
        Row(
            prop=(prop := list(Property)[place]),
            memory=memory,
            fields=tuple(
                tuple(entries.get((prop, memory, column, mode)) for mode in modes)
                for column in columns
            ),
        )
        for place, memory in pairs
    ]
    return Comparison(
        columns=columns, modes=modes, rows=tuple(rows), differences=tuple(_differences(result))
    )


def _differences(result: RunResult) -> Iterator[Difference]:
    groups: dict[tuple[str, str, str, str, Property], list[Finding]] = {}
    for verdict in result.verdicts:
        cell = verdict.cell
        for finding in verdict.findings:
            key = (cell.mode, cell.backing, cell.mapping, cell.scenario, finding.prop)
            groups.setdefault(key, []).append(finding)
    for (mode, backing, mapping, scenario, prop), findings in groups.items():
        if len({finding.standing for finding in findings}) > 1:
            yield Difference(
                mode=mode,
                backing=backing,
                mapping=mapping,
                scenario=scenario,
                prop=prop,
                memory=findings[0].memory,
                findings=tuple(findings),
            )
