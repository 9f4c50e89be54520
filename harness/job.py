"""The jobs behind the commands: the rooms put together, from source to judgement."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path

import msgspec

from harness import lifetime
from harness.build.cache import Cache
from harness.build.kernel import FailedKernel, build_kernels
from harness.build.tools import missing_tools, packages
from harness.errors import InfraError, UserError
from harness.judge.result import KernelState, RunResult, Setting, judge_run, together
from harness.machine.accel import choose_accel
from harness.machine.shell import connect, interact, run_command
from harness.model import BuiltKernel, Cell, Outcome, Value
from harness.order import Order, Sources, choose, look_up, places_of, read_sources
from harness.run.boot import BOOT, l1_spec
from harness.run.catalogue import parse_cell, plan_cells, read_catalogue
from harness.run.group import Group, run_groups
from harness.source.base import find_base
from harness.source.progress import Progress

# What one L1 takes of the machine's memory, QEMU's own included.  MiB.
_L1_MEMORY = 768


class Ran(Value):
    """What came of running cells.  stopped: why not all of them, if so; folder: the evidence."""

    outcomes: tuple[Outcome, ...]
    stopped: str
    folder: Path


def test(
    orders: Sequence[Order],
    modes: Sequence[str],
    scenarios: Sequence[str],
    full: bool,
    progress: Progress,
) -> tuple[RunResult, Path]:
    """Build all kernels, run all cells, judge; return the result and the folder of evidence.

    The orders differ in their architecture alone.
    """
    choices = [choose(order, modes, scenarios, full=full) for order in orders]
    prepared = [_prepare(order, progress) for order in orders]
    with run_folder(orders[0].results) as folder:
        results = []
        for order, choice, (sources, site) in zip(orders, choices, prepared, strict=True):
            started = time.monotonic()
            built = site.build(order, sources, sources.steps)
            labels = [kernel.label for kernel in built if isinstance(kernel, BuiltKernel)]
            cells = plan_cells(choice.scenarios, order.arch, labels, choice.modes, full=full)
            ran = site.run(order, [(order, built, cells)], folder)
            complete = len(labels) == len(built) and not modes and not scenarios
            results.append(_conclude(order, sources, site, built, ran, started, complete))
            if ran.stopped:
                break
    return together(results), folder


def rerun(order: Order, text: str, repeat: int, progress: Progress) -> tuple[RunResult, Path]:
    """Run one cell, as often as asked, each time on a pristine L1.

    Without known facts the base is what a series is judged by, so the cell runs there too.
    """
    started = time.monotonic()
    cell = parse_cell(text, read_catalogue(order.guest), order.arch)
    sources, site = _prepare(order, progress)
    step = _step(sources, cell.kernel)
    first = sources.steps[0]
    cells = [cell] * repeat
    if sources.expected is None and step != first:
        cells.insert(0, msgspec.structs.replace(cell, kernel=sources.label(first)))
    built = site.build(order, sources, sorted({first, step}))
    ran = site.run(order, [(order, built, cells)])
    return _conclude(order, sources, site, built, ran, started), ran.folder


@contextmanager
def shell(
    order: Order, label: str, mode: str, command: Sequence[str], progress: Progress
) -> Iterator[Callable[[], int]]:
    """Boot the kernel of that label; the caller gets a function that gives the user the shell."""
    names = [known.name for known in order.arch.modes]
    number = names.index(look_up("mode", [mode or names[0]], names)[0])
    sources, site = _prepare(order, progress)
    kernel = site.build(order, sources, sorted({sources.steps[0], _step(sources, label)}))[-1]
    if isinstance(kernel, FailedKernel):
        raise kernel.error
    spec = l1_spec(kernel, order.arch.modes[number], order.arch, site.accel)
    progress.step(f"booting {label} in mode {names[number]}", None)
    with (
        run_folder(order.results, judged=False) as folder,
        lifetime.scratch(order.cache / "tmp") as scratch,
        connect(spec, scratch, folder / "console.log", order.limits.boot) as session,
    ):
        yield lambda: run_command(session, command) if command else interact(session)


class Site:
    """Where kernels are built and run: the cache, the base, the accelerator."""

    def __init__(self, order: Order, progress: Progress) -> None:
        _check_tools(order)
        _check_results(order.results)
        self.cache = Cache(order.cache)
        self.base = find_base(order.kernel_src, order.version, self.cache.folder / "tarballs")
        self.accel = choose_accel(order.arch)
        self.progress = progress
        progress.note(self.accel.why)

    def build(
        self, order: Order, sources: Sources, steps: Sequence[int]
    ) -> list[BuiltKernel | FailedKernel]:
        """Build some kernels of a series."""
        return list(
            build_kernels(
                sources.base,
                sources.series,
                order.arch,
                self.cache,
                order.guest,
                self.progress,
                steps=steps,
                fragment=order.config,
            )
        )

    def run(
        self,
        order: Order,
        plan: Sequence[tuple[Order, Sequence[BuiltKernel | FailedKernel], Sequence[Cell]]],
        folder: Path | None = None,
    ) -> Ran:
        """Run cells, each entry of the plan on its own kernels; order says how.

        folder: where the evidence goes, a new folder if None.
        """
        groups = [group for entry in plan for group in _groups(*entry)]
        count = sum(len(group.cells) for group in groups)
        with (
            nullcontext(folder) if folder else run_folder(order.results) as results,
            lifetime.scratch(order.cache / "tmp") as scratch,
        ):
            places = places_of(order, results, scratch)
            self.progress.step(f"running {count} cells", count)
            outcomes, stopped = run_groups(
                groups,
                order.arch,
                self.accel,
                places,
                order.limits,
                workers_for(order.workers),
                lambda _: self.progress.advance(1),
            )
        return Ran(outcomes=tuple(outcomes), stopped=stopped, folder=results)


def _prepare(order: Order, progress: Progress) -> tuple[Sources, Site]:
    site = Site(order, progress)
    return read_sources(order, site.base), site


def _step(sources: Sources, label: str) -> int:
    """Look up the kernel of that label."""
    labels = [sources.label(step) for step in sources.steps]
    return sources.steps[labels.index(look_up("kernel", [label], labels)[0])]


def _check_results(results: Path) -> None:
    """Fail before minutes of building, not after."""
    try:
        results.mkdir(parents=True, exist_ok=True)
        writable = os.access(results, os.W_OK)
    except OSError as error:
        raise UserError(f"making {results}", str(error), "use --results") from error
    if not writable:
        raise UserError(f"using {results}", "it can't be written", "use --results")


def _check_tools(order: Order) -> None:
    lacking = missing_tools(order.arch, None if order.kernel_src else order.version)
    missing = tuple(tool for tool in lacking if not tool.optional)
    if missing:
        raise UserError(
            "looking for what building and running needs",
            f"not there: {', '.join(tool.what for tool in missing)}",
            f"install it, on Debian: apt-get install {' '.join(packages(missing))}",
        )


def _groups(
    order: Order, kernels: Sequence[BuiltKernel | FailedKernel], cells: Sequence[Cell]
) -> Iterator[Group]:
    for kernel in kernels:
        for mode in order.arch.modes:
            mine = [c for c in cells if (c.kernel, c.mode) == (kernel.label, mode.name)]
            if mine and isinstance(kernel, BuiltKernel):
                yield Group(kernel=kernel, mode=mode, cells=tuple(mine), options=order.options)


def _conclude(
    order: Order,
    sources: Sources,
    site: Site,
    built: Sequence[BuiltKernel | FailedKernel],
    ran: Ran,
    started: float,
    complete: bool = False,
) -> RunResult:
    made = {kernel.patches: kernel for kernel in built}
    setting = Setting(
        series=sources.name,
        origin=sources.series.origin if sources.series else "",
        base=sources.base.version,
        arch=order.arch.name,
        accel=site.accel.why,
        kernels=tuple(state(order, sources, step, made.get(step)) for step in sources.steps),
        modes=tuple(mode.name for mode in order.arch.modes),
    )
    scenarios = (*read_catalogue(order.guest), BOOT)
    seconds = round(time.monotonic() - started, 1)
    return judge_run(
        setting,
        ran.outcomes,
        scenarios,
        sources.expected,
        seconds,
        ran.stopped,
        complete=complete,
    )


def state(
    order: Order, sources: Sources, step: int, kernel: BuiltKernel | FailedKernel | None
) -> KernelState:
    """Say of a kernel what the result needs to know; None if this run had no use for it."""
    series = sources.series
    release, failure, log = "", "", ""
    if isinstance(kernel, BuiltKernel):
        release = kernel.release
    elif isinstance(kernel, FailedKernel):
        failure, log = str(kernel.error), str(kernel.error.log or "")
    return KernelState(
        label=sources.label(step),
        patches=step,
        subject=series.patches[step - 1].subject if series and step else sources.base.version,
        release=release,
        failure=failure,
        log=log,
        options=order.options,
    )


def workers_for(wanted: int) -> int:
    """Return how many L1s run side by side: as many as asked, if memory has room for them."""
    meminfo = Path("/proc/meminfo").read_text()
    available = next(line for line in meminfo.splitlines() if line.startswith("MemAvailable:"))
    free = int(available.split()[1]) >> 10
    return max(1, min(wanted, free // _L1_MEMORY))


@contextmanager
def run_folder(results: Path, *, judged: bool = True) -> Iterator[Path]:
    """Yield a new folder for one run's evidence, with `latest` pointing at it if it is to be
    judged: a shell has no result."""
    name = datetime.now().strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}"
    folder = results.resolve() / name
    try:
        folder.mkdir(parents=True)
        if judged:
            link = folder.parent / f".latest-{os.getpid()}"
            link.symlink_to(name)
            link.rename(folder.parent / "latest")
    except OSError as error:
        raise InfraError(
            f"making a folder for the results below {results}", str(error), "use --results"
        ) from error
    yield folder
