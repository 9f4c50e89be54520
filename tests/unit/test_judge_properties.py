"""What one cell's outcome says about each property: every way to hold, to lose, and to see nothing.

The outcomes are made here, one for each thing that a kernel, a VMM or a machine can do wrong.
"""

from __future__ import annotations

import msgspec
import pytest
from test_report_sample import SPLAT_LINE, page, scenario, splat, step

from harness.judge.properties import describe_splats, judge_cell, memory_class
from harness.model import (
    Cell,
    End,
    Finding,
    Grade,
    Outcome,
    PageState,
    Property,
    Result,
    Standing,
    Verdict,
)

CELL = Cell(kernel="noref+2", mode="legacy", backing="tail", mapping="fault", scenario="odd")
WRITE = step("access", "guest writes all pages")
REFUSED = step("access", "guest writes all pages", Result.not_ok, "errno=14")
SEEDED = step("detection", "pages lose their count under an SPTE")


def outcome(**fields: object) -> Outcome:
    """A whole report of a guest that wrote to one page and left it alone, but for the fields."""
    whole: dict[str, object] = {
        "cell": CELL,
        "end": End.reported,
        "status": 0,
        "subtests": (WRITE,),
        "before": (page(1),),
        "during": (page(1),),
        "after": (page(1),),
    }
    return Outcome(**(whole | fields))  # type: ignore[arg-type]


def judge(checks: Property = Property.access, **fields: object) -> Verdict:
    return judge_cell(outcome(**fields), scenario("odd", checks))


def word(verdict: Verdict, prop: Property) -> Finding:
    (finding,) = (finding for finding in verdict.findings if finding.prop is prop)
    return finding


def standing(verdict: Verdict, prop: Property) -> Standing | None:
    return next((f.standing for f in verdict.findings if f.prop is prop), None)


def pages(*numbers: int, **fields: object) -> tuple[PageState, ...]:
    return tuple(
        msgspec.structs.replace(page(1), page=n, pfn=0x1000 + n, **fields) for n in numbers
    )


# --- a whole cell --------------------------------------------------------------------------------


def test_a_whole_clean_report_passes_and_speaks_for_all_its_witnesses() -> None:
    verdict = judge()
    assert verdict.grade is Grade.passed
    assert {f.prop: f.standing for f in verdict.findings} == {
        Property.access: Standing.holds,
        Property.robustness: Standing.holds,
        Property.silence: Standing.holds,
        Property.refcounts: Standing.holds,
        Property.ownership: Standing.holds,
    }


def test_a_cell_has_one_word_a_property() -> None:
    verdict = judge(
        Property.silence, subtests=(WRITE, step("silence", "deleted")), splats=(splat(),)
    )
    properties = [finding.prop for finding in verdict.findings]
    assert len(properties) == len(set(properties))


def test_an_oracle_that_saw_a_loss_outweighs_a_step_that_saw_none() -> None:
    verdict = judge(
        Property.silence, subtests=(WRITE, step("silence", "deleted")), splats=(splat(),)
    )
    assert word(verdict, Property.silence).standing is Standing.lost


def test_a_step_that_failed_outweighs_an_oracle_that_saw_nothing() -> None:
    leak = step("refcounts", "the count is back", Result.not_ok)
    verdict = judge(Property.refcounts, subtests=(WRITE, leak), status=1)
    assert word(verdict, Property.refcounts).standing is Standing.lost


# --- errors are ours, the rest is the kernel's ---------------------------------------------------


@pytest.mark.parametrize("end", [End.qemu, End.harness, End.no_module])
def test_what_is_our_fault_is_an_error_without_a_word_on_the_kernel(end: End) -> None:
    verdict = judge(end=end, status=None, note="QEMU was killed by signal 9", splats=(splat(),))
    assert (verdict.grade, verdict.findings) == (Grade.error, ())
    assert verdict.reason == "QEMU was killed by signal 9"


@pytest.mark.parametrize("end", [End.panic, End.hang, End.no_boot])
def test_what_takes_l1_down_is_the_kernels_failure(end: End) -> None:
    note = "L1 gave no answer within 30 s"
    verdict = judge(
        end=end, status=None, note=note, subtests=(), before=(), during=(), after=(), splats=()
    )
    assert verdict.grade is Grade.failed
    assert note in word(verdict, Property.robustness).evidence
    assert standing(verdict, Property.access) is Standing.unseen
    assert standing(verdict, Property.silence) is None  # nobody looked at the end of the log
    assert standing(verdict, Property.refcounts) is None


