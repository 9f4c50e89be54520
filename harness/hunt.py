"""Looking for a cell that notices one seeded bug."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from threading import Event, Lock

import msgspec

from harness.errors import NorefError
from harness.judge.mutants import Fate, Kill, MutantResult, kills_of, lost
from harness.judge.properties import judge_cell
from harness.machine.l1 import L1Failed
from harness.model import Cell, End, Grade, Scenario, Value, Verdict
from harness.run.bench import Bench
from harness.source.progress import Progress

_BROKEN = (End.no_boot, End.no_module)
# How often a cell is run without the bug before what it never lost counts, and with the bug
# until it loses that again: under load, L1 may stall or seem to hang for once.
_RUNS = 5


class Tried(Value):
    """A cell that was run.  folder: its evidence."""

    verdict: Verdict
    folder: str


def try_cell(bench: Bench, cell: Cell, scenarios: Mapping[str, Scenario]) -> Tried:
    """Run a cell and judge it."""
    outcome = bench.run(cell)
    return Tried(verdict=judge_cell(outcome, scenarios[cell.scenario]), folder=outcome.folder)


class Reference:
    """The last kernel of a series without any bug; its cells are run when asked for."""

    def __init__(self, bench: Bench, scenarios: Mapping[str, Scenario]) -> None:
        self._bench = bench
        self._scenarios = scenarios
        self._verdicts: dict[Cell, list[Verdict]] = {}

    def verdicts(self, cell: Cell) -> Iterator[Verdict]:
        """Yield what the same cell says without the bug, each run once; errors say nothing.

        More than one, as a property that comes and goes without the bug must not kill.
        """
        mine = msgspec.structs.replace(cell, kernel=self._bench.kernel.label)
        known = self._verdicts.setdefault(mine, [])
        for number in range(_RUNS):
            if number == len(known):
                known.append(self._judge(mine))
            if known[number].grade is not Grade.error:
                yield known[number]

    def skips(self, cell: Cell) -> bool:
        """Say whether the cell found on this kernel nothing to do."""
        first = next(self.verdicts(cell), None)
        return first is not None and first.grade is Grade.skipped

    def _judge(self, cell: Cell) -> Verdict:
        try:
            return try_cell(self._bench, cell, self._scenarios).verdict
        except (L1Failed, NorefError) as failure:
            return Verdict(cell=cell, grade=Grade.error, reason=str(failure))


class Hunt:
    """Runs the cells of a plan on one mutant, up to the first that kills it or (every) to the end.

    so_far: what is known of the mutant; stop: ends the hunt early.
    """

    def __init__(
        self,
        so_far: MutantResult,
        bench: AbstractContextManager[Bench],
        reference: Reference,
        plan: Sequence[Cell],
        scenarios: Mapping[str, Scenario],
        workers: int,
        every: bool,
        stop: Event,
    ) -> None:
        self._so_far = so_far
        self._bench = bench
        self._reference = reference
        self._plan = plan
        self._scenarios = scenarios
        self._workers = workers
        self._every = every
        self._stop = stop
        self._lock = Lock()
        self._cells = 0
        self._unrepeated: list[str] = []
        self._watcher: Progress | None = None

    def __call__(self) -> MutantResult:
        """Run the cells; errors say nothing, and keep a mutant from having survived."""
        started = time.monotonic()
        kills: list[Kill] = []
        errors, broken = 0, ""
        with self._bench as bench, ThreadPoolExecutor(self._workers) as pool:
            futures = [pool.submit(try_cell, bench, cell, self._scenarios) for cell in self._plan]
            try:
                for future in futures:
                    try:
                        found = self._kills(bench, future.result())
                    except (L1Failed, NorefError) as failure:
                        if isinstance(failure, L1Failed) and failure.end in _BROKEN:
                            broken = str(failure)
                            break
                        found = None
                    self._count()
                    errors += found is None
                    kills += found or ()
                    if (kills and not self._every) or self._stop.is_set():
                        break
            finally:
                pool.shutdown(cancel_futures=True)
        fate = Fate.undecided if errors else Fate.survived
        return msgspec.structs.replace(
            self._so_far,
            fate=Fate.killed if kills else Fate.broken if broken else fate,
            kills=tuple(kills),
            cells=self._cells,
            errors=errors,
            note=broken or "; ".join(self._unrepeated),
            seconds=round(time.monotonic() - started, 1),
        )

    def _kills(self, bench: Bench, tried: Tried) -> tuple[Kill, ...] | None:
        """Return what the cell lost to the bug, and loses again; None if it says nothing."""
        if tried.verdict.grade is Grade.error:
            return None
        references = self._reference.verdicts(tried.verdict.cell)
        if lost(tried.verdict) and next(references, None) is None:
            return None
        references = self._reference.verdicts(tried.verdict.cell)
        kills = kills_of(tried.verdict, references, self._so_far.suspects, tried.folder)
        for _ in range(_RUNS if kills else 0):
            again = try_cell(bench, tried.verdict.cell, self._scenarios).verdict
            props = {finding.prop for finding in lost(again)}
            if any(kill.finding.prop in props for kill in kills):
                return tuple(kill for kill in kills if kill.finding.prop in props)
        for kill in kills:
            finding = kill.finding
            lost_once = f"{finding.cell} lost {finding.prop.value} once in {_RUNS + 1} runs"
            self._unrepeated.append(f"{lost_once}: {finding.evidence}")
        return ()

    def watch(self, progress: Progress) -> None:
        """Tell from now on how far the hunt is."""
        with self._lock:
            self._watcher = progress
            progress.step(f"running cells of {self._so_far.kernel}", len(self._plan))
            progress.advance(self._cells)

    def _count(self) -> None:
        with self._lock:
            self._cells += 1
            if self._watcher is not None:
                self._watcher.advance(1)
