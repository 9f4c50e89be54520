"""Running groups of cells: what ends a run early, and a VMM that is not that of the list."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from test_run_ktap import SPEC

from harness.errors import InfraError
from harness.machine.accel import Accel
from harness.machine.l1 import Saved
from harness.model import BuiltKernel, Cell, End, Outcome
from harness.run import group as group_module
from harness.run.group import Group, Limits, Places, check_scenarios, run_groups, share_out

KERNEL = BuiltKernel(
    label="base",
    patches=0,
    key="0",
    release="6.12",
    base="6.12",
    arch="x86_64",
    image=Path("k"),
    config=Path("c"),
    modules=(),
    initramfs=Path("i"),
)
FULL = OSError(errno.ENOSPC, "No space left on device")


def saved(scenarios: str = "") -> Saved:
    facts = {"scenarios": scenarios} if scenarios else {}
    return Saved(spec=SPEC, state=Path("s"), ram=Path("r"), facts=facts)


def cell(mode: str, scenario: str) -> Cell:
    return Cell(kernel="base", mode=mode, backing="tail", mapping="fault", scenario=scenario)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run three cells in each of two modes, one L1 at a time, with a stand-in for run_cell()."""

    def run(run_cell: Callable[[Cell], Outcome], has: str = "", lists: tuple[str, ...] = ()):  # type: ignore[no-untyped-def]
        def save(*rest: object) -> Saved:
            (tmp_path / "results/boots/base").mkdir(parents=True, exist_ok=True)
            return saved(has)

        monkeypatch.setattr(group_module, "save", save)
        monkeypatch.setattr(group_module, "run_cell", lambda _, cell, *rest: run_cell(cell))
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        groups = [
            Group(
                kernel=KERNEL,
                mode=mode,
                cells=tuple(cell(mode.name, name) for name in ("one", "two", "three")),
            )
            for mode in SPEC.arch.modes[:2]
        ]
        places = Places(results=tmp_path / "results", scratch=scratch, scenarios=lists)
        accel = Accel(name="tcg", why="")
        return run_groups(groups, SPEC.arch, accel, places, Limits(), 1, lambda _: None)

    return run


def good(asked: Cell) -> Outcome:
    return Outcome(cell=asked, end=End.reported, status=0)


def test_all_outcomes_come_in_the_order_of_the_plan(run) -> None:  # type: ignore[no-untyped-def]
    outcomes, stopped = run(good)
    names = [(o.cell.mode, o.cell.scenario) for o in outcomes]
    assert names == [(mode, name) for mode in ("tdp", "legacy") for name in ("one", "two", "three")]
    assert stopped == ""


@pytest.mark.parametrize(
    ("error", "said"), [(KeyboardInterrupt(), "interrupted"), (FULL, "No space left on device")]
)
def test_what_ends_a_run_early_leaves_the_cells_that_ran(run, error, said) -> None:  # type: ignore[no-untyped-def]
    ran = []

    def fails(asked: Cell) -> Outcome:
        ran.append(asked)
        if len(ran) == 2:
            raise error
        return good(asked)

    outcomes, stopped = run(fails)
    assert said in stopped
    assert ran[0] in [outcome.cell for outcome in outcomes]
    assert ran[1] not in [outcome.cell for outcome in outcomes]


def group_of(mode: str, cells: int) -> Group:
    modes = {known.name: known for known in SPEC.arch.modes}
    names = [f"cell_{number}" for number in range(cells)]
    return Group(kernel=KERNEL, mode=modes[mode], cells=tuple(cell(mode, name) for name in names))


def test_a_large_group_is_shared_out_and_the_order_stays() -> None:
    groups = [group_of("tdp", 500), group_of("legacy", 10), group_of("shadow", 0)]
    parts = share_out(groups, workers=2)
    assert [len(part.cells) for part in parts] == [64] * 7 + [52, 10, 0]
    assert [c for part in parts for c in part.cells] == [c for g in groups for c in g.cells]
    assert [part.first for part in parts] == [True] + [False] * 7 + [True, True]


def test_what_is_not_worth_a_boot_stays_together() -> None:
    groups = [group_of("tdp", 25), group_of("legacy", 25)]
    assert share_out(groups, workers=2) == groups


def test_the_same_scenarios_on_both_sides_are_right_in_any_order() -> None:
    places = Places(results=Path(), scratch=Path(), scenarios=("b", "a"))
    check_scenarios(saved("a,b,"), places)
    check_scenarios(saved("a"), Places(results=Path(), scratch=Path()))


def test_a_scenario_on_one_side_alone_is_an_error_of_ours(run) -> None:  # type: ignore[no-untyped-def]
    places = Places(results=Path(), scratch=Path(), scenarios=("a", "listed"))
    with pytest.raises(InfraError) as caught:
        check_scenarios(saved("a,coded,"), places)
    assert "listed is in scenarios.toml alone; coded is in the VMM alone" in str(caught.value)
    outcomes, _ = run(good, has="one,two,", lists=("one", "two", "three"))
    assert {outcome.end for outcome in outcomes} == {End.qemu}
    assert "three is in scenarios.toml alone" in outcomes[0].note