def test_a_panics_splats_lose_silence_though_no_status_came() -> None:
    verdict = judge(end=End.panic, status=None, note="guest-reset", splats=(splat(),))
    assert standing(verdict, Property.silence) is Standing.lost


def test_steps_before_a_panic_keep_their_word() -> None:
    verdict = judge(end=End.panic, status=None, note="guest-reset")
    assert standing(verdict, Property.access) is Standing.holds
    assert standing(verdict, Property.robustness) is Standing.lost
    assert verdict.grade is Grade.failed


@pytest.mark.parametrize("status", [None, 2, 127, 139])
def test_a_status_that_goes_with_no_report_is_not_green(status: int | None) -> None:
    assert standing(judge(status=status), Property.robustness) is Standing.lost


def test_a_report_that_is_not_whole_is_not_green() -> None:
    verdict = judge(note="the VMM's report is not complete (exit status 0)")
    assert verdict.grade is Grade.failed
    assert standing(verdict, Property.refcounts) is None


# --- access, and steps in general ----------------------------------------------------------------


def test_a_failed_step_loses_its_property_with_its_details_as_evidence() -> None:
    verdict = judge(subtests=(REFUSED,), status=1)
    finding = word(verdict, Property.access)
    assert finding.standing is Standing.lost
    assert "guest writes all pages" in finding.evidence
    assert "errno=14" in finding.evidence
    assert "errno=14" in verdict.reason


def test_one_failed_step_among_many_loses_the_property() -> None:
    verdict = judge(subtests=(WRITE, REFUSED, WRITE), status=1)
    assert standing(verdict, Property.access) is Standing.lost


def test_steps_that_were_skipped_say_nothing() -> None:
    skipped = step("integrity", "every word", Result.skip)
    verdict = judge(Property.integrity, subtests=(WRITE, skipped))
    assert standing(verdict, Property.integrity) is Standing.unseen


def test_a_property_that_the_scenario_checks_and_no_step_reached_is_not_observed() -> None:
    verdict = judge(Property.notifier, subtests=(REFUSED,), status=1)
    assert standing(verdict, Property.notifier) is Standing.unseen


def test_a_step_for_a_property_that_nobody_knows_is_not_lost_in_silence() -> None:
    verdict = judge(subtests=(WRITE, step("acess", "x", Result.not_ok)))
    assert verdict.grade is Grade.failed
    assert "a step speaks for no property: 'acess'" in verdict.reason
    assert judge(subtests=(WRITE, step("", "y"))).grade is Grade.passed


def test_a_cell_that_saw_nothing_of_what_it_is_there_for_is_skipped_with_the_reason() -> None:
    skipped = step("integrity", "every word", Result.skip)
    skipped = msgspec.structs.replace(skipped, reason="no huge pages here")
    verdict = judge(Property.integrity, subtests=(WRITE, skipped))
    assert (verdict.grade, verdict.reason) == (Grade.skipped, "no huge pages here")


def test_a_cell_without_any_step_is_not_passed() -> None:
    assert judge(subtests=()).grade is Grade.skipped


def test_a_cell_that_lost_something_is_failed_though_its_own_property_was_not_observed() -> None:
    assert judge(Property.notifier, splats=(splat(),)).grade is Grade.failed


# --- silence and detection -----------------------------------------------------------------------


def test_a_splat_loses_silence_and_is_named_with_its_line_and_function() -> None:
    finding = word(judge(splats=(splat(),)), Property.silence)
    assert finding.standing is Standing.lost
    assert finding.evidence == SPLAT_LINE
    assert finding.functions == ("mmu_spte_clear_track_bits",)


def test_more_splats_than_one_are_counted() -> None:
    assert describe_splats((splat(), splat(), splat())) == f"{SPLAT_LINE} and 2 more"


def test_a_splat_without_a_source_line_is_named_by_its_title() -> None:
    assert describe_splats((msgspec.structs.replace(splat("panic"), source="", line=0),)) == "panic"


