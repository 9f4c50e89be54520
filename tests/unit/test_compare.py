"""The job behind `noref compare`: which kernels are built, which cells run.  Nothing real is."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from test_cli import ROOT

from harness import compare, job
from harness.build.kernel import FailedKernel
from harness.errors import KernelError, UserError
from harness.machine.accel import Accel
from harness.machine.arches import find_arch
from harness.model import BuiltKernel, Cell, End, Outcome, Series
from harness.order import Order
from harness.run.boot import Limits
from harness.run.group import Group
from harness.source.base import Base, Kind
from harness.source.progress import Silent

NOREF = ROOT / "kernel-patches/6.12/noref"
BASE = Base(kind=Kind.tree, path=Path("/nowhere"), version="6.12.117", key="0")


class Rooms:
    """Stands in for the rooms that build and run, and notes what they were asked for."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.built: list[str] = []
        self.ran: list[Cell] = []
        self.broken = ""
        monkeypatch.setattr(job, "find_base", lambda *_: BASE)
        monkeypatch.setattr(job, "missing_tools", lambda *_: ())
        monkeypatch.setattr(job, "choose_accel", lambda _: Accel(name="tcg", why="emulated"))
        monkeypatch.setattr(job, "build_kernels", self._build)
        monkeypatch.setattr(job, "run_groups", self._run)

    def _build(self, base: Base, series: Series, *_: object, steps: Sequence[int], **__: object):  # type: ignore[no-untyped-def]
        for step in steps:
            label = series.label(step)
            self.built.append(label)
            if label == self.broken:
                error = KernelError(f"building {label}", "mmu.c:1: no")
                yield FailedKernel(label=label, patches=step, error=error)
                continue
            image = self.folder / f"image-{label}"
            image.write_text(label)
            yield BuiltKernel(
                label=label,
                patches=step,
                key="+".join(patch.digest for patch in series.patches[:step]),
                release="6.12.117",
                base=base.version,
                arch="x86_64",
                image=image,
                config=Path("c"),
                modules=(),
                initramfs=Path("i"),
            )

    def _run(
        self,
        groups: Sequence[Group],
        *rest: object,
    ) -> tuple[list[Outcome], str]:
        cells = [cell for group in groups for cell in group.cells]
        self.ran += cells
        return [Outcome(cell=cell, end=End.reported, status=0) for cell in cells], ""


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rooms:
    return Rooms(tmp_path, monkeypatch)


@pytest.fixture
def order(tmp_path: Path) -> Callable[[str], Order]:
    def make(series: str) -> Order:
        return Order(
            version="6.12",
            kernel_src=None,
            series=series,
            bundled=ROOT / "kernel-patches",
            guest=ROOT / "guest-images",
            arch=find_arch("x86_64"),
            config=None,
            cache=tmp_path / "cache",
            workers=1,
            limits=Limits(),
            results=tmp_path / "results",
            options=f"--series {series}",
        )

    return make


def copy(folder: Path, name: str, patches: int) -> str:
    """Make a series of the first patches of noref, under another name."""
    shutil.copytree(NOREF, folder / name)
    (folder / name / "expected.toml").unlink()
    listing = folder / name / "series"
    listing.write_text("".join(listing.read_text().splitlines(keepends=True)[:patches]))
    return str(folder / name)


def run(orders: Sequence[Order]):  # type: ignore[no-untyped-def]
    return compare.compare(orders, ["tdp"], ["guest_read"], False, Silent())[0]


def test_only_the_base_and_last_kernels_are_built_and_run(
    rooms: Rooms, order: Callable[[str], Order], tmp_path: Path
) -> None:
    result = run([order("noref"), order(copy(tmp_path, "half", 2))])
    assert rooms.built == ["base", "noref+4", "half+2"]
    assert {cell.kernel for cell in rooms.ran} == {"base", "noref+4", "half+2"}
    assert [kernel.label for kernel in result.setting.kernels] == ["base", "noref+4", "half+2"]
    assert result.options("half+2") == f"--series {tmp_path / 'half'}"


def test_the_same_state_is_run_once_and_stands_in_both_columns(
    rooms: Rooms, order: Callable[[str], Order], tmp_path: Path
) -> None:
    result = run([order("noref"), order(copy(tmp_path, "copy", 4))])
    assert {cell.kernel for cell in rooms.ran} == {"base", "noref+4"}
    assert {o.cell.kernel for o in result.outcomes} == {"base", "noref+4", "copy+4"}
    assert result.setting.kernels[-1].twin == "noref+4"


def test_a_last_kernel_that_does_not_build_is_a_finding_and_the_others_still_run(
    rooms: Rooms, order: Callable[[str], Order], tmp_path: Path
) -> None:
    rooms.broken = "half+2"
    result = run([order("noref"), order(copy(tmp_path, "half", 2))])
    assert [kernel.label for kernel in result.unbuilt] == ["half+2"]
    assert {cell.kernel for cell in rooms.ran} == {"base", "noref+4"}
    assert result.status == 1


def test_two_series_of_one_name_and_the_base_are_the_users_error(
    rooms: Rooms, order: Callable[[str], Order], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="both are named noref"):
        run([order("noref"), order(copy(tmp_path, "noref", 4))])
    with pytest.raises(UserError, match="the base is always there"):
        run([order("noref"), order("none")])
    assert rooms.built == []
    assert msgspec.json.encode(rooms.ran) == b"[]"


@pytest.mark.parametrize("full", [False, True])
def test_special_modes_are_left_to_full_runs_and_to_those_who_name_them(
    order: Callable[[str], job.Order], full: bool
) -> None:
    special = [mode.name for mode in find_arch("x86_64").modes if mode.special]
    usual = [mode.name for mode in find_arch("x86_64").modes if not mode.special]
    chosen = job.choose(order("noref"), [], [], full=full)
    assert chosen.modes == (*usual, *(special if full else ()))
    assert job.choose(order("noref"), special, [], full=full).modes == tuple(special)
