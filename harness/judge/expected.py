"""Known facts about a series, each with its reason; a run that differs either way is red.

Without an entry a property is expected to hold.  Entries are matched in order, the first wins; the
base's own (kernel-patches/BASE/base.toml) come after those of the series.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.judge.table import Entry, losses
from harness.model import Cell, Finding, Property, Standing, Value, Verdict


class Expectation(Value, forbid_unknown_fields=True):
    """One known fact.  Empty tuples mean all.

    kernels: numbers of patches applied; evidence: a text that the evidence must have; function:
    where the splat must be from that decides it (lines move with every stable release).
    """

    prop: Property
    standing: Standing
    why: str
    kernels: tuple[int, ...] = ()
    arches: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()
    backings: tuple[str, ...] = ()
    mappings: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    function: str = ""
    evidence: str = ""

    def covers(self, finding: Finding, kernel: int, arch: str) -> bool:
        """Say whether this entry is about that finding."""
        return (
            self.prop is finding.prop
            and finding.memory in (self.memory or (finding.memory,))
            and self.concerns(finding.cell, kernel, arch)
        )

    def concerns(self, cell: Cell, kernel: int, arch: str) -> bool:
        """Say whether a finding of that cell could be what this entry is about."""
        return (
            kernel in (self.kernels or (kernel,))
            and arch in (self.arches or (arch,))
            and cell.mode in (self.modes or (cell.mode,))
            and cell.backing in (self.backings or (cell.backing,))
            and cell.mapping in (self.mappings or (cell.mapping,))
            and cell.scenario in (self.scenarios or (cell.scenario,))
        )

    def __str__(self) -> str:
        words = [*_narrowed(self), f"kernels {', '.join(map(str, self.kernels)) or 'all'}"]
        return f"[[expect]] {self.prop.value} {self.standing.value}, {'; '.join(words)}"


class Claim(Value, forbid_unknown_fields=True):
    """A property that the series says its last kernel has."""

    prop: Property
    why: str
    memory: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    mappings: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()

    def covers(self, finding: Finding) -> bool:
        """Say whether this claim is about that finding of the last kernel."""
        return (
            self.prop is finding.prop
            and finding.memory in (self.memory or (finding.memory,))
            and finding.cell.mode in (self.modes or (finding.cell.mode,))
            and finding.cell.mapping in (self.mappings or (finding.cell.mapping,))
            and finding.cell.scenario in (self.scenarios or (finding.cell.scenario,))
        )

    def __str__(self) -> str:
        return "; ".join((f"[[claim]] {self.prop.value}", *_narrowed(self)))


_FIELDS = ("arches", "modes", "memory", "backings", "mappings", "scenarios")


def _narrowed(entry: Claim | Expectation) -> list[str]:
    """Name the fields that an entry gives, with their values."""
    given = [(field, getattr(entry, field, ())) for field in _FIELDS]
    return [f"{field} {', '.join(names)}" for field, names in given if names]


class Expected(Value, forbid_unknown_fields=True):
    """expected.toml, whole.  base: facts of its base, for what the series' own say nothing of."""

    claim: tuple[Claim, ...] = ()
    expect: tuple[Expectation, ...] = ()
    base: tuple[Expectation, ...] = ()

    def and_then(self, base: Expected) -> Expected:
        """Return these facts with those of the base."""
        return msgspec.structs.replace(self, base=base.expect)

    def entry_for(self, finding: Finding, kernel: int, arch: str) -> Expectation | None:
        """Return the first entry about a finding; kernel: the number of patches applied."""
        for entry in (*self.expect, *self.base):
            if entry.covers(finding, kernel, arch):
                return entry
        return None


class Surprise(Value):
    """A finding that is not what was expected, or a rule that the series breaks."""

    finding: Finding
    expected: str
    why: str

    def __str__(self) -> str:
        cell, finding = self.finding.cell, self.finding
        standing = finding.standing.value
        verb = "" if finding.standing is Standing.holds else "is "
        return (
            f"{cell.kernel} {cell.mode}: {finding.prop.value} of {finding.memory} memory "
            f"{verb}{standing}, {self.expected} ({self.why}); "
            f"{cell.scenario} on {cell.backing} by {cell.mapping}: {finding.evidence}"
        )


