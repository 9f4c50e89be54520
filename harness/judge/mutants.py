"""Seeded bugs: what kills one, and what that says of the scenarios."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec

from harness.errors import EXIT_FINDINGS, EXIT_INFRA, EXIT_INTERRUPTED, EXIT_OK, EXIT_USER
from harness.model import INTERRUPTED, Finding, Property, Standing, Value, Verdict


class Fate(enum.Enum):
    killed = "killed"  # some cell lost a property that it has without the bug
    survived = "survived"  # no cell of the whole catalogue did
    invalid = "invalid"  # the patch doesn't apply, doesn't compile, or changes nothing
    broken = "broken"  # it boots in no state to run cells: shows nothing about the scenarios
    undecided = "undecided"  # no kill was seen, but errors of ours hide some of the cells


class Kill(Value):
    """One property that a cell lost to the bug.

    reference: what the same cell says of it without the bug; suspect: the scenario is one of
    those that were expected to kill; folder: the cell's evidence.
    """

    finding: Finding
    reference: str
    suspect: bool
    folder: str


class MutantResult(Value):
    """What became of one mutant.

    kernel: its label; options: those of noref's command line that choose it; cells: how many
    were run, errors: how many of those say nothing; note: why it is invalid or broken.
    """

    name: str
    title: str
    series: str
    path: str
    kernel: str
    fate: Fate
    suspects: tuple[str, ...]
    kills: tuple[Kill, ...] = ()
    cells: int = 0
    errors: int = 0
    note: str = ""
    log: str = ""
    options: str = ""
    seconds: float = 0.0

    @property
    def missed(self) -> bool:
        """Say whether scenarios were expected to kill it, and only others did."""
        killed = self.fate is Fate.killed and bool(self.suspects)
        return killed and not any(kill.suspect for kill in self.kills)


class MutantsResult(Value):
    """All mutants of a run.  planned: how many there were to be; stopped: why not all were run."""

    base: str
    arch: str
    accel: str
    mutants: tuple[MutantResult, ...]
    planned: int
    seconds: float
    stopped: str = ""

    def count(self, fate: Fate) -> int:
        """Return how many mutants ended so."""
        return sum(mutant.fate is fate for mutant in self.mutants)

    @property
    def status(self) -> int:
        """The exit status: what is wrong with the scenarios weighs most."""
        if self.stopped == INTERRUPTED:
            return EXIT_INTERRUPTED
        if any(mutant.missed for mutant in self.mutants):
            return EXIT_FINDINGS
        if self.count(Fate.survived) or self.count(Fate.broken):
            return EXIT_FINDINGS
        if self.count(Fate.invalid):
            return EXIT_USER
        return EXIT_INFRA if self.stopped or self.count(Fate.undecided) else EXIT_OK


def kills_of(
    verdict: Verdict, references: Iterable[Verdict], suspects: tuple[str, ...], folder: str
) -> tuple[Kill, ...]:
    """Return what a cell lost that the same cell never loses without the bug.

    references: what the cell says without the bug, run again and again while that matters.
    """
    left = {finding.prop: finding for finding in lost(verdict)}
    first: dict[Property, Finding] = {}
    runs = 0
    for reference in references if left else ():
        runs += 1
        for finding in reference.findings:
            first.setdefault(finding.prop, finding)
            if finding.standing is Standing.lost:
                left.pop(finding.prop, None)
        if not left:
            break
    return tuple(
        Kill(
            finding=_named(finding, first.get(prop)),
            reference=_said(first.get(prop), runs),
            suspect=verdict.cell.scenario in suspects,
            folder=folder,
        )
        for prop, finding in left.items()
        if runs
    )


def lost(verdict: Verdict) -> tuple[Finding, ...]:
    """Return what a cell lost."""
    return tuple(f for f in verdict.findings if f.standing is Standing.lost)


def _named(finding: Finding, reference: Finding | None) -> Finding:
    """Take the class of memory from the reference, as a cell that died never told it."""
    memory = reference.memory if reference else finding.memory
    return msgspec.structs.replace(finding, memory=memory)


def _said(reference: Finding | None, runs: int) -> str:
    if reference is None:
        return f"no witness, in {runs} runs"
    return f"{reference.standing.value}, in {runs} runs: {reference.evidence}"
