"""One kernel to try cells on, in any order: an L1 is booted and saved when first needed."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from heapq import heappop, heapreplace
from pathlib import Path
from threading import Lock

from harness.machine.accel import Accel
from harness.model import Arch, BuiltKernel, Cell, Outcome
from harness.run.boot import BOOT, Booted, Limits, Places, Unbooted, boot_l1, l1_spec
from harness.run.cell import run_cell
from harness.run.turns import Turns


class Bench:
    """Runs cells of one kernel, from any thread; get one from opened().

    turns: shared by all benches that are used at a time.
    Where L1 doesn't come up, every cell of that mode ends in the same L1Failed or NorefError.
    """

    def __init__(
        self,
        kernel: BuiltKernel,
        arch: Arch,
        accel: Accel,
        places: Places,
        limits: Limits,
        options: str,
        turns: Turns,
    ) -> None:
        self.kernel = kernel
        self._arch = arch
        self._accel = accel
        self._places = places
        self._limits = limits
        self._options = options
        self._turns = turns
        self._locks: dict[str, Lock] = {mode.name: Lock() for mode in arch.modes}
        self._boots: dict[str, Booted | Unbooted] = {}
        self._told: set[Cell] = set()
        self.scratches: list[Path] = []

    def run(self, cell: Cell) -> Outcome:
        """Run a cell on a pristine L1; for the cell BOOT, boot one and return what it said."""
        boots = cell.scenario == BOOT.name
        with self._locks[cell.mode]:
            # The first boot is also that from which cells start.
            if cell.mode not in self._boots or (boots and cell in self._told):
                self._boots[cell.mode] = self._boot(cell.mode)
            if boots:
                self._told.add(cell)
        booted = self._boots[cell.mode]
        if isinstance(booted, Unbooted):
            raise booted.failure
        if boots:
            return booted.boot
        results, limit = self._places.results, self._limits.cell
        parallel = cell.scenario in self._places.parallel
        with self._turns.turn(cell.scenario):
            return run_cell(booted.saved, cell, results, limit, self._options, parallel)

    def _boot(self, name: str) -> Booted | Unbooted:
        mode = next(mode for mode in self._arch.modes if mode.name == name)
        spec = l1_spec(self.kernel, mode, self._arch, self._accel)
        with self._turns.turn(BOOT.name):
            booted = boot_l1(self.kernel.label, mode, spec, self._places, self._limits)
        if isinstance(booted, Booted):
            self.scratches.append(booted.scratch)
        return booted


@contextmanager
def opened(
    kernel: BuiltKernel,
    arch: Arch,
    accel: Accel,
    places: Places,
    limits: Limits,
    options: str,
    turns: Turns,
) -> Iterator[Bench]:
    """Give a bench for a kernel; its saved states go when it is left."""
    bench = Bench(kernel, arch, accel, places, limits, options, turns)
    try:
        yield bench
    finally:
        for scratch in bench.scratches:
            shutil.rmtree(scratch, ignore_errors=True)


def spread(cells: Sequence[Cell]) -> list[Cell]:
    """Order cells so that the first ones differ in scenario, mode, backing and mapping."""
    used: dict[str, int] = defaultdict(int)
    words = [(cell.scenario, cell.mode, cell.backing, cell.mapping) for cell in cells]
    ordered = []
    # How often a cell's words were used, when it was last counted: that only grows.
    left = [(0, number) for number in range(len(cells))]
    while left:
        counted, number = left[0]
        count = sum([used[word] for word in words[number]])
        if count > counted:
            heapreplace(left, (count, number))
            continue
        heappop(left)
        ordered.append(cells[number])
        for word in words[number]:
            used[word] += 1
    return ordered