def read_expected(path: Path) -> Expected:
    """Read expected.toml; UserError if it is malformed."""
    try:
        expected = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Expected)
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise UserError(f"reading {path}", str(error), "correct it") from error
    entries: tuple[Claim | Expectation, ...] = (*expected.claim, *expected.expect)
    for entry in entries:
        if not entry.why.strip():
            raise UserError(f"reading {path}", f"no reason is given for {entry}", "say why")
    return expected


def check_names(
    expected: Expected, known: Mapping[str, Collection[str]], patches: int, path: Path
) -> None:
    """Refuse an entry that names what does not exist: it would never be about anything.

    known: for each field of an entry, the names that there are; patches: of the series.
    """
    entries: tuple[Claim | Expectation, ...] = (*expected.claim, *expected.expect)
    for entry in entries:
        for field in _FIELDS:
            for name in getattr(entry, field, ()):
                if name not in known[field]:
                    came = f"{entry}: there is no {name!r} among the {field}"
                    raise UserError(f"reading {path}", came, f"use: {', '.join(known[field])}")
        for kernel in entry.kernels if isinstance(entry, Expectation) else ():
            if not 0 <= kernel <= patches:
                came = f"{entry}: there is no kernel {kernel}"
                raise UserError(f"reading {path}", came, f"use: 0, the base, to {patches}")


def stale_facts(
    verdicts: Sequence[Verdict], expected: Expected, kernels: Sequence[str], arch: str
) -> Iterator[str]:
    """Yield the entries that decide no finding of a run, though cells that they concern ran.

    That something is not observed is also true where no cell is a witness.
    """
    found = [(f, kernels.index(f.cell.kernel)) for v in verdicts for f in v.findings]
    used = [expected.entry_for(finding, number, arch) for finding, number in found]
    for entry in expected.expect:
        ran = any(
            entry.concerns(verdict.cell, kernels.index(verdict.cell.kernel), arch)
            for verdict in verdicts
        )
        if ran and entry.standing is not Standing.unseen and all(e is not entry for e in used):
            yield str(entry)
    last = [finding for finding, number in found if number == len(kernels) - 1]
    for claim in expected.claim:
        if not any(map(claim.covers, last)):
            yield str(claim)


def surprises(
    verdicts: Iterable[Verdict], expected: Expected, kernels: Sequence[str], arch: str
) -> list[Surprise]:
    """Compare every finding with what is known, and the last kernel with what is claimed."""
    found = []
    for verdict in verdicts:
        for finding in verdict.findings:
            number = kernels.index(finding.cell.kernel)
            surprise = _compare(finding, expected, number, arch)
            if surprise is None and number == len(kernels) - 1:
                surprise = _check_claims(finding, expected)
            if surprise is not None:
                found.append(surprise)
    return found


def _compare(finding: Finding, expected: Expected, number: int, arch: str) -> Surprise | None:
    entry = expected.entry_for(finding, number, arch)
    if entry is None:
        if finding.standing is Standing.holds:
            return None
        return Surprise(finding=finding, expected="expected holds", why="nothing says otherwise")
    if finding.standing is not entry.standing:
        return Surprise(finding=finding, expected=f"expected {entry.standing.value}", why=entry.why)
    functions = set(finding.functions)
    # A known complaint must not hide another; a seeded bug may cause more than one.
    known = functions <= {entry.function} or entry.standing is not Standing.lost
    if entry.function and (entry.function not in functions or not known):
        where = f"expected from {entry.function} alone"
        return Surprise(finding=finding, expected=where, why=entry.why)
    if entry.evidence not in finding.evidence:
        where = f"expected with {entry.evidence}"
        return Surprise(finding=finding, expected=where, why=entry.why)
    return None


def _check_claims(finding: Finding, expected: Expected) -> Surprise | None:
    for claim in expected.claim:
        if claim.covers(finding) and finding.standing is not Standing.holds:
            return Surprise(finding=finding, expected="claimed by the series", why=claim.why)
    return None


def broken_rules(table: Iterable[Entry], kernels: Sequence[str]) -> list[Surprise]:
    """Judge a series about which nothing is known: no kernel may lack what an earlier one had."""
    return [
        Surprise(
            finding=entry.decided_by,
            expected=(
                "it must hold on any kernel"
                if entry.prop is Property.robustness
                else "an earlier kernel had it"
            ),
            why="a series may lose nothing, not even for a while",
        )
        for entry in losses(table, kernels)
    ]