def test_a_seeded_bug_that_goes_by_in_silence_loses_detection() -> None:
    verdict = judge(Property.detection, subtests=(WRITE, SEEDED))
    assert standing(verdict, Property.detection) is Standing.lost
    assert verdict.grade is Grade.failed


def test_a_seeded_bug_that_makes_the_kernel_complain_holds_detection() -> None:
    verdict = judge(Property.detection, subtests=(WRITE, SEEDED), splats=(splat(),))
    assert word(verdict, Property.detection).functions == ("mmu_spte_clear_track_bits",)
    assert verdict.grade is Grade.passed


def test_a_seeded_bug_that_was_never_seeded_is_not_observed_even_with_a_splat() -> None:
    verdict = judge(Property.detection, subtests=(REFUSED,), status=1, splats=(splat(),))
    assert standing(verdict, Property.detection) is Standing.unseen


def test_a_seeded_bug_that_could_not_be_seeded_is_lost_by_its_failed_step() -> None:
    failed = step("detection", "seed", Result.not_ok, "errno=16")
    verdict = judge(Property.detection, subtests=(WRITE, failed), status=1, splats=(splat(),))
    assert standing(verdict, Property.detection) is Standing.lost


def test_a_negative_control_is_no_witness_for_what_it_breaks_itself() -> None:
    changed = (page(0, "dirty"),)
    verdict = judge(
        Property.detection,
        subtests=(WRITE, SEEDED),
        splats=(splat(),),
        during=changed,
        after=changed,
    )
    assert {f.prop for f in verdict.findings} == {
        Property.access,
        Property.detection,
        Property.robustness,
    }


# --- the ledger ----------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["during", "after"])
@pytest.mark.parametrize("field", ["own_ref", "page_ref", "mapcount"])
@pytest.mark.parametrize("now", [0, 2, -1])
def test_a_count_that_changed_loses_refcounts(when: str, field: str, now: int) -> None:
    before = msgspec.structs.replace(page(1), mapcount=1)
    later = msgspec.structs.replace(before, **{field: now})
    whole = {"before": (before,), "during": (before,), "after": (before,)}
    finding = word(judge(**(whole | {when: (later,)})), Property.refcounts)
    assert finding.standing is Standing.lost
    assert "pfn 0x1234" in finding.evidence
    assert when in finding.evidence


def test_a_flag_that_changed_during_the_run_loses_ownership_though_it_is_back_afterwards() -> None:
    finding = word(judge(during=(page(1, "referenced"),)), Property.ownership)
    assert finding.standing is Standing.lost
    assert "none → referenced during the run" in finding.evidence


def test_a_flag_that_went_away_loses_ownership() -> None:
    verdict = judge(before=(page(1, "dirty"),), during=(page(1, "dirty"),))
    assert standing(verdict, Property.ownership) is Standing.lost


def test_memory_that_the_guest_never_got_at_can_not_be_polluted() -> None:
    verdict = judge(subtests=(REFUSED,), status=1)
    assert standing(verdict, Property.ownership) is Standing.unseen
    assert standing(verdict, Property.refcounts) is Standing.holds


def test_memory_that_was_refused_and_yet_marked_is_polluted() -> None:
    verdict = judge(subtests=(REFUSED,), status=1, after=(page(1, "dirty"),))
    assert standing(verdict, Property.ownership) is Standing.lost


def test_content_may_change() -> None:
    after = (msgspec.structs.replace(page(1), sum=7),)
    assert judge(during=after, after=after).grade is Grade.passed


def test_pages_that_were_swapped_are_compared_by_their_pfn() -> None:
    one, two = pages(1, 2)
    two = msgspec.structs.replace(two, own_ref=5, flags=("lru",))
    swapped = (
        msgspec.structs.replace(two, page=1),
        msgspec.structs.replace(one, page=2),
    )
    assert judge(before=(one, two), during=swapped, after=swapped).grade is Grade.passed


@pytest.mark.parametrize("when", ["during", "after"])
@pytest.mark.parametrize("left", [(), pages(1), pages(1, 2, 3), pages(1, 3)])
def test_pages_that_are_missing_from_the_ledger_are_not_taken_for_unchanged(
    when: str, left: tuple[PageState, ...]
) -> None:
    whole = {name: pages(1, 2) for name in ("before", "during", "after")}
    verdict = judge(**(whole | {when: left}))
    for prop in (Property.refcounts, Property.ownership):
        finding = word(verdict, prop)
        assert finding.standing is Standing.unseen
        assert when in finding.evidence


