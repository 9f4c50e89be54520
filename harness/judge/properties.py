"""What one cell's outcome says about each property (DESIGN.md, "Properties, not recordings")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.dmesg import Splat
from harness.model import (
    Cell,
    End,
    Finding,
    Grade,
    Outcome,
    PageState,
    Property,
    Result,
    Scenario,
    Standing,
    Verdict,
)

# An exit status of the VMM that goes with a complete report: enum exit_status in vmm.h.
_REPORTED = (0, 1)

# What ktap_exercise() writes in a property's place: a control of the scenario itself.
EXERCISE = "exercise"

_DEAD = (End.panic, End.hang)

# These ends say nothing about the kernel under test.
_OURS = (End.no_module, End.qemu, End.harness)


def judge_cell(outcome: Outcome, scenario: Scenario, memory: str | None = None) -> Verdict:
    """Return the cell's grade, with one finding for every property that it is a witness for.

    memory: the class of its pages, for a cell that never came to read its ledger.
    """
    cell = outcome.cell
    if outcome.end in _OURS:
        return Verdict(cell=cell, grade=Grade.error, reason=outcome.note)
    vacuous = _vacuous(outcome)
    if vacuous and scenario.control:
        # That nothing was said of a bug means nothing where there was none.
        return Verdict(cell=cell, grade=Grade.error, reason=vacuous)
    word = _Words(cell, memory_class(outcome) or memory or "unknown")
    findings = _merge(_findings(outcome, scenario, word))
    lost = [finding for finding in findings if finding.standing is Standing.lost]
    if lost:
        reason = "; ".join(f"{finding.prop.value}: {finding.evidence}" for finding in lost)
        return Verdict(cell=cell, grade=Grade.failed, reason=reason, findings=findings)
    if vacuous:
        return Verdict(cell=cell, grade=Grade.error, reason=vacuous)
    for finding in findings:
        if finding.prop is scenario.checks and finding.standing is Standing.unseen:
            reason = finding.evidence
            return Verdict(cell=cell, grade=Grade.skipped, reason=reason, findings=findings)
    return Verdict(cell=cell, grade=Grade.passed, reason="", findings=findings)


def _vacuous(outcome: Outcome) -> str:
    """Say why a cell that lost nothing shows nothing: it never exercised what it names."""
    for step in outcome.subtests:
        if step.prop == EXERCISE and step.result is Result.not_ok:
            return f"vacuous: not so: {step.name} ({', '.join(step.detail)})"
    return ""


def memory_class(outcome: Outcome) -> str | None:
    """Return `uncounted` if pages of the region have no count of their own, else `counted`."""
    if any(page.own_ref == 0 for page in outcome.before):
        return "uncounted"
    return "counted" if outcome.before else None


def _merge(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Keep one finding a property: a step and an oracle may both have a word on it."""
    order = (Standing.unseen, Standing.holds, Standing.lost)
    kept: dict[Property, Finding] = {}
    for finding in findings:
        other = kept.get(finding.prop)
        # A step's reason for seeing nothing says more than that none came.
        if (
            other is None
            or other.standing is Standing.unseen
            or order.index(finding.standing) > order.index(other.standing)
        ):
            kept[finding.prop] = finding
    return tuple(kept.values())


def _findings(outcome: Outcome, scenario: Scenario, word: _Words) -> Iterator[Finding]:
    if scenario.control and outcome.end in _DEAD and outcome.splats and _was_reached(outcome):
        # A seeded bug that the kernel noticed and didn't survive.
        yield _detection(outcome, word)
        return
    yield word(scenario.checks, None, "no step came so far")
    clean = outcome.end is End.reported and outcome.status in _REPORTED and not outcome.note
    yield word(Property.robustness, clean, outcome.note or "L1 and the VMM came through")
    yield from _steps(outcome, scenario, word)
    if scenario.control:
        return
    if clean or outcome.splats:
        yield _silence(outcome, word)
    if clean and outcome.subtests:
        yield _refcounts(outcome, word)
        ownership = _ownership(outcome, word)
        # Where nothing but refusal is asked for, nobody can be a witness that it was left alone.
        if scenario.checks is not Property.refusal or ownership.standing is Standing.lost:
            yield ownership


class _Words:
    """Makes the findings of one cell: True holds, False is lost, None is not observed."""

    def __init__(self, cell: Cell, memory: str) -> None:
        self._cell = cell
        self._memory = memory

    def __call__(
        self, prop: Property, held: bool | None, evidence: str, splats: tuple[Splat, ...] = ()
    ) -> Finding:
        standings = {True: Standing.holds, False: Standing.lost, None: Standing.unseen}
        return Finding(
            cell=self._cell,
            prop=prop,
            memory=self._memory,
            standing=standings[held],
            evidence=evidence,
            functions=tuple(splat.function for splat in splats),
        )


