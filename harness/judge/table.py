"""The result: kernel × mode × memory × property, and what a series gains and loses, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.model import Finding, Property, Standing, Value, Verdict


class Entry(Value):
    """One field of the table: what all its cells say together, and the cell that decided it."""

    kernel: str
    mode: str
    memory: str
    prop: Property
    standing: Standing
    cells: int
    decided_by: Finding


class Change(Value):
    """A property that a patch changed: the first kernel that has it, or has it no more."""

    kernel: str
    mode: str
    memory: str
    prop: Property
    before: Standing
    after: Standing
    finding: Finding


def make_table(verdicts: Iterable[Verdict]) -> tuple[Entry, ...]:
    """Put the findings of all cells together: one lost cell loses the property."""
    groups: dict[tuple[str, str, str, Property], list[Finding]] = {}
    for verdict in verdicts:
        for finding in verdict.findings:
            key = (finding.cell.kernel, finding.cell.mode, finding.memory, finding.prop)
            groups.setdefault(key, []).append(finding)
    return tuple(
        _entry(kernel, mode, memory, prop, findings)
        for (kernel, mode, memory, prop), findings in groups.items()
    )


def _entry(
    kernel: str, mode: str, memory: str, prop: Property, findings: Sequence[Finding]
) -> Entry:
    order = (Standing.lost, Standing.holds, Standing.unseen)
    worst = min(findings, key=lambda finding: order.index(finding.standing))
    return Entry(
        kernel=kernel,
        mode=mode,
        memory=memory,
        prop=prop,
        standing=worst.standing,
        cells=len(findings),
        decided_by=worst,
    )


def changes(table: Iterable[Entry], kernels: Sequence[str]) -> tuple[Change, ...]:
    """Attribute every change of a property to the first kernel that shows it."""
    found: list[Change] = []
    last: dict[tuple[str, str, Property], Entry] = {}
    for entry in sorted(table, key=lambda entry: kernels.index(entry.kernel)):
        key = (entry.mode, entry.memory, entry.prop)
        before = last.get(key)
        if before is not None and before.standing is not entry.standing:
            found.append(
                Change(
                    kernel=entry.kernel,
                    mode=entry.mode,
                    memory=entry.memory,
                    prop=entry.prop,
                    before=before.standing,
                    after=entry.standing,
                    finding=entry.decided_by,
                )
            )
        last[key] = entry
    return tuple(found)


def losses(table: Iterable[Entry], kernels: Sequence[str]) -> tuple[Entry, ...]:
    """Return every entry that lacks what an earlier kernel had: a series must be bisectable.

    The last kernel must also show what it has: not observed any more is lost to the series.
    Robustness needs no earlier kernel that had it: what takes L1 down is a finding on any.
    """
    entries = sorted(table, key=lambda entry: kernels.index(entry.kernel))
    found: list[Entry] = []
    had = set(_silent_boots(entries))
    for entry in entries:
        key = (entry.mode, entry.memory, entry.prop)
        wanted = key in had or entry.prop is Property.robustness
        if entry.standing is Standing.holds:
            had.add(key)
        elif wanted and (entry.standing is Standing.lost or entry.kernel == kernels[-1]):
            found.append(entry)
    return tuple(found)


def _silent_boots(entries: Sequence[Entry]) -> Iterator[tuple[str, str, Property]]:
    """Yield the silence of each mode whose first kernel booted without a complaint.

    A complaint before any memory was known has an entry only where there is one.
    """
    first: dict[str, str] = {}
    for entry in entries:
        first.setdefault(entry.mode, entry.kernel)
    keys = {(e.kernel, e.mode, e.memory, e.prop) for e in entries}
    for mode, kernel in first.items():
        if (kernel, mode, "unknown", Property.silence) not in keys:
            yield mode, "unknown", Property.silence
