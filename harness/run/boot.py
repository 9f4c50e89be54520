"""Booting the L1 that cells start from, and what the boot itself says."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.dmesg import find_splats
from harness.errors import InfraError, NorefError
from harness.machine.accel import Accel
from harness.machine.l1 import L1Failed, Saved, save
from harness.machine.qemu import Spec
from harness.model import Arch, BuiltKernel, Cell, End, Mode, Outcome, Property, Scenario, Value
from harness.run.cell import new_folder, read_log

# ignore_loglevel: `quiet` and its kin hide WARNINGs; panic=-1: a panic ends QEMU at once;
# oops=panic: what died of an oops may hold locks, and nobody waits half a minute to find out;
# unknown_nmi_panic: the NMI that a hung L1 gets makes its CPUs say where they are.
_APPEND = ("ignore_loglevel", "panic=-1", "oops=panic", "unknown_nmi_panic")

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
    alone: those of them that no other cell runs beside; parallel: those that need CPUs which run
    at a time.
    """

    results: Path
    scratch: Path
    scenarios: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    parallel: tuple[str, ...] = ()


class Booted(Value):
    """A saved L1.  boot: what its boot said, as a cell of its own; scratch: where it lies."""

    saved: Saved
    boot: Outcome
    scratch: Path


class Unbooted(Value):
    """An L1 that didn't come up, or isn't what was asked for; console: its log."""

    failure: L1Failed | NorefError
    console: Path


def l1_spec(kernel: BuiltKernel, mode: Mode, arch: Arch, accel: Accel) -> Spec:
    """Return what L1 is made of for this kernel and mode."""
    return Spec(
        arch=arch,
        accel=accel,
        kernel=kernel.image,
        initramfs=kernel.initramfs,
        append=(*_APPEND, *arch.options, *mode.options),
    )


def boot_l1(
    label: str, mode: Mode, spec: Spec, places: Places, limits: Limits
) -> Booted | Unbooted:
    """Boot and save an L1; who gets a Booted removes its scratch folder in the end."""
    folder = new_folder(places.results / "boots" / label / mode.name)
    scratch = new_folder(places.scratch / f"{label}-{mode.name}")
    console = folder / "console.log"
    try:
        saved = save(spec, mode, scratch, console, limits.boot)
        check_scenarios(saved, places)
    except (L1Failed, NorefError) as failure:
        shutil.rmtree(scratch, ignore_errors=True)
        return Unbooted(failure=failure, console=console)
    boot = Outcome(
        cell=boot_cell(label, mode.name),
        end=End.reported,
        status=0,
        splats=find_splats(read_log(console)),
        folder=str(folder.relative_to(places.results)),
    )
    return Booted(saved=saved, boot=boot, scratch=scratch)


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


def boot_cell(label: str, mode: str) -> Cell:
    """Return the cell that stands for a boot."""
    return Cell(kernel=label, mode=mode, backing="none", mapping="none", scenario=BOOT.name)
