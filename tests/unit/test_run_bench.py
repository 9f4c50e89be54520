"""A bench boots an L1 when a cell first needs one, and says what each boot said."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import msgspec
import pytest
from test_run_group import KERNEL, cell, good, saved
from test_run_ktap import SPEC

from harness.machine.accel import Accel
from harness.machine.l1 import L1Failed, Saved
from harness.model import Cell, End, Outcome
from harness.run import bench as bench_module
from harness.run import boot as boot_module
from harness.run.bench import Bench, opened
from harness.run.boot import Limits, Places, boot_cell
from harness.run.turns import Turns


class Boots:
    """Stands in for save() and run_cell(), and notes the modes that were booted."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.modes: list[str] = []
        self.failure: L1Failed | None = None
        self.scratch = folder / "scratch"
        self.turns = Turns(("alone",))
        self.places = Places(results=folder / "results", scratch=self.scratch)
        monkeypatch.setattr(boot_module, "save", self._save)
        monkeypatch.setattr(bench_module, "run_cell", lambda _, asked, *rest: good(asked))

    def _save(self, _: object, mode: object, folder: Path, console: Path, limit: float) -> Saved:
        self.modes.append(getattr(mode, "name", ""))
        if self.failure is not None:
            raise self.failure
        return saved()

    def opened(self):  # type: ignore[no-untyped-def]
        accel = Accel(name="tcg", why="")
        return opened(KERNEL, SPEC.arch, accel, self.places, Limits(), "", self.turns)


@pytest.fixture
def boots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Boots:
    return Boots(tmp_path, monkeypatch)


def test_each_mode_is_booted_once_when_a_cell_needs_it(boots: Boots) -> None:
    with boots.opened() as bench:
        assert isinstance(bench, Bench)
        for mode in ("legacy", "tdp", "legacy"):
            assert bench.run(cell(mode, "one")).cell.mode == mode
        assert boots.modes == ["legacy", "tdp"]
    assert list(boots.scratch.iterdir()) == []


def test_a_boot_is_a_cell_that_boots_anew_when_it_is_run_again(boots: Boots) -> None:
    with boots.opened() as bench:
        boot = boot_cell("base", "tdp")
        bench.run(cell("tdp", "one"))
        folders = [bench.run(boot).folder for _ in range(3)]
    assert boots.modes == ["tdp"] * 3
    assert folders == ["boots/base/tdp", "boots/base/tdp.2", "boots/base/tdp.3"]


def test_an_l1_that_does_not_come_up_is_told_for_each_cell_and_booted_once(boots: Boots) -> None:
    boots.failure = L1Failed(End.no_boot, "L1 gave no answer")
    with boots.opened() as bench:
        for name in ("one", "two"):
            with pytest.raises(L1Failed, match="no answer"):
                bench.run(msgspec.structs.replace(cell("tdp", name)))
    assert boots.modes == ["tdp"]


def test_a_cell_that_runs_alone_keeps_the_cells_of_other_benches_waiting(
    boots: Boots, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = Event()
    said: list[str] = []

    def run_cell(_: object, asked: Cell, *rest: object) -> Outcome:
        said.append(f"{asked.scenario} begins")
        begun.set()
        Event().wait(0.05)  # the time for the other to begin, if it may
        said.append(f"{asked.scenario} ends")
        return good(asked)

    monkeypatch.setattr(bench_module, "run_cell", run_cell)
    with boots.opened() as one, boots.opened() as other, ThreadPoolExecutor(2) as pool:
        other.run(cell("tdp", "first"))
        for first, second in (("alone", "shared"), ("shared", "alone")):
            said.clear()
            begun.clear()
            runs = [pool.submit(one.run, cell("tdp", first))]
            assert begun.wait(20)
            runs.append(pool.submit(other.run, cell("tdp", second)))
            for run in runs:
                run.result()
            names = [f"{name} {what}" for name in (first, second) for what in ("begins", "ends")]
            assert said == names
