"""Running all cells of one kernel and mode: one boot, one saved state, many cells."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from threading import Event

import msgspec

from harness.dmesg import find_splats
from harness.errors import InfraError, NorefError
from harness.machine.accel import Accel
from harness.machine.l1 import L1Failed, Saved, save
from harness.machine.qemu import Spec
from harness.model import (
    INTERRUPTED,
    Arch,
    BuiltKernel,
    Cell,
    End,
    Mode,
    Outcome,
    Property,
    Scenario,
    Value,
)
from harness.run.cell import cell_folder, keep, new_folder, read_log, run_cell

# ignore_loglevel: `quiet` and its kin hide WARNINGs; panic=-1: a panic ends QEMU at once;
# oops=panic: what died of an oops may hold locks, and nobody waits half a minute to find out;
# unknown_nmi_panic: the NMI that a hung L1 gets makes its CPUs say where they are.
_APPEND = ("ignore_loglevel", "panic=-1", "oops=panic", "unknown_nmi_panic")

# Cells that take many times as long as a boot.
_WORTH_A_BOOT = 50

# What the boot itself says, where it says something: a complaint before the first cell.
BOOT = Scenario(
    name="boot",
    checks=Property.silence,
    backings=(),
    mappings=(),
    main=(),
    why="The kernel complained before any cell began.",
)


class Limits(Value):
    """Seconds that a boot and a cell may take; after that, L1 counts as hung."""

    boot: float = 120.0
    cell: float = 30.0


class Places(Value):
    """results: where evidence is kept; scratch: where saved states live while they are used.

    scenarios: the names in the scenario list, which the VMM in L1 must have too; unchecked if ().
    """

    results: Path
    scratch: Path
    scenarios: tuple[str, ...] = ()


class Group(Value):
    """The cells of one kernel and mode, or some of them.

    options: what chooses the kernel on noref's command line, for the commands in the evidence;
    first: whether its boot is the one that counts, of those of a group that was shared out.
    """

    kernel: BuiltKernel
    mode: Mode
    cells: tuple[Cell, ...]
    options: str = ""
    first: bool = True


def share_out(groups: Sequence[Group], workers: int) -> list[Group]:
    """Split groups that are so large that other workers would have nothing left to do meanwhile.

    A boot more costs less.  The order of the cells stays.
    """
    total = sum(len(group.cells) for group in groups)
    most = max(_WORTH_A_BOOT, -(-total // (4 * workers)))
    return [
        msgspec.structs.replace(group, cells=group.cells[at : at + most], first=not at)
        for group in groups
        for at in range(0, max(1, len(group.cells)), most)
    ]


def l1_spec(kernel: BuiltKernel, mode: Mode, arch: Arch, accel: Accel) -> Spec:
    """Return what L1 is made of for this kernel and mode."""
    return Spec(
        arch=arch,
        accel=accel,
        kernel=kernel.image,
        initramfs=kernel.initramfs,
        append=(*_APPEND, *arch.options, *mode.options),
    )


def run_group(
    group: Group,
    spec: Spec,
    places: Places,
    limits: Limits,
    tell: Callable[[Outcome], None],
    stop: Event,
) -> None:
    """Run the cells one after the other, each from the saved state; tell each outcome at once."""
    results = places.results
    console, scratch = boot_places(group.kernel.label, group.mode.name, places)
    try:
        saved = save(spec, group.mode, scratch, console, limits.boot)
        check_scenarios(saved, places)
        boot = boot_outcome(group.kernel.label, group.mode.name, console, results)
        if boot.splats and group.first:
            tell(boot)
        for cell in group.cells:
            if stop.is_set():
                break
            tell(run_cell(saved, cell, results, limits.cell, group.options))
    except (L1Failed, NorefError) as failure:
        end = failure.end if isinstance(failure, L1Failed) else End.qemu
        note = f"{failure}; log: {console}"
        for cell in group.cells:
            tell(_unbooted(group, cell, end, note, console, spec, results))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _unbooted(
    group: Group, cell: Cell, end: End, note: str, console: Path, spec: Spec, results: Path
) -> Outcome:
    folder = cell_folder(results, cell)
    if console.exists():
        shutil.copyfile(console, folder / "console.log")
    outcome = Outcome(
        cell=cell,
        end=end,
        note=note,
        splats=find_splats(read_log(console)),
        folder=str(folder.relative_to(results)),
    )
    keep(outcome, group.options, spec.by_hand(), folder)
    return outcome


def boot_places(label: str, mode: str, places: Places) -> tuple[Path, Path]:
    """Make the folders of one boot; return its log, and where its saved state may lie."""
    folder = new_folder(places.results / "boots" / label / mode)
    scratch = new_folder(places.scratch / f"{label}-{mode}")
    return folder / "console.log", scratch


def check_scenarios(saved: Saved, places: Places) -> None:
    """Compare the scenarios of L1's VMM with the list; InfraError if they are not the same."""
    has = set(saved.facts.get("scenarios", "").split(",")) - {""}
    listed = set(places.scenarios)
    if not listed or has == listed:
        return
    wrong = [
        *(f"{name} is in scenarios.toml alone" for name in sorted(listed - has)),
        *(f"{name} is in the VMM alone" for name in sorted(has - listed)),
    ]
    raise InfraError(
        "comparing the scenario list with the VMM in L1",
        "; ".join(wrong),
        "each scenario is one entry in scenarios.toml, and one SCENARIO() in vmm/scenarios_*.c",
    )


def boot_outcome(label: str, mode: str, console: Path, results: Path) -> Outcome:
    """Return what a boot that reached its ready point said, as a cell of its own."""
    return Outcome(
        cell=boot_cell(label, mode),
        end=End.reported,
        status=0,
        splats=find_splats(read_log(console)),
        folder=str(console.parent.relative_to(results)),
    )


def boot_cell(label: str, mode: str) -> Cell:
    """Return the cell that stands for a boot."""
    return Cell(kernel=label, mode=mode, backing="none", mapping="none", scenario=BOOT.name)


def run_groups(
    groups: Sequence[Group],
    arch: Arch,
    accel: Accel,
    places: Places,
    limits: Limits,
    workers: int,
    tell: Callable[[Outcome], None],
    make_executor: Callable[[int], Executor] = ThreadPoolExecutor,
) -> tuple[list[Outcome], str]:
    """Run the groups side by side; return all outcomes in the order of the plan.

    An interrupt, or a machine that refuses (a full disk), lets the cells that run come to their
    end and starts no more: then the second value says what it was.
    """
    stop = Event()
    groups = share_out(groups, workers)
    kept: list[list[Outcome]] = [[] for _ in groups]
    stopped = ""

    def add(number: int, outcome: Outcome) -> None:
        kept[number].append(outcome)
        tell(outcome)

    with make_executor(workers) as pool:
        futures = [
            pool.submit(
                run_group,
                group,
                l1_spec(group.kernel, group.mode, arch, accel),
                places,
                limits,
                partial(add, number),
                stop,
            )
            for number, group in enumerate(groups)
        ]
        try:
            for future in as_completed(futures):
                future.result()
        except (KeyboardInterrupt, OSError) as error:
            stopped = str(error) or INTERRUPTED
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    return [outcome for outcomes in kept for outcome in outcomes], stopped