def test_a_page_that_changed_is_a_loss_though_another_is_missing() -> None:
    verdict = judge(
        before=pages(1, 2), during=pages(1, own_ref=2, flags=("dirty",)), after=pages(1, 2)
    )
    assert standing(verdict, Property.refcounts) is Standing.lost
    assert standing(verdict, Property.ownership) is Standing.lost


def test_a_report_without_any_ledger_holds_neither_refcounts_nor_ownership() -> None:
    verdict = judge(before=(), during=(), after=())
    assert standing(verdict, Property.refcounts) is Standing.unseen
    assert standing(verdict, Property.ownership) is Standing.unseen


# --- classes of memory ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((1,), "counted"),
        ((0,), "uncounted"),
        ((1, 0), "uncounted"),
        ((2, 1), "counted"),
        ((), None),
    ],
)
def test_one_page_without_a_count_makes_the_memory_uncounted(
    counts: tuple[int, ...], expected: str | None
) -> None:
    assert memory_class(outcome(before=tuple(page(n) for n in counts))) == expected


def test_a_cell_that_never_read_its_ledger_has_the_class_of_its_backing() -> None:
    dead = outcome(end=End.no_boot, status=None, note="silent", before=())
    checks = scenario("odd", Property.access)
    assert {f.memory for f in judge_cell(dead, checks, "uncounted").findings} == {"uncounted"}
    assert {f.memory for f in judge_cell(dead, checks).findings} == {"unknown"}


def test_what_a_cell_read_itself_outweighs_the_class_of_its_backing() -> None:
    checks = scenario("odd", Property.access)
    assert {f.memory for f in judge_cell(outcome(), checks, "uncounted").findings} == {"counted"}


@pytest.mark.parametrize("end", [End.panic, End.hang])
def test_a_seeded_bug_that_the_kernel_noticed_may_be_its_end(end: End) -> None:
    verdict = judge(Property.detection, end=end, status=None, splats=(splat(),))
    assert verdict.grade is Grade.passed
    assert [(f.prop, f.standing) for f in verdict.findings] == [
        (Property.detection, Standing.holds)
    ]


@pytest.mark.parametrize("fields", [{"splats": ()}, {"subtests": (REFUSED,)}, {"subtests": ()}])
def test_a_kernel_that_died_without_a_word_or_before_the_bug_was_seeded_lost(
    fields: dict[str, object],
) -> None:
    ended: dict[str, object] = {"end": End.panic, "status": None, "splats": (splat(),)}
    verdict = judge(Property.detection, **(ended | fields))
    assert standing(verdict, Property.robustness) is Standing.lost
    assert standing(verdict, Property.detection) is not Standing.holds


def test_a_cell_that_exercised_nothing_is_our_error_but_no_excuse() -> None:
    idle = step("exercise", "a fault was retried", Result.not_ok, "retries=0")
    verdict = judge(subtests=(WRITE, idle), status=1)
    assert (verdict.grade, verdict.findings) == (Grade.error, ())
    assert "a fault was retried (retries=0)" in verdict.reason
    lost = judge(subtests=(WRITE, idle), status=1, splats=(splat(),))
    assert standing(lost, Property.silence) is Standing.lost


def test_silence_after_a_seeded_bug_that_never_was_says_nothing() -> None:
    idle = step("exercise", "the freed page was given out again", Result.not_ok)
    verdict = judge(Property.detection, subtests=(WRITE, idle, SEEDED), status=1)
    assert (verdict.grade, verdict.findings) == (Grade.error, ())
    assert "vacuous" in verdict.reason


def test_references_of_host_mappings_come_and_go_with_them() -> None:
    mapped = {"own_ref": 2, "page_ref": 2, "mapcount": 1}
    alone = {"own_ref": 1, "page_ref": 1, "mapcount": 0}
    leaked = {"own_ref": 2, "page_ref": 2, "mapcount": 0}
    for now, held in ((alone, Standing.holds), (leaked, Standing.lost)):
        verdict = judge(before=pages(1, **mapped), during=pages(1, **now), after=pages(1, **now))
        assert standing(verdict, Property.refcounts) is held