def _steps(outcome: Outcome, scenario: Scenario, word: _Words) -> Iterator[Finding]:
    """Yield what the VMM's own steps say, one finding a property."""
    known = {prop.value for prop in Property}
    for prop in dict.fromkeys(step.prop for step in outcome.subtests):
        if prop == EXERCISE:
            continue
        if prop not in known:
            if prop:  # a word on nothing must not get lost: the steps skipped at the end have none
                yield word(Property.robustness, False, f"a step speaks for no property: {prop!r}")
            continue
        steps = [step for step in outcome.subtests if step.prop == prop]
        failed = [step for step in steps if step.result is Result.not_ok]
        done = [step for step in steps if step.result is Result.ok]
        if failed:
            detail = ", ".join(failed[0].detail)
            yield word(Property(prop), False, f"not ok: {failed[0].name} ({detail})")
        elif not done:
            yield word(Property(prop), None, steps[0].reason)
        elif prop == Property.detection.value:
            yield _detection(outcome, word)
        else:
            yield word(Property(prop), True, "; ".join(step.name for step in done))


def _detection(outcome: Outcome, word: _Words) -> Finding:
    """Judge a seeded bug that was really seeded: the kernel must have complained."""
    if not outcome.splats:
        return word(Property.detection, False, "the seeded bug went by in silence")
    return word(Property.detection, True, describe_splats(outcome.splats), outcome.splats)


def _silence(outcome: Outcome, word: _Words) -> Finding:
    if not outcome.splats:
        return word(Property.silence, True, "no splat")
    return word(Property.silence, False, describe_splats(outcome.splats), outcome.splats)


def _refcounts(outcome: Outcome, word: _Words) -> Finding:
    """Compare the counts; KVM's MMU keeps no reference, so they are the same during the run."""
    for when, pages in (("during", outcome.during), ("after", outcome.after)):
        for before, now in _pages(outcome, pages):
            if _counts(before) != _counts(now):
                what = f"{_counts_text(before)} became {_counts_text(now)} {when} the run"
                return word(Property.refcounts, False, f"pfn {before.pfn:#x}: {what}")
    if hole := _hole(outcome):
        return word(Property.refcounts, None, hole)
    return word(Property.refcounts, True, "every page's counts are what they were")


def _ownership(outcome: Outcome, word: _Words) -> Finding:
    """Compare the flags, during the run too: marking a page accessed twice cancels out."""
    for when, pages in (("during", outcome.during), ("after", outcome.after)):
        for before, now in _pages(outcome, pages):
            if before.flags != now.flags:
                old, new = (",".join(page.flags) or "none" for page in (before, now))
                what = f"flags {old} → {new} {when} the run"
                return word(Property.ownership, False, f"pfn {before.pfn:#x}: {what}")
    if hole := _hole(outcome):
        return word(Property.ownership, None, hole)
    if not _was_reached(outcome):
        return word(Property.ownership, None, "the guest never got at the memory")
    return word(Property.ownership, True, "every page's flags are what they were")


def _hole(outcome: Outcome) -> str:
    """Say where the ledger lacks pages: what was not looked at is not as it was."""
    for when, pages in (("during", outcome.during), ("after", outcome.after)):
        if not pages or {page.pfn for page in pages} != {page.pfn for page in outcome.before}:
            return f"the ledger {when} the run is not whole"
    return ""


def _was_reached(outcome: Outcome) -> bool:
    """Whether the guest got at the memory when it first tried."""
    tries = [step for step in outcome.subtests if step.prop == Property.access.value]
    return bool(tries) and tries[0].result is Result.ok


def _pages(outcome: Outcome, later: Iterable[PageState]) -> Iterator[tuple[PageState, PageState]]:
    """Pair the pages before and later by pfn, as a swap changes their order."""
    now = {page.pfn: page for page in later}
    for page in outcome.before:
        if page.pfn in now:
            yield page, now[page.pfn]


def _counts(page: PageState) -> tuple[int, int]:
    """The references but those of host mappings, which come and go with them."""
    return page.own_ref - page.mapcount, page.page_ref - page.mapcount


def _counts_text(page: PageState) -> str:
    return f"count {page.own_ref}, page_count() {page.page_ref}, mapcount {page.mapcount}"


def describe_splats(splats: tuple[Splat, ...]) -> str:
    """Name the first splat with its source line, and how many more there are."""
    first = splats[0]
    where = f" at {first.source}:{first.line}" if first.source else ""
    more = f" and {len(splats) - 1} more" if len(splats) > 1 else ""
    return f"{first.title}{where}{more}"
