"""Running groups of cells: what ends a run early, and a VMM that is not that of the list."""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Event, Lock

import pytest
from test_run_ktap import SPEC

from harness.errors import InfraError
from harness.machine.accel import Accel
from harness.machine.l1 import Saved
from harness.model import BuiltKernel, Cell, End, Mode, Outcome
from harness.run import boot as boot_module
from harness.run import group as group_module
from harness.run.boot import Limits, Places, check_scenarios
from harness.run.group import Group, run_groups

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

        monkeypatch.setattr(boot_module, "save", save)
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


def test_a_full_disk_leaves_the_cells_that_ran(run) -> None:  # type: ignore[no-untyped-def]
    ran = []

    def fails(asked: Cell) -> Outcome:
        ran.append(asked)
        if len(ran) == 2:
            raise FULL
        return good(asked)

    outcomes, stopped = run(fails)
    assert "No space left on device" in stopped
    assert ran[0] in [outcome.cell for outcome in outcomes]
    assert ran[1] not in [outcome.cell for outcome in outcomes]


@pytest.mark.parametrize("which", [1, 2])
def test_an_interrupt_lets_what_runs_come_to_its_end(
    run,  # type: ignore[no-untyped-def]
    which: int,
    minded: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop = group_module._Crew.stop
    stopping = Event()
    ran = []

    def stops(crew: group_module._Crew) -> None:
        stop(crew)
        stopping.set()

    def interrupted(asked: Cell) -> Outcome:
        ran.append(asked)
        if len(ran) == which:
            signal.raise_signal(signal.SIGINT)
            assert stopping.wait(20), "the main thread was not woken"
        return good(asked)

    monkeypatch.setattr(group_module._Crew, "stop", stops)
    outcomes, stopped = run(interrupted)
    assert stopped == "interrupted"
    assert [outcome.cell for outcome in outcomes] == ran
    assert len(ran) == which


def test_all_threads_run_the_cells_of_one_l1_which_is_booted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boots: list[str] = []
    there: list[int] = []
    together = Barrier(3, timeout=20)
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def save(_: object, mode: Mode, *rest: object) -> Saved:
        boots.append(mode.name)
        return saved()

    def run_cell(_: object, asked: Cell, *rest: object) -> Outcome:
        if asked.mode == "tdp":
            together.wait()  # never comes back where fewer threads than three run this mode
        there.append(len(list(scratch.iterdir())))
        return good(asked)

    monkeypatch.setattr(boot_module, "save", save)
    monkeypatch.setattr(group_module, "run_cell", run_cell)
    names = [f"cell_{number}" for number in range(6)]
    groups = [
        Group(kernel=KERNEL, mode=mode, cells=tuple(cell(mode.name, name) for name in names))
        for mode in SPEC.arch.modes
    ]
    places = Places(results=tmp_path / "results", scratch=scratch)
    accel = Accel(name="tcg", why="")
    outcomes, _ = run_groups(groups, SPEC.arch, accel, places, Limits(), 3, lambda _: None)
    assert [o.cell for o in outcomes] == [cell for group in groups for cell in group.cells]
    assert sorted(boots) == sorted(mode.name for mode in SPEC.arch.modes)
    assert max(there) <= 4
    assert list(scratch.iterdir()) == []


def test_a_cell_that_is_to_run_alone_has_no_other_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = Lock()
    running: set[Cell] = set()
    beside: dict[Cell, int] = {}
    parallel: set[str] = set()

    def run_cell(_: object, asked: Cell, *rest: object) -> Outcome:
        if rest[-1]:
            parallel.add(asked.scenario)
        with lock:
            running.add(asked)
            beside[asked] = len(running) - 1
        Event().wait(0.01)  # the time for others to begin, if they may
        with lock:
            beside[asked] = max(beside[asked], len(running) - 1)
            running.remove(asked)
        return good(asked)

    monkeypatch.setattr(boot_module, "save", lambda *_: saved())
    monkeypatch.setattr(group_module, "run_cell", run_cell)
    (tmp_path / "scratch").mkdir()
    names = ("alone_1", "together_1", "alone_2", "together_2", "together_3", "alone_3")
    alone = tuple(name for name in names if name.startswith("alone"))
    groups = [
        Group(kernel=KERNEL, mode=mode, cells=tuple(cell(mode.name, name) for name in names))
        for mode in SPEC.arch.modes
    ]
    places = Places(
        results=tmp_path, scratch=tmp_path / "scratch", alone=alone, parallel=("alone_1",)
    )
    accel = Accel(name="tcg", why="")
    outcomes, _ = run_groups(groups, SPEC.arch, accel, places, Limits(), 3, lambda _: None)
    assert [o.cell for o in outcomes] == [cell for group in groups for cell in group.cells]
    assert {n for asked, n in beside.items() if asked.scenario in alone} == {0}
    assert parallel == {"alone_1"}


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
