"""The jobs behind the commands: the rooms put together, from source to judgement."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from harness import lifetime
from harness.build.cache import Cache
from harness.build.kernel import FailedKernel, build_kernels
from harness.build.tools import missing_tools, packages
from harness.errors import InfraError, UserError
from harness.judge.expected import Expected, read_expected
from harness.judge.result import KernelState, RunResult, Setting, judge_run
from harness.machine.accel import Accel, choose_accel
from harness.machine.shell import connect, interact, run_command
from harness.model import Arch, BuiltKernel, Cell, Mode, Outcome, Series, Value
from harness.report.write import write_all
from harness.run.catalogue import parse_cell, plan_cells, read_catalogue
from harness.run.group import BOOT, Group, Limits, Places, l1_spec, run_groups
from harness.source.base import Base, find_base
from harness.source.progress import Progress
from harness.source.series import read_series

# What one L1 takes of the machine's memory, QEMU's own included.  MiB.
_L1_MEMORY = 768


class Order(Value):
    """What the user asked for, in the words of the command line."""

    version: str
    kernel_src: str | None
    series: str
    bundled: Path
    guest: Path
    arch: Arch
    config: Path | None
    cache: Path
    workers: int
    limits: Limits
    results: Path
    options: str = ""


class _Sources(Value):
    base: Base
    series: Series | None
    expected: Expected | None

    @property
    def labels(self) -> list[str]:
        if self.series is None:
            return ["base"]
        return [self.series.label(k) for k in range(len(self.series.patches) + 1)]


def test(
    order: Order,
    modes: Sequence[str],
    scenarios: Sequence[str],
    full: bool,
    progress: Progress,
) -> tuple[RunResult, Path]:
    """Build all kernels, run all cells, judge; return the result and the folder of evidence."""
    started = time.monotonic()
    chosen_modes = _choose("mode", modes, [mode.name for mode in order.arch.modes])
    catalogue = read_catalogue(order.guest)
    chosen = _choose("scenario", scenarios, [scenario.name for scenario in catalogue])
    wanted = [scenario for scenario in catalogue if scenario.name in chosen]
    sources, accel, built = _prepare(order, progress, None)
    ready = [kernel for kernel in built if isinstance(kernel, BuiltKernel)]
    labels = [kernel.label for kernel in ready]
    cells = plan_cells(wanted, order.arch, labels, chosen_modes, full=full)
    outcomes, folder = _run(order, accel, ready, cells, progress)
    return _conclude(order, sources, accel, built, outcomes, folder, started), folder


def rerun(order: Order, text: str, repeat: int, progress: Progress) -> tuple[RunResult, Path]:
    """Run one cell, as often as asked, each time on a pristine L1.

    Without known facts the base is what a series is judged by, so the cell runs there too.
    """
    started = time.monotonic()
    cell = parse_cell(text, read_catalogue(order.guest), order.arch)
    sources, accel, built = _prepare(order, progress, cell.kernel)
    cells = [cell] * repeat
    if sources.expected is None and cell.kernel != sources.labels[0]:
        cells.insert(0, msgspec.structs.replace(cell, kernel=sources.labels[0]))
    ready = [kernel for kernel in built if isinstance(kernel, BuiltKernel)]
    outcomes, folder = _run(order, accel, ready, cells, progress)
    return _conclude(order, sources, accel, built, outcomes, folder, started), folder


@contextmanager
def shell(
    order: Order, label: str, mode: str, command: Sequence[str], progress: Progress
) -> Iterator[Callable[[], int]]:
    """Boot the kernel of that label; the caller gets a function that gives the user the shell."""
    names = [known.name for known in order.arch.modes]
    number = names.index(_choose("mode", [mode or names[0]], names)[0])
    _, accel, built = _prepare(order, progress, label)
    kernel = built[-1]
    if isinstance(kernel, FailedKernel):
        raise kernel.error
    spec = l1_spec(kernel, order.arch.modes[number], order.arch, accel)
    progress.step(f"booting {label} in mode {names[number]}", None)
    with (
        run_folder(order.results) as folder,
        lifetime.scratch(order.cache / "tmp") as scratch,
        connect(spec, scratch, folder / "console.log") as client,
    ):
        yield lambda: run_command(client, command) if command else interact(client)


def _prepare(
    order: Order, progress: Progress, upto: str | None
) -> tuple[_Sources, Accel, list[BuiltKernel | FailedKernel]]:
    _check_tools(order)
    _check_results(order.results)
    cache = Cache(order.cache)
    base = find_base(order.kernel_src, order.version, cache.folder / "tarballs")
    sources = _read_sources(order, base)
    accel = choose_accel(order.arch)
    progress.note(accel.why)
    number = None
    if upto is not None:
        _choose("kernel", [upto], sources.labels)
        number = sources.labels.index(upto)
    built = list(
        build_kernels(
            base,
            sources.series,
            order.arch,
            cache,
            order.guest,
            progress,
            upto=number,
            fragment=order.config,
        )
    )
    return sources, accel, built


def _read_sources(order: Order, base: Base) -> _Sources:
    if order.series == "none":
        return _Sources(base=base, series=None, expected=None)
    bundled = order.bundled / order.version / order.series
    folder = bundled if bundled.is_dir() else Path(order.series)
    try:
        series = read_series(str(folder) if folder.exists() else order.series)
    except OSError as error:
        raise UserError(
            f"reading the series {order.series}", str(error), "make it readable"
        ) from error
    facts = folder / "expected.toml"
    expected = read_expected(facts) if facts.is_file() else None
    return _Sources(base=base, series=series, expected=expected)


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


def _choose(what: str, wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    for name in wanted:
        if name not in known:
            raise UserError(
                f"looking up the {what} {name!r}", "there is none", f"use: {', '.join(known)}"
            )
    return [name for name in known if name in wanted or not wanted]


def _run(
    order: Order,
    accel: Accel,
    kernels: Sequence[BuiltKernel],
    cells: Sequence[Cell],
    progress: Progress,
) -> tuple[list[Outcome], Path]:
    modes = {mode.name: mode for mode in order.arch.modes}
    groups = list(_groups(kernels, modes, cells))
    with run_folder(order.results) as folder, lifetime.scratch(order.cache / "tmp") as scratch:
        progress.step(f"running {len(cells)} cells", len(cells))
        outcomes = run_groups(
            groups,
            order.arch,
            accel,
            Places(results=folder, scratch=scratch, options=order.options),
            order.limits,
            workers_for(order.workers),
            lambda _: progress.advance(1),
        )
        return list(outcomes), folder


def _groups(
    kernels: Sequence[BuiltKernel], modes: dict[str, Mode], cells: Sequence[Cell]
) -> Iterator[Group]:
    for kernel in kernels:
        for name, mode in modes.items():
            mine = tuple(c for c in cells if c.kernel == kernel.label and c.mode == name)
            if mine:
                yield Group(kernel=kernel, mode=mode, cells=mine)


def _conclude(
    order: Order,
    sources: _Sources,
    accel: Accel,
    built: Sequence[BuiltKernel | FailedKernel],
    outcomes: Sequence[Outcome],
    folder: Path,
    started: float,
) -> RunResult:
    setting = Setting(
        series=sources.series.name if sources.series else "none",
        origin=sources.series.origin if sources.series else "",
        base=sources.base.version,
        arch=order.arch.name,
        accel=accel.why,
        kernels=tuple(_state(k, label, sources, built) for k, label in enumerate(sources.labels)),
        modes=tuple(mode.name for mode in order.arch.modes),
        options=order.options,
    )
    scenarios = (*read_catalogue(order.guest), BOOT)
    seconds = round(time.monotonic() - started, 1)
    result = judge_run(setting, outcomes, scenarios, sources.expected, seconds)
    write_all(result, folder)
    return result


def _state(
    k: int, label: str, sources: _Sources, built: Sequence[BuiltKernel | FailedKernel]
) -> KernelState:
    subject = (
        sources.series.patches[k - 1].subject if sources.series and k else sources.base.version
    )
    for kernel in built:
        if kernel.label != label:
            continue
        if isinstance(kernel, FailedKernel):
            error = kernel.error
            return KernelState(
                label=label,
                patches=k,
                subject=subject,
                failure=str(error),
                log=str(error.log or ""),
            )
        return KernelState(label=label, patches=k, subject=subject, release=kernel.release)
    return KernelState(label=label, patches=k, subject=subject)


def workers_for(wanted: int) -> int:
    """Return how many L1s run side by side: as many as asked, if memory has room for them."""
    meminfo = Path("/proc/meminfo").read_text()
    available = next(line for line in meminfo.splitlines() if line.startswith("MemAvailable:"))
    free = int(available.split()[1]) >> 10
    return max(1, min(wanted, free // _L1_MEMORY))


@contextmanager
def run_folder(results: Path) -> Iterator[Path]:
    """Yield a new folder for one run's evidence, with `latest` pointing at it."""
    name = datetime.now().strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}"
    folder = results.resolve() / name
    try:
        folder.mkdir(parents=True)
        link = folder.parent / f".latest-{os.getpid()}"
        link.symlink_to(name)
        link.rename(folder.parent / "latest")
    except OSError as error:
        raise InfraError(
            f"making a folder for the results below {results}", str(error), "use --results"
        ) from error
    yield folder
