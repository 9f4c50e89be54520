"""The job of `noref compare`: several series on one base, each by its last kernel."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from harness.build.kernel import FailedKernel
from harness.errors import UserError
from harness.job import Ran, Site, state
from harness.judge.comparison import judge_columns
from harness.judge.result import KernelState, RunResult, Setting
from harness.model import BuiltKernel, Outcome
from harness.order import Order, Sources, choose, read_sources
from harness.run.boot import BOOT
from harness.run.catalogue import plan_cells, read_catalogue
from harness.source.progress import Progress


class _Column:
    """One column of the comparison: a kernel of a series.  twin: a column of the same state."""

    def __init__(self, order: Order, sources: Sources, kernel: BuiltKernel | FailedKernel) -> None:
        self.order = order
        self.sources = sources
        self.kernel = kernel
        self.twin: _Column | None = None

    @property
    def state(self) -> KernelState:
        twin = self.twin.kernel.label if self.twin else ""
        made = state(self.order, self.sources, self.kernel.patches, self.kernel)
        return msgspec.structs.replace(made, twin=twin)


def compare(
    orders: Sequence[Order],
    modes: Sequence[str],
    scenarios: Sequence[str],
    full: bool,
    progress: Progress,
) -> tuple[RunResult, Path]:
    """Build base and last kernels, run all cells; return the result and the folder of evidence.

    The orders differ in their series alone.  States that are the same are run once.
    """
    started = time.monotonic()
    order = orders[0]
    choice = choose(order, modes, scenarios, full=full)
    site = Site(order, progress)
    columns = list(_build(orders, site))
    plan = []
    for column in columns:
        if column.twin is None and isinstance(column.kernel, BuiltKernel):
            labels = [column.kernel.label]
            cells = plan_cells(choice.scenarios, order.arch, labels, choice.modes, full=full)
            plan.append((column.order, [column.kernel], cells))
    ran = site.run(order, plan)
    setting = Setting(
        series=", ".join(column.sources.name for column in columns[1:]),
        origin=", ".join(column.order.series for column in columns[1:]),
        base=site.base.version,
        arch=order.arch.name,
        accel=site.accel.why,
        kernels=tuple(column.state for column in columns),
        modes=tuple(mode.name for mode in order.arch.modes),
    )
    result = judge_columns(
        setting,
        [outcome for column in columns for outcome in _outcomes(column, ran)],
        (*read_catalogue(order.guest), BOOT),
        {column.kernel.label: column.sources.expected for column in columns[1:]},
        round(time.monotonic() - started, 1),
        ran.stopped,
    )
    return result, ran.folder


def _build(orders: Sequence[Order], site: Site) -> Iterator[_Column]:
    """Yield the base and the last kernel of each series."""
    named: dict[str, Order] = {}
    read = []
    for order in orders:
        sources = read_sources(order, site.base)
        if sources.series is None:
            raise UserError("comparing", "the base is always there", "leave `none` out")
        other = named.setdefault(sources.name, order)
        if other is not order:
            raise UserError(
                f"comparing {other.series} and {order.series}",
                f"both are named {sources.name}",
                "name each series once; copy one to a folder or file of another name",
            )
        read.append((order, sources))
    order, sources = read[0]
    (base,) = site.build(order, sources, (0,))
    yield _Column(order, sources, base)
    first: dict[str, _Column] = {}
    for order, sources in read:
        (kernel,) = site.build(order, sources, sources.steps[-1:])
        column = _Column(order, sources, kernel)
        if isinstance(kernel, BuiltKernel):
            other_column = first.setdefault(kernel.key, column)
            column.twin = other_column if other_column is not column else None
        yield column


def _outcomes(column: _Column, ran: Ran) -> list[Outcome]:
    """Return the outcomes of a column, its twin's under its own name if that was run for both."""
    source = (column.twin or column).kernel.label
    return [
        msgspec.structs.replace(
            outcome, cell=msgspec.structs.replace(outcome.cell, kernel=column.kernel.label)
        )
        for outcome in ran.outcomes
        if outcome.cell.kernel == source
    ]
