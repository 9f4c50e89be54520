"""Running the cells of many kernels and modes: one boot for each, and its cells side by side."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Condition

from harness.dmesg import find_splats
from harness.interrupt import wait_for
from harness.machine.accel import Accel
from harness.machine.l1 import L1Failed
from harness.machine.qemu import Spec
from harness.model import INTERRUPTED, Arch, BuiltKernel, Cell, End, Mode, Outcome, Value
from harness.run.boot import BOOT, Booted, Limits, Places, Unbooted, boot_l1, l1_spec
from harness.run.cell import cell_folder, keep, read_log, run_cell
from harness.run.turns import Turns


class Group(Value):
    """The cells of one kernel and mode.

    options: what chooses the kernel on noref's command line, for the commands in the evidence.
    """

    kernel: BuiltKernel
    mode: Mode
    cells: tuple[Cell, ...]
    options: str = ""


def run_groups(
    groups: Sequence[Group],
    arch: Arch,
    accel: Accel,
    places: Places,
    limits: Limits,
    workers: int,
    tell: Callable[[Outcome], None],
) -> tuple[list[Outcome], str]:
    """Run the groups' cells side by side; return all outcomes in the order of the plan.

    An interrupt, or a machine that refuses (a full disk), lets the cells that run come to their
    end and starts no more: then the second value says what it was.
    """
    specs = [l1_spec(group.kernel, group.mode, arch, accel) for group in groups]
    turns = Turns(places.alone)
    pairs = zip(groups, specs, strict=True)
    runs = [_Run(group, spec, places, limits, turns, tell) for group, spec in pairs]
    crew = _Crew(runs)
    stopped = ""
    with ThreadPoolExecutor(workers) as pool:
        try:
            wait_for(pool.submit(crew.work) for _ in range(workers))
        except (KeyboardInterrupt, OSError) as error:
            stopped = str(error) or INTERRUPTED
        finally:
            crew.stop()
    for run in runs:
        run.clean()
    return [outcome for run in runs for outcome in run.outcomes()], stopped


class _Run:
    """A group while it runs.  Its cells may be run by several threads, booting it by one."""

    def __init__(
        self,
        group: Group,
        spec: Spec,
        places: Places,
        limits: Limits,
        turns: Turns,
        tell: Callable[[Outcome], None],
    ) -> None:
        self.waiting: deque[int] = deque()
        self._group = group
        self._spec = spec
        self._places = places
        self._limits = limits
        self._turns = turns
        self._tell = tell
        self._booted: Booted | None = None
        self._outcomes: dict[int, Outcome] = {}

    def boot(self) -> None:
        """Boot L1; its cells wait then, or have their outcomes if it doesn't come up.

        Those that run alone come last: each waits until the other threads are at their end.
        """
        group, alone = self._group, self._places.alone
        with self._turns.turn(BOOT.name):
            booted = boot_l1(group.kernel.label, group.mode, self._spec, self._places, self._limits)
        if isinstance(booted, Unbooted):
            for number, cell in enumerate(group.cells):
                self._add(number, self._unbooted(cell, booted))
            return
        self._booted = booted
        if booted.boot.splats:
            self._add(-1, booted.boot)
        numbers = range(len(group.cells))
        self.waiting.extend(sorted(numbers, key=lambda n: group.cells[n].scenario in alone))

    def run(self, number: int) -> None:
        """Run one of the cells that wait."""
        assert self._booted
        cell, options = self._group.cells[number], self._group.options
        saved, results = self._booted.saved, self._places.results
        parallel = cell.scenario in self._places.parallel
        with self._turns.turn(cell.scenario):
            outcome = run_cell(saved, cell, results, self._limits.cell, options, parallel)
        self._add(number, outcome)
        if len(self._outcomes.keys() - {-1}) == len(self._group.cells):
            self.clean()

    def clean(self) -> None:
        """Remove L1's saved state."""
        if self._booted:
            shutil.rmtree(self._booted.scratch, ignore_errors=True)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what came out, in the order of the plan; a boot that complained comes first."""
        for number in sorted(self._outcomes):
            yield self._outcomes[number]

    def _add(self, number: int, outcome: Outcome) -> None:
        self._outcomes[number] = outcome
        self._tell(outcome)

    def _unbooted(self, cell: Cell, unbooted: Unbooted) -> Outcome:
        failure, console, results = unbooted.failure, unbooted.console, self._places.results
        folder = cell_folder(results, cell)
        if console.exists():
            shutil.copyfile(console, folder / "console.log")
        outcome = Outcome(
            cell=cell,
            end=failure.end if isinstance(failure, L1Failed) else End.qemu,
            note=f"{failure}; log: {console}",
            splats=find_splats(read_log(console)),
            folder=str(folder.relative_to(results)),
        )
        keep(outcome, self._group.options, self._spec.by_hand(), folder)
        return outcome


class _Crew:
    """Threads that take what is next: a cell of the first L1 that has one left, else a boot.

    So at most as many saved L1s lie there at a time as there are threads, and one more.
    """

    def __init__(self, runs: Sequence[_Run]) -> None:
        self._unbooted = deque(runs)
        self._booted: list[_Run] = []
        self._busy = 0
        self._stopped = False
        self._news = Condition()

    def work(self) -> None:
        """Work until nothing is left, or an exception comes out of it."""
        try:
            while task := self._next():
                task()
                self._done()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Let each thread finish what it is at."""
        with self._news:
            self._stopped = True
            self._news.notify_all()

    def _next(self) -> Callable[[], None] | None:
        with self._news:
            while not self._stopped:
                if task := self._find():
                    self._busy += 1
                    return task
                if not self._busy:
                    break
                self._news.wait()
        return None

    def _find(self) -> Callable[[], None] | None:
        for run in self._booted:
            if run.waiting:
                return partial(run.run, run.waiting.popleft())
        return partial(self._boot, self._unbooted.popleft()) if self._unbooted else None

    def _boot(self, run: _Run) -> None:
        run.boot()
        with self._news:
            self._booted.append(run)

    def _done(self) -> None:
        with self._news:
            self._busy -= 1
            self._news.notify_all()
