"""One kernel to try cells on, in any order: an L1 is booted and saved when first needed."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from harness.errors import NorefError
from harness.machine.accel import Accel
from harness.machine.l1 import L1Failed, Saved, save
from harness.model import Arch, BuiltKernel, Cell, Outcome
from harness.run.cell import run_cell
from harness.run.group import (
    BOOT,
    Limits,
    Places,
    boot_outcome,
    boot_places,
    check_scenarios,
    l1_spec,
)


class Bench:
    """Runs cells of one kernel, from any thread; get one from opened().

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
    ) -> None:
        self.kernel = kernel
        self._arch = arch
        self._accel = accel
        self._places = places
        self._limits = limits
        self._options = options
        self._locks: dict[str, Lock] = {mode.name: Lock() for mode in arch.modes}
        self._boots: dict[str, tuple[Saved, Outcome] | L1Failed | NorefError] = {}
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
        if isinstance(booted, Exception):
            raise booted
        saved, boot = booted
        if boots:
            return boot
        return run_cell(saved, cell, self._places.results, self._limits.cell, self._options)

    def _boot(self, name: str) -> tuple[Saved, Outcome] | L1Failed | NorefError:
        mode = next(mode for mode in self._arch.modes if mode.name == name)
        label = self.kernel.label
        console, scratch = boot_places(label, name, self._places)
        self.scratches.append(scratch)
        spec = l1_spec(self.kernel, mode, self._arch, self._accel)
        try:
            saved = save(spec, mode, scratch, console, self._limits.boot)
            check_scenarios(saved, self._places)
        except (L1Failed, NorefError) as failure:
            return failure
        return saved, boot_outcome(label, name, console, self._places.results)


@contextmanager
def opened(
    kernel: BuiltKernel,
    arch: Arch,
    accel: Accel,
    places: Places,
    limits: Limits,
    options: str = "",
) -> Iterator[Bench]:
    """Give a bench for a kernel; its saved states go when it is left."""
    bench = Bench(kernel, arch, accel, places, limits, options)
    try:
        yield bench
    finally:
        for scratch in bench.scratches:
            shutil.rmtree(scratch, ignore_errors=True)


def spread(cells: Sequence[Cell]) -> list[Cell]:
    """Order cells so that the first ones differ in scenario, mode, backing and mapping."""
    used: dict[str, int] = defaultdict(int)
    left, ordered = list(cells), []
    while left:
        cell = min(left, key=lambda cell: sum(used[word] for word in _words(cell)))
        left.remove(cell)
        ordered.append(cell)
        for word in _words(cell):
            used[word] += 1
    return ordered


def _words(cell: Cell) -> tuple[str, ...]:
    return cell.scenario, cell.mode, cell.backing, cell.mapping
