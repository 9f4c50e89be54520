"""The run that the report's tests show: five kernels in three modes, as NOREF.md expects them.

Its outcomes are made here and judged by judge/, so that the reports are tested on real verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from harness.dmesg import Splat, SplatType
from harness.judge.expected import Expectation, Expected
from harness.judge.result import KernelState, RunResult, Setting, judge_run
from harness.model import (
    Cell,
    End,
    Outcome,
    PageState,
    Property,
    Result,
    Scenario,
    Standing,
    Subtest,
)

SUBJECTS = (
    "6.12.117",
    "KVM: mmu: introduce new gfn_to_pfn_noref functions",
    "KVM: x86/mmu: use gfn_to_pfn_noref",
    "KVM: arm64/mmu: use gfn_to_pfn_noref",
    "KVM: mmu: remove over-aggressive warnings",
)
LABELS = ("base", "noref+1", "noref+2", "noref+3", "noref+4")
MODES = ("tdp", "legacy", "shadow")
WARNING = "WARNING in mmu_spte_clear_track_bits"
SPLAT_LINE = f"{WARNING} at arch/x86/kvm/mmu/mmu.c:593"
ACCEL = "emulated: there is a /dev/kvm, but the CPU has neither svm nor vmx"


def scenario(name: str, checks: Property) -> Scenario:
    return Scenario(name=name, checks=checks, backings=(), mappings=(), main=(), why="")


SCENARIOS = (
    scenario("guest_write", Property.access),
    scenario("all_pages", Property.integrity),
    scenario("swap_pages", Property.notifier),
    scenario("slot_delete", Property.silence),
    scenario("vm_close", Property.refcounts),
    scenario("freed_slot_delete", Property.detection),
    scenario("freed_munmap", Property.detection),
)
_STEPS = (Property.access, Property.integrity, Property.notifier, Property.detection)


def splat(title: str = WARNING, text: str = "") -> Splat:
    return Splat(
        type=SplatType.WARNING,
        title=title,
        function="mmu_spte_clear_track_bits",
        source="arch/x86/kvm/mmu/mmu.c",
        line=593,
        task="vmm",
        pid=70,
        cpu=0,
        taint="",
        trace=("mmu_spte_clear_track_bits", "drop_spte", "kvm_mmu_zap_all_fast"),
        start=0,
        end=0,
        corrupted=False,
        fatal=False,
        text=text or f"{title}\nCall Trace:\n <TASK>\n drop_spte+0x41/0xa0\n </TASK>",
    )


def page(own_ref: int, *flags: str) -> PageState:
    return PageState(
        page=1, pfn=0x1234, own_ref=own_ref, page_ref=own_ref, mapcount=0, flags=flags, sum=0
    )


def step(prop: str, name: str, result: Result = Result.ok, *detail: str) -> Subtest:
    return Subtest(name=name, prop=prop, result=result, detail=detail)


def run_one(cell: Cell, checks: Property) -> Outcome:
    """Say what NOREF.md expects of that cell."""
    patches = LABELS.index(cell.kernel)
    tail = cell.backing == "tail"
    before = page(0 if tail else 1)
    splats: tuple[Splat, ...] = ()
    warns = cell.mode != "tdp" and patches < 4
    folder = f"cells/{cell}"
    if tail and patches < 2:
        errno = "KVM_RUN: errno=14 (Bad address)"
        first = step("access", "guest writes all pages", Result.not_ok, errno)
        after, status = before, 1
        steps: tuple[Subtest, ...] = (first,)
    else:
        first = step("access", "guest writes all pages")
        after = page(before.own_ref, "referenced", "dirty")
        freed = checks is Property.detection
        splats = (splat(),) if warns and (tail or freed) else ()
        status = 0
        # The VMM has steps for what it sees itself; silence and counts are judged outside.
        own = checks.value if checks in _STEPS else "notifier"
        steps = (first, step(own, f"{cell.scenario} is seen through"))
    return Outcome(
        cell=cell,
        end=End.reported,
        status=status,
        subtests=steps,
        before=(before,),
        during=(after,),
        after=(after,),
        splats=splats,
        seconds=0.41,
        folder=folder,
    )


def expectations() -> Expected:
    """Return what is known of the series: expected.toml, shortened."""
    return Expected(expect=tuple(_facts()))


def _facts() -> Iterator[Expectation]:
    why = "KVM takes no page whose count is 0"
    for prop in (Property.access, Property.integrity, Property.notifier, Property.ownership):
        standing = Standing.lost if prop is Property.access else Standing.unseen
        yield Expectation(
            prop=prop, kernels=(0, 1), standing=standing, memory=("uncounted",), why=why
        )
    yield Expectation(
        prop=Property.ownership,
        kernels=(0, 1, 2, 3, 4),
        standing=Standing.lost,
        why="kvm_set_pfn_dirty() checks only PG_reserved",
    )
    yield Expectation(
        prop=Property.silence,
        kernels=(2, 3),
        standing=Standing.lost,
        memory=("uncounted",),
        modes=("legacy", "shadow"),
        function="mmu_spte_clear_track_bits",
        why="the WARN is still in",
    )
    yield Expectation(
        prop=Property.detection,
        kernels=(0, 1, 2, 3),
        standing=Standing.lost,
        modes=("tdp",),
        why="the TDP MMU never looks at the count",
    )
    yield Expectation(
        prop=Property.detection,
        kernels=(4,),
        standing=Standing.lost,
        why="patch 4 takes the last look at the count away",
    )


def noref_run(
    labels: Sequence[str] = LABELS,
    *,
    expected: Expected | None = None,
    known: bool = True,
    change: Callable[[Outcome], Outcome] = lambda outcome: outcome,
    unbuilt: str = "",
    complete: bool = False,
) -> RunResult:
    """Return the run of the noref series; change: what to do to each outcome before it is judged.

    unbuilt: the label of a kernel that doesn't build.
    """
    kernels = tuple(
        KernelState(
            label=label,
            patches=number,
            subject=SUBJECTS[number],
            failure="compiling mmu.c: 'gfn_to_pfn' undeclared" if label == unbuilt else "",
            log="/cache/builds/1/log" if label == unbuilt else "",
        )
        for number, label in enumerate(LABELS)
        if label in labels
    )
    setting = Setting(
        series="noref",
        origin="kernel-patches/6.12/noref",
        base="6.12.117",
        arch="x86_64",
        accel=ACCEL,
        kernels=kernels,
        modes=MODES,
    )
    outcomes = [
        change(
            run_one(
                Cell(kernel=k.label, mode=m, backing=backing, mapping="fault", scenario=s.name),
                s.checks,
            )
        )
        for k in kernels
        if not k.failure
        for m in MODES
        for s in SCENARIOS
        for backing in (("order0",) if s.control else ("tail", "order0"))
    ]
    facts = (expected or expectations()) if known else None
    return judge_run(setting, outcomes, SCENARIOS, facts, 512.0, complete=complete)


def without_patch_4(outcome: Outcome) -> Outcome:
    """Let the last kernel be as the one before it."""
    if outcome.cell.kernel != "noref+4":
        return outcome
    third = msgspec.structs.replace(outcome.cell, kernel="noref+3")
    checks = next(s.checks for s in SCENARIOS if s.name == third.scenario)
    seen = run_one(third, checks)
    return msgspec.structs.replace(seen, cell=outcome.cell, folder=outcome.folder)


def test_the_sample_run_is_as_expected() -> None:
    result = noref_run()
    assert [str(surprise) for surprise in result.surprises] == []
    assert result.status == 0


def test_the_sample_run_without_its_last_patch_is_not() -> None:
    result = noref_run(change=without_patch_4)
    assert result.status == 1
    assert {surprise.finding.prop for surprise in result.surprises} == {
        Property.silence,
        Property.detection,
    }
