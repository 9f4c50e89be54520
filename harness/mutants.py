"""The job of `noref mutants`: does some cell notice each seeded bug?

A mutant is built while the cells of the one before it run.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from threading import Event

import msgspec

from harness import lifetime
from harness.build.kernel import FailedKernel
from harness.build.workshop import locked_tree
from harness.errors import UserError
from harness.hunt import Hunt, Reference
from harness.interrupt import wait_for
from harness.job import Site, run_folder, workers_for
from harness.judge.mutants import Fate, MutantResult, MutantsResult
from harness.model import INTERRUPTED, BuiltKernel, Cell, Mode, Scenario
from harness.order import Order, places_of, read_sources
from harness.run.bench import Bench, opened, spread
from harness.run.boot import BOOT, Places, boot_cell
from harness.run.catalogue import plan_cells, read_catalogue
from harness.run.turns import Turns
from harness.source.apply import DoesNotApply, overlays
from harness.source.mutants import Mutant, read_mutants
from harness.source.progress import Progress
from harness.source.tree import Tree


def hunt_mutants(
    order: Order,
    names: Sequence[str],
    folder: Path | None,
    every: bool,
    progress: Progress,
    tell: Callable[[MutantResult], None],
) -> tuple[MutantsResult, Path]:
    """Build each mutant and run cells on it until one kills it; all cells if every is set.

    folder: where the mutants lie, the bundled ones if None; tell: gets each result at once.
    """
    started = time.monotonic()
    bundled = order.bundled / order.version
    series = sorted(path.parent.name for path in bundled.glob("*/series"))
    mutants = read_mutants(folder or bundled / "mutants", names, series)
    _check(mutants, [scenario.name for scenario in read_catalogue(order.guest)])
    mutants = _of_arch(mutants, order.arch.name, named=bool(names))
    site = Site(order, progress)
    placed = [(m, m.series or _find_series(order, m, series, site)) for m in mutants]
    placed.sort(key=lambda pair: (pair[1], pair[0].name))
    results: list[MutantResult] = []
    stopped = ""

    def done(result: MutantResult) -> None:
        results.append(result)
        tell(result)

    with run_folder(order.results) as evidence, ExitStack() as stack:
        scratch = stack.enter_context(lifetime.scratch(order.cache / "tmp"))
        places = places_of(order, evidence, scratch)
        stop = Event()
        lab = _Lab(order, site, places, every, stop, stack)
        try:
            _hunt_all(lab, placed, done, progress, stop)
        except (KeyboardInterrupt, OSError) as error:
            stopped = str(error) or INTERRUPTED
    result = MutantsResult(
        base=site.base.version,
        arch=order.arch.name,
        accel=site.accel.why,
        mutants=tuple(sorted(results, key=lambda one: (one.series, one.name))),
        planned=len(mutants),
        seconds=round(time.monotonic() - started, 1),
        stopped=stopped,
    )
    return result, evidence


def _check(mutants: Sequence[Mutant], known: Sequence[str]) -> None:
    seen: dict[tuple[str, str], Path] = {}
    for mutant in mutants:
        wrong = [name for name in mutant.suspects if name not in known]
        tried = f"reading the mutant {mutant.path}"
        if wrong:
            came = f"there is no scenario {', '.join(wrong)}, which it suspects"
            raise UserError(tried, came, f"use: {', '.join(known)}")
        other = seen.setdefault((mutant.series, mutant.name), mutant.path)
        if other != mutant.path:
            raise UserError(tried, f"{other} has the same name", "rename one of them")


def _of_arch(mutants: Sequence[Mutant], arch: str, *, named: bool) -> list[Mutant]:
    """Leave out what is a bug on another architecture alone; named: somebody asked for each."""
    others = [mutant for mutant in mutants if mutant.arch not in ("", arch)]
    if others and (named or len(others) == len(mutants)):
        raise UserError(
            f"choosing mutants for {arch}",
            f"{others[0].name} is one for {others[0].arch}",
            f"use --arch {others[0].arch}",
        )
    return [mutant for mutant in mutants if mutant not in others]


def _find_series(order: Order, mutant: Mutant, series: Sequence[str], site: Site) -> str:
    """Return the first bundled series of the base on which the mutant applies; empty if none."""
    with locked_tree(site.cache, site.base, site.progress) as (folder, _):
        for name in series:
            found = read_sources(_on(order, name), site.base).series
            if found is None:
                continue
            try:
                overlays(Tree(folder).pristine, mutant.on(found))
            except DoesNotApply:
                continue
            return name
    return ""


def _on(order: Order, series: str, mutant: Path | None = None) -> Order:
    words = ["--series", series, *(["--mutant", str(mutant)] if mutant else [])]
    options = " ".join(filter(None, (order.options, shlex.join(words))))
    return msgspec.structs.replace(order, series=series, mutant=mutant, options=options)


def _hunt_all(
    lab: _Lab,
    placed: Sequence[tuple[Mutant, str]],
    done: Callable[[MutantResult], None],
    progress: Progress,
    stop: Event,
) -> None:
    """Hunt one mutant after the other in a thread beside this one, which builds the next."""
    with ThreadPoolExecutor(1) as hunter:

        def run(hunt: Hunt) -> None:
            result = hunt()
            if result.kills or not stop.is_set():
                done(result)

        running: tuple[Hunt, Future[None]] | None = None
        try:
            for pair in (*placed, None):
                made = lab.build(*pair) if pair else None
                if running is not None:
                    hunt, future = running
                    hunt.watch(progress)
                    wait_for([future])
                running = None
                if isinstance(made, MutantResult):
                    done(made)
                elif made is not None:
                    running = made, hunter.submit(run, made)
        finally:
            stop.set()


class _Lab:
    """What all mutants of a run share: where they are built and run, and the references."""

    def __init__(
        self,
        order: Order,
        site: Site,
        places: Places,
        every: bool,
        stop: Event,
        stack: ExitStack,
    ) -> None:
        self._order = order
        self._site = site
        self._places = places
        self._every = every
        self._stop = stop
        self._stack = stack
        self._listed = read_catalogue(order.guest)
        self._scenarios = {scenario.name: scenario for scenario in (*self._listed, BOOT)}
        self._references: dict[str, tuple[BuiltKernel, Reference]] = {}
        self._rests: dict[str, tuple[list[str], list[Cell]]] = {}
        self._turns = Turns(places.alone)

    def build(self, mutant: Mutant, series: str) -> Hunt | MutantResult:
        """Build a mutant, and its series' last kernel where that isn't there yet.

        A result is that of a mutant which can't be run.
        """
        order = _on(self._order, series, mutant.path)
        result = MutantResult(
            name=mutant.name,
            title=mutant.patch.subject,
            series=series,
            path=str(mutant.path),
            kernel="",
            fate=Fate.invalid,
            suspects=mutant.suspects,
            options=order.options,
        )
        if not series:
            return msgspec.structs.replace(result, note="it applies on no bundled series")
        sources = read_sources(order, self._site.base)
        result = msgspec.structs.replace(result, kernel=sources.label(sources.steps[-1]))
        unbroken, reference = self._reference(series)
        try:
            (kernel,) = self._site.build(order, sources, sources.steps[-1:])
        except DoesNotApply as error:
            return msgspec.structs.replace(result, note=f"{error.tried}: {error.came}")
        if isinstance(kernel, FailedKernel):
            note = f"{kernel.error.tried}: {kernel.error.came}"
            log = str(kernel.error.log or "")
            return msgspec.structs.replace(result, note=note, log=log)
        if kernel.image.read_bytes() == unbroken.image.read_bytes():
            note = f"it changes nothing in what is built for {kernel.arch}"
            return msgspec.structs.replace(result, note=note)
        return Hunt(
            result,
            self._bench(kernel, order.options),
            reference,
            self._plan(kernel.label, series, mutant.suspects),
            self._scenarios,
            workers_for(order.workers),
            self._every,
            self._stop,
        )

    def _reference(self, series: str) -> tuple[BuiltKernel, Reference]:
        if series not in self._references:
            order = _on(self._order, series)
            sources = read_sources(order, self._site.base)
            (kernel,) = self._site.build(order, sources, sources.steps[-1:])
            if isinstance(kernel, FailedKernel):
                raise kernel.error
            bench = self._stack.enter_context(self._bench(kernel, order.options))
            self._references[series] = kernel, Reference(bench, self._scenarios)
        return self._references[series]

    def _bench(self, kernel: BuiltKernel, options: str) -> AbstractContextManager[Bench]:
        arch, limits, accel = self._order.arch, self._order.limits, self._site.accel
        return opened(kernel, arch, accel, self._places, limits, options, self._turns)

    def _plan(self, label: str, series: str, suspects: Sequence[str]) -> list[Cell]:
        """Return every cell: suspects, main ones, the rest; a mode's boot before its first."""
        if series not in self._rests:
            modes = self._modes(series)
            main, full = (self._cells(self._listed, modes, full) for full in (False, True))
            self._rests[series] = modes, [*main, *full]
        modes, rest = self._rests[series]
        accused = [scenario for scenario in self._listed if scenario.name in suspects]
        plan: dict[Cell, None] = {}
        for cell in (*self._cells(accused, modes, True), *rest):
            plan.setdefault(boot_cell(label, cell.mode))
            plan.setdefault(msgspec.structs.replace(cell, kernel=label))
        return list(plan)

    def _modes(self, series: str) -> list[str]:
        """Return the modes, of the special ones those in which the series has something to do."""
        _, reference = self._reference(series)

        def is_of_use(mode: Mode) -> bool:
            if not mode.special:
                return True
            cells = self._cells(self._listed, [mode.name], True)
            return bool(cells) and not reference.skips(cells[0])

        return [mode.name for mode in self._order.arch.modes if is_of_use(mode)]

    def _cells(self, scenarios: Sequence[Scenario], modes: Sequence[str], full: bool) -> list[Cell]:
        return spread(plan_cells(scenarios, self._order.arch, [""], modes, full=full))
