"""What is known of a series, what is claimed, and a run that differs: red, whichever way."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from test_report_sample import LABELS, expectations, noref_run

from harness.errors import UserError
from harness.judge.expected import (
    Claim,
    Expectation,
    Expected,
    Surprise,
    broken_rules,
    check_names,
    stale_facts,
    surprises,
)
from harness.judge.table import make_table
from harness.model import Cell, End, Finding, Grade, Outcome, Property, Standing, Verdict
from harness.report.write import write_all

WARNS = "mmu_spte_clear_track_bits"


def found(
    kernel: str = "noref+2",
    standing: Standing = Standing.lost,
    *,
    mode: str = "legacy",
    memory: str = "uncounted",
    prop: Property = Property.silence,
    functions: tuple[str, ...] = (WARNS,),
) -> Finding:
    cell = Cell(kernel=kernel, mode=mode, backing="tail", mapping="fault", scenario="munmap")
    return Finding(
        cell=cell,
        prop=prop,
        memory=memory,
        standing=standing,
        evidence=f"WARNING in {WARNS} at arch/x86/kvm/mmu/mmu.c:593",
        functions=functions,
    )


def entry(**fields: object) -> Expectation:
    known: dict[str, object] = {
        "prop": Property.silence,
        "kernels": (2, 3),
        "standing": Standing.lost,
        "why": "the WARN is still in",
    }
    return Expectation(**(known | fields))  # type: ignore[arg-type]


def verdict(finding: Finding) -> Verdict:
    return Verdict(cell=finding.cell, grade=Grade.failed, reason="", findings=(finding,))


def compare(finding: Finding, *entries: Expectation, claims: tuple[Claim, ...] = ()) -> list[str]:
    expected = Expected(claim=claims, expect=entries)
    return [str(s) for s in surprises([verdict(finding)], expected, LABELS, "x86_64")]


# --- comparing -----------------------------------------------------------------------------------


def test_without_an_entry_a_property_is_expected_to_hold() -> None:
    assert compare(found(standing=Standing.holds)) == []
    (surprise,) = compare(found())
    assert "expected holds" in surprise
    assert "nothing says otherwise" in surprise


def test_not_observed_is_not_taken_for_held() -> None:
    (surprise,) = compare(found(standing=Standing.unseen))
    assert "is not observed, expected holds" in surprise


def test_what_is_known_is_no_surprise() -> None:
    assert compare(found(), entry()) == []


@pytest.mark.parametrize("standing", [Standing.holds, Standing.unseen])
def test_a_known_loss_that_does_not_come_is_a_surprise(standing: Standing) -> None:
    (surprise,) = compare(found(standing=standing), entry())
    assert "expected lost (the WARN is still in)" in surprise


@pytest.mark.parametrize("known", Standing)
@pytest.mark.parametrize("seen", Standing)
def test_a_run_that_differs_is_red_whichever_way_it_differs(
    known: Standing, seen: Standing
) -> None:
    assert bool(compare(found(standing=seen), entry(standing=known))) == (known is not seen)


def test_the_first_entry_that_covers_a_finding_decides() -> None:
    holds = entry(standing=Standing.holds)
    assert compare(found(), entry(), holds) == []
    assert len(compare(found(), holds, entry())) == 1


def test_a_splat_from_another_function_than_the_known_one_is_a_surprise() -> None:
    known = entry(function=WARNS)
    assert compare(found(), known) == []
    (surprise,) = compare(found(functions=("kvm_vcpu_map",)), known)
    assert f"expected from {WARNS}" in surprise
    assert len(compare(found(functions=()), known)) == 1


def test_a_known_splat_does_not_hide_another() -> None:
    (surprise,) = compare(found(functions=("bad_page", WARNS)), entry(function=WARNS))
    assert f"expected from {WARNS} alone" in surprise


def test_evidence_that_must_be_there_is_looked_for() -> None:
    assert compare(found(), entry(evidence="mmu.c")) == []
    (surprise,) = compare(found(), entry(evidence="errno=14"))
    assert "expected with errno=14" in surprise


def test_a_surprise_names_kernel_mode_property_memory_scenario_and_the_splats_line() -> None:
    (surprise,) = compare(found())
    assert surprise == (
        "noref+2 legacy: silence of uncounted memory is lost, expected holds "
        "(nothing says otherwise); munmap on tail by fault: "
        f"WARNING in {WARNS} at arch/x86/kvm/mmu/mmu.c:593"
    )


@pytest.mark.parametrize(
    "narrowed",
    [
        {"prop": Property.access},
        {"kernels": (0, 1)},
        {"arches": ("arm64",)},
        {"modes": ("tdp", "shadow")},
        {"memory": ("counted",)},
        {"backings": ("order0",)},
        {"mappings": ("remap",)},
        {"scenarios": ("vm_close",)},
    ],
)
def test_an_entry_about_something_else_does_not_cover_a_finding(
    narrowed: dict[str, object],
) -> None:
    assert not entry(**narrowed).covers(found(), 2, "x86_64")


def test_empty_means_all() -> None:
    assert entry().covers(found(), 2, "x86_64")
    assert entry(kernels=()).covers(found(), 2, "x86_64")


def test_an_entry_that_names_everything_covers_it() -> None:
    exact = entry(
        kernels=(2,),
        arches=("x86_64",),
        modes=("legacy",),
        memory=("uncounted",),
        backings=("tail",),
        mappings=("fault",),
        scenarios=("munmap",),
    )
    assert exact.covers(found(), 2, "x86_64")


def test_what_a_series_says_comes_before_what_is_known_of_its_base() -> None:
    of_base = Expectation(prop=Property.access, standing=Standing.lost, why="as the base does")
    own = Expectation(prop=Property.access, standing=Standing.holds, kernels=(2,), why="mended")
    both = Expected(expect=(own,)).and_then(Expected(expect=(of_base,)))
    finding = Finding(
        cell=Cell(kernel="", mode="tdp", backing="tail", mapping="remap", scenario="guest_write"),
        prop=Property.access,
        memory="uncounted",
        standing=Standing.holds,
        evidence="",
    )
    assert both.entry_for(finding, 1, "x86_64") is of_base
    assert both.entry_for(finding, 2, "x86_64") is own


# --- claims --------------------------------------------------------------------------------------


CLAIM = Claim(prop=Property.silence, why="patch 4 is there for it")


@pytest.mark.parametrize("standing", [Standing.lost, Standing.unseen])
def test_a_claim_binds_the_last_kernel_though_its_absence_were_known(standing: Standing) -> None:
    known = entry(kernels=(4,), standing=standing)
    (surprise,) = compare(found("noref+4", standing), known, claims=(CLAIM,))
    assert "claimed by the series (patch 4 is there for it)" in surprise


def test_a_claim_does_not_bind_the_kernels_before_the_last() -> None:
    assert compare(found(), entry(), claims=(CLAIM,)) == []


def test_a_claim_that_is_kept_is_no_surprise() -> None:
    assert compare(found("noref+4", Standing.holds), claims=(CLAIM,)) == []


@pytest.mark.parametrize(
    "narrowed",
    [{"memory": ("counted",)}, {"modes": ("tdp",)}, {"prop": Property.access}],
)
def test_a_claim_binds_only_what_it_names(narrowed: dict[str, object]) -> None:
    claim = msgspec.structs.replace(CLAIM, **narrowed)
    assert compare(found("noref+4"), entry(kernels=(4,)), claims=(claim,)) == []


def test_one_finding_is_one_surprise() -> None:
    assert len(compare(found("noref+4"), claims=(CLAIM,))) == 1


# --- the rule, where nothing is known ------------------------------------------------------------


def broken(*findings: Finding) -> list[Surprise]:
    return broken_rules(make_table(map(verdict, findings)), LABELS)


def test_without_known_facts_a_loss_is_a_surprise() -> None:
    (surprise,) = broken(found("base", Standing.holds), found("noref+1"))
    assert "noref+1 legacy: silence" in str(surprise)
    assert "an earlier kernel had it" in str(surprise)


def test_without_known_facts_what_takes_l1_down_is_a_surprise_though_the_base_did_so_too() -> None:
    found_ones = [found(label, prop=Property.robustness) for label in LABELS[:2]]
    for surprise in broken(*found_ones):
        assert "it must hold on any kernel" in str(surprise)
    assert len(broken(*found_ones)) == 2


def test_without_known_facts_what_the_base_lacks_is_no_surprise() -> None:
    assert broken(found("base"), found("noref+1"), found("noref+2", Standing.holds)) == []


def as_error(outcome: Outcome) -> Outcome:
    return msgspec.structs.replace(outcome, end=End.qemu, status=None, note="QEMU died")


def test_a_run_of_errors_alone_says_nothing_of_the_kernel_and_ends_in_status_3() -> None:
    result = noref_run(change=as_error)
    assert (result.status, result.surprises, result.table) == (3, (), ())


def test_one_error_among_cells_that_are_as_expected_ends_in_status_3() -> None:
    first: list[Outcome] = []

    def change(outcome: Outcome) -> Outcome:
        first.append(outcome)
        return as_error(outcome) if len(first) == 1 else outcome

    result = noref_run(change=change)
    assert (len(result.errors), result.status) == (1, 3)


def test_a_finding_weighs_more_than_an_error() -> None:
    def change(outcome: Outcome) -> Outcome:
        return as_error(outcome) if outcome.cell.mode == "tdp" else outcome

    result = noref_run(expected=Expected(), change=change)
    assert result.errors
    assert result.status == 1


def test_a_kernel_that_does_not_build_is_a_finding() -> None:
    assert noref_run(unbuilt="noref+2").status == 1


def test_a_run_without_any_cell_is_not_green() -> None:
    assert noref_run(()).status == 3


def test_a_kernel_that_never_boots_is_judged_in_the_classes_that_other_kernels_showed() -> None:
    def change(outcome: Outcome) -> Outcome:
        if outcome.cell.kernel != "noref+2":
            return outcome
        return Outcome(cell=outcome.cell, end=End.no_boot, note="L1 gave no answer within 120 s")

    result = noref_run(change=change)
    lost = [s.finding for s in result.surprises if s.finding.prop is Property.robustness]
    assert {finding.memory for finding in lost} == {"counted", "uncounted"}
    assert {finding.cell.kernel for finding in lost} == {"noref+2"}


def test_a_run_that_is_not_what_is_known_ends_in_status_1_and_one_that_is_in_0() -> None:
    assert noref_run().status == 0
    assert noref_run(expected=Expected()).status == 1


# --- facts about nothing -------------------------------------------------------------------------


def stale(*entries: Expectation, claims: tuple[Claim, ...] = ()) -> list[str]:
    verdicts = [verdict(found()), verdict(found("noref+4", Standing.holds))]
    expected = Expected(claim=claims, expect=entries)
    return list(stale_facts(verdicts, expected, LABELS, "x86_64"))


def test_a_fact_that_decides_a_finding_is_not_stale() -> None:
    assert stale(entry(), claims=(CLAIM,)) == []


def test_a_fact_about_cells_that_ran_but_about_none_of_their_findings_is_stale() -> None:
    (said,) = stale(entry(), entry(prop=Property.access, modes=("legacy",)))
    assert said == "[[expect]] access lost, modes legacy; kernels 2, 3"


def test_a_fact_that_those_before_it_leave_nothing_is_stale() -> None:
    assert len(stale(entry(), entry())) == 1


@pytest.mark.parametrize(
    "narrowed",
    [{"arches": ("arm64",)}, {"scenarios": ("vm_close",)}, {"backings": ("head",)}],
)
def test_a_fact_about_cells_that_did_not_run_is_not_stale(narrowed: dict[str, object]) -> None:
    assert stale(entry(prop=Property.access, **narrowed)) == []


def test_that_something_is_not_observed_is_true_without_a_witness_too() -> None:
    assert stale(entry(prop=Property.access, standing=Standing.unseen)) == []


def test_a_claim_about_no_finding_of_the_last_kernel_is_stale() -> None:
    (said,) = stale(claims=(msgspec.structs.replace(CLAIM, modes=("tdp",)),))
    assert said == "[[claim]] silence; modes tdp"


def test_a_stale_fact_makes_a_complete_run_red_in_every_format(tmp_path: Path) -> None:
    facts = expectations()
    refusal = entry(prop=Property.refusal, kernels=(4,))
    more = msgspec.structs.replace(facts, expect=(*facts.expect, refusal))
    assert noref_run(expected=more).status == 0
    run = noref_run(expected=more, complete=True)
    assert (run.status, len(run.stale)) == (1, 1)
    write_all(run, tmp_path)
    for name in ("result.json", "junit.xml", "result.ktap", "report.html"):
        assert "[[expect]] refusal lost" in (tmp_path / name).read_text()
    assert noref_run(complete=True).stale == ()
    assert noref_run(expected=more, complete=True, change=as_error).stale == ()


# --- names ---------------------------------------------------------------------------------------

KNOWN = {
    "arches": ("x86_64",),
    "modes": ("tdp", "legacy"),
    "memory": ("counted", "uncounted"),
    "backings": ("tail",),
    "mappings": ("fault",),
    "scenarios": ("munmap",),
}


@pytest.mark.parametrize(
    ("narrowed", "said"),
    [
        ({"modes": ("legcay",)}, "'legcay' among the modes(.|\n)*tdp, legacy"),
        ({"memory": ("uncuonted",)}, "'uncuonted' among the memory(.|\n)*counted, uncounted"),
        ({"backings": ("tial",)}, "'tial' among the backings(.|\n)*tail"),
        ({"mappings": ("falut",)}, "'falut' among the mappings(.|\n)*fault"),
        ({"scenarios": ("munmpa",)}, "'munmpa' among the scenarios(.|\n)*munmap"),
        ({"arches": ("arm63",)}, "'arm63' among the arches(.|\n)*x86_64"),
        ({"kernels": (2, 5)}, "no kernel 5(.|\n)*0, the base, to 4"),
    ],
)
def test_a_name_that_does_not_exist_is_the_users_error_with_the_known_ones(
    narrowed: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        check_names(Expected(expect=(entry(**narrowed),)), KNOWN, 4, Path("expected.toml"))


def test_a_claim_that_names_what_does_not_exist_is_the_users_error() -> None:
    claim = msgspec.structs.replace(CLAIM, modes=("legcay",))
    with pytest.raises(UserError, match=r"\[\[claim\]\] silence; modes legcay"):
        check_names(Expected(claim=(claim,)), KNOWN, 4, Path("expected.toml"))


def test_names_that_exist_are_fine() -> None:
    exact = entry(modes=("tdp",), memory=("counted",), backings=("tail",), scenarios=("munmap",))
    check_names(Expected(claim=(CLAIM,), expect=(exact, entry())), KNOWN, 4, Path("x"))
