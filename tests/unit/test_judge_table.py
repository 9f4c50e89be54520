"""The table, what changed and at which patch, and what a series may not lose."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_report_sample import LABELS

from harness.judge.table import Entry, changes, losses, make_table
from harness.model import Cell, Finding, Grade, Property, Standing, Verdict

HOLDS, LOST, UNSEEN = Standing.holds, Standing.lost, Standing.unseen


def finding(
    kernel: str,
    standing: Standing,
    prop: Property = Property.silence,
    *,
    mode: str = "tdp",
    memory: str = "counted",
    scenario: str = "munmap",
) -> Finding:
    cell = Cell(kernel=kernel, mode=mode, backing="order0", mapping="fault", scenario=scenario)
    return Finding(cell=cell, prop=prop, memory=memory, standing=standing, evidence="")


def table(*findings: Finding) -> tuple[Entry, ...]:
    return make_table(
        Verdict(cell=f.cell, grade=Grade.passed, reason="", findings=(f,)) for f in findings
    )


def history(*standings: Standing, prop: Property = Property.silence) -> tuple[Entry, ...]:
    """One property's entries, a kernel each."""
    return table(*(finding(label, s, prop) for label, s in zip(LABELS, standings, strict=False)))


def lost_at(*standings: Standing, prop: Property = Property.silence) -> list[str]:
    kernels = LABELS[: len(standings)]
    return [entry.kernel for entry in losses(history(*standings, prop=prop), kernels)]


# --- one entry -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("standings", "together"),
    [
        ((HOLDS, HOLDS), HOLDS),
        ((HOLDS, LOST, HOLDS), LOST),
        ((UNSEEN, LOST), LOST),
        ((UNSEEN, HOLDS), HOLDS),
        ((UNSEEN, UNSEEN), UNSEEN),
    ],
)
def test_one_cell_that_lost_a_property_loses_it_for_all(
    standings: tuple[Standing, ...], together: Standing
) -> None:
    (entry,) = table(*(finding("base", s, scenario=str(n)) for n, s in enumerate(standings)))
    assert entry.standing is together
    assert entry.cells == len(standings)
    assert entry.decided_by.standing is together
    assert entry.decided_by.cell.scenario == str(standings.index(together))


def test_kernels_modes_classes_and_properties_are_kept_apart() -> None:
    entries = table(
        finding("base", HOLDS),
        finding("noref+1", LOST),
        finding("base", LOST, mode="legacy"),
        finding("base", LOST, memory="uncounted"),
        finding("base", LOST, Property.access),
    )
    assert len(entries) == 5
    assert entries[0].standing is HOLDS


def test_no_cells_make_no_entries() -> None:
    assert table() == ()
    assert changes((), ["base"]) == ()
    assert losses((), ["base"]) == ()


# --- changes -------------------------------------------------------------------------------------


def test_a_change_is_put_down_to_the_patch_at_which_it_is_first_seen() -> None:
    found = changes(history(LOST, LOST, HOLDS, HOLDS, LOST), LABELS)
    assert [(c.kernel, c.before, c.after) for c in found] == [
        ("noref+2", LOST, HOLDS),
        ("noref+4", HOLDS, LOST),
    ]
    assert found[1].finding.cell.kernel == "noref+4"


def test_what_stays_as_it_is_changes_nothing() -> None:
    assert changes(history(LOST, LOST, LOST), LABELS) == ()


def test_a_property_that_comes_into_view_has_changed() -> None:
    (change,) = changes(history(UNSEEN, UNSEEN, HOLDS), LABELS)
    assert (change.kernel, change.before, change.after) == ("noref+2", UNSEEN, HOLDS)


def test_a_change_across_a_kernel_that_was_not_run_is_put_down_to_the_next_one() -> None:
    entries = table(finding("base", HOLDS), finding("noref+3", LOST))
    (change,) = changes(entries, LABELS)
    assert change.kernel == "noref+3"


@given(st.lists(st.sampled_from(Standing), min_size=1, max_size=5), st.randoms())
def test_the_order_of_the_entries_does_not_matter(
    standings: list[Standing], rng: random.Random
) -> None:
    entries = history(*standings)
    shuffled = list(entries)
    rng.shuffle(shuffled)
    assert changes(shuffled, LABELS) == changes(entries, LABELS)
    assert losses(shuffled, LABELS) == losses(entries, LABELS)


# --- losses --------------------------------------------------------------------------------------


def test_a_series_that_loses_what_the_base_had_is_told_at_each_kernel() -> None:
    assert lost_at(HOLDS, HOLDS, LOST, LOST) == ["noref+2", "noref+3"]


def test_a_property_lost_for_a_while_is_lost_though_the_last_kernel_has_it() -> None:
    assert lost_at(HOLDS, LOST, HOLDS) == ["noref+1"]


def test_a_property_that_the_series_itself_added_may_not_get_lost_again() -> None:
    assert lost_at(LOST, HOLDS, LOST) == ["noref+2"]
    assert lost_at(UNSEEN, HOLDS, LOST) == ["noref+2"]


def test_what_no_kernel_ever_had_is_not_lost() -> None:
    assert lost_at(LOST, LOST, LOST) == []
    assert lost_at(UNSEEN, LOST, LOST) == []


def test_what_a_kernel_in_the_middle_gives_no_chance_to_see_is_not_lost() -> None:
    assert lost_at(HOLDS, UNSEEN, HOLDS) == []


def test_what_the_last_kernel_shows_no_more_is_lost() -> None:
    assert lost_at(HOLDS, HOLDS, UNSEEN) == ["noref+2"]


def test_what_takes_l1_down_is_a_finding_on_any_kernel() -> None:
    assert "base" in lost_at(LOST, HOLDS, prop=Property.robustness)


def test_a_complaint_at_boot_that_an_earlier_kernel_did_not_make_is_a_loss() -> None:
    complaint = finding("noref+1", LOST, memory="unknown", scenario="boot")
    entries = table(finding("base", HOLDS), finding("noref+1", HOLDS), complaint)
    assert [entry.decided_by for entry in losses(entries, LABELS)] == [complaint]


def test_a_complaint_at_boot_that_the_first_kernel_made_too_is_none() -> None:
    entries = table(
        finding("base", LOST, memory="unknown", scenario="boot"),
        finding("noref+1", LOST, memory="unknown", scenario="boot"),
    )
    assert losses(entries, LABELS) == ()
    assert losses(entries[1:], LABELS) == ()


def test_a_complaint_at_boot_counts_in_its_own_mode() -> None:
    complaint = finding("noref+1", LOST, mode="legacy", memory="unknown", scenario="boot")
    assert losses(table(finding("base", HOLDS, mode="tdp"), complaint), LABELS) == ()


def test_a_loss_in_one_mode_is_no_loss_in_another() -> None:
    entries = table(
        finding("base", HOLDS, mode="tdp"),
        finding("base", LOST, mode="legacy"),
        finding("noref+1", HOLDS, mode="tdp"),
        finding("noref+1", LOST, mode="legacy"),
    )
    assert losses(entries, LABELS[:2]) == ()


@given(st.lists(st.sampled_from(Standing), min_size=1, max_size=5))
def test_a_loss_always_follows_a_kernel_that_had_it(standings: list[Standing]) -> None:
    for label in lost_at(*standings):
        number = LABELS.index(label)
        assert standings[number] is not HOLDS
        assert HOLDS in standings[:number]
