"""The job behind `noref mutants`: what kills a mutant, and what doesn't.  Nothing real runs."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from test_compare import Rooms, order, rooms  # noqa: F401
from test_report_sample import page, splat, step
from test_source_mutants import write

from harness import mutants
from harness.errors import UserError
from harness.judge.mutants import Fate, MutantResult, MutantsResult
from harness.machine.l1 import L1Failed
from harness.model import BuiltKernel, Cell, End, Outcome, Result
from harness.order import Order
from harness.report.jsonfile import schema, write_json
from harness.report.mutants import mutant_line, show_mutants
from harness.run.bench import spread
from harness.run.boot import BOOT
from harness.run.catalogue import read_catalogue
from harness.source.apply import DoesNotApply
from harness.source.progress import Silent

ROOT = Path(__file__).resolve().parents[2]

Run = Callable[[Cell], Outcome]


def good(cell: Cell) -> Outcome:
    """Return what a kernel without bugs says, of any cell."""
    ledger = (page(1),)
    return Outcome(
        cell=cell,
        end=End.reported,
        status=0,
        subtests=(step("access", "guest writes all pages"),),
        before=ledger,
        during=ledger,
        after=ledger,
        folder=f"cells/{cell}",
    )


def with_optin(cell: Cell) -> Outcome:
    """Return what a kernel says that has a mode more: good() knows nothing of refusal."""
    opted = step("refusal", "KVM uses memory without a reference when opted in")
    return msgspec.structs.replace(good(cell), subtests=(*good(cell).subtests, opted))


def loses(scenario: str, mode: str = "tdp") -> Run:
    """Return a kernel whose guest fails in one scenario of one mode."""

    def run(cell: Cell) -> Outcome:
        if (cell.scenario, cell.mode) != (scenario, mode):
            return good(cell)
        bad = step("access", "guest writes all pages", Result.not_ok, "errno=14")
        return msgspec.structs.replace(good(cell), status=1, subtests=(bad,))

    return run


class Hunted:
    """Runs the job with kernels that behave as told, and notes which cells ran on which."""

    def __init__(self, folder: Path, make: Callable[[str], Order], patch: pytest.MonkeyPatch):
        self.folder = folder / "mutants"
        self.kernels: dict[str, Run] = {}
        self.ran: list[Cell] = []
        self._order = make("noref")
        patch.setattr(mutants, "opened", self._opened)

    @contextmanager
    def _opened(self, kernel: BuiltKernel, *_: object) -> Iterator[object]:
        hunted = self

        class Bench:
            def __init__(self) -> None:
                self.kernel = kernel

            def run(self, cell: Cell) -> Outcome:
                hunted.ran.append(cell)
                return hunted.kernels.get(kernel.label, good)(cell)

        yield Bench()

    def mutant(self, name: str, run: Run, *suspects: str, series: str = "noref") -> None:
        words = [f"Suspect: {', '.join(suspects)}"] if suspects else []
        words += [f"Series: {series}"] if series else []
        write(self.folder, name, "\n".join([f"Subject: a bug called {name}", *words, "", ""]))
        self.kernels[f"{series or 'noref'}+{name}"] = run

    def __call__(self, *names: str, every: bool = False) -> MutantsResult:
        told: list[MutantResult] = []
        result, _ = mutants.hunt_mutants(
            self._order, names, self.folder, every, Silent(), told.append
        )
        assert sorted(told, key=str) == sorted(result.mutants, key=str)
        self.status = result.status
        return result

    def one(self, run: Run, *suspects: str, every: bool = False) -> MutantResult:
        self.mutant("bug", run, *suspects)
        (found,) = self("bug", every=every).mutants
        return found

    def cells(self, label: str) -> list[Cell]:
        return [cell for cell in self.ran if cell.kernel == label]


@pytest.fixture
def hunt(
    tmp_path: Path,
    rooms: Rooms,  # noqa: F811
    order: Callable[[str], Order],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Hunted:
    return Hunted(tmp_path, order, monkeypatch)


# --- killed ---------------------------------------------------------------------------------------


def test_a_cell_that_loses_what_it_has_without_the_bug_kills(hunt: Hunted) -> None:
    found = hunt.one(loses("guest_write"), "guest_write")
    assert found.fate is Fate.killed and not found.missed
    kill = found.kills[0]
    assert kill.suspect and kill.finding.cell.scenario == "guest_write"
    assert "errno=14" in kill.finding.evidence
    assert kill.reference == "holds, in 5 runs: guest writes all pages"
    assert kill.folder == f"cells/{kill.finding.cell}"


def test_only_cells_that_lost_something_are_run_without_the_bug(hunt: Hunted) -> None:
    hunt.one(loses("guest_write"), "guest_write")
    ran = [cell for cell in hunt.cells("noref+4") if cell.mode != "optin"]
    assert {cell.scenario for cell in ran} == {"guest_write"}
    assert len(set(ran)) == 1


def test_suspects_are_tried_first_and_the_hunt_ends_at_the_first_kill(hunt: Hunted) -> None:
    found = hunt.one(loses("vm_close"), "vm_close")
    assert found.fate is Fate.killed
    assert found.cells <= 4


def test_all_goes_on_to_the_end(hunt: Hunted) -> None:
    found = hunt.one(loses("vm_close"), "vm_close", every=True)
    assert len(found.kills) > 1
    assert {cell.scenario for cell in hunt.cells("noref+bug")} > {"vm_close", "guest_exec"}


def test_a_kill_by_another_than_the_suspects_is_told_and_red(hunt: Hunted) -> None:
    found = hunt.one(loses("guest_exec"), "vm_close")
    assert (found.fate, found.missed) == (Fate.killed, True)
    assert hunt.status == 1
    assert "killed, but not by a suspect" in mutant_line(found)


def test_without_suspects_any_kill_is_as_good(hunt: Hunted) -> None:
    assert not hunt.one(loses("guest_exec")).missed
    assert hunt.status == 0


def test_a_boot_that_complains_kills(hunt: Hunted) -> None:
    def complains(cell: Cell) -> Outcome:
        splats = (splat(),) if cell.scenario == BOOT.name and cell.mode == "shadow" else ()
        return msgspec.structs.replace(good(cell), splats=splats)

    found = hunt.one(complains)
    assert found.fate is Fate.killed
    assert found.kills[0].finding.cell.scenario == BOOT.name


# --- not killed -----------------------------------------------------------------------------------


def test_what_is_lost_without_the_bug_too_does_not_kill(hunt: Hunted) -> None:
    hunt.kernels["noref+4"] = loses("guest_write")
    assert hunt.one(loses("guest_write")).fate is Fate.survived


def test_what_comes_and_goes_without_the_bug_does_not_kill(hunt: Hunted) -> None:
    def flickers(cell: Cell) -> Outcome:
        lost = len(hunt.cells("noref+4")) % 3 == 0
        return loses("guest_write")(cell) if lost else good(cell)

    hunt.kernels["noref+4"] = flickers
    found = hunt.one(loses("guest_write"))
    assert (found.fate, found.errors) == (Fate.survived, 0)


def test_what_a_cell_loses_only_once_does_not_kill_but_is_told(hunt: Hunted) -> None:
    def once(cell: Cell) -> Outcome:
        lost = [c.scenario for c in hunt.ran].count("guest_write") == 1
        return loses("guest_write", cell.mode)(cell) if lost else good(cell)

    found = hunt.one(once)
    assert found.fate is Fate.survived
    assert "guest_write lost access once in 6 runs: not ok" in found.note


def test_a_mutant_survives_only_the_whole_catalogue(hunt: Hunted) -> None:
    found = hunt.one(good, "vm_close")
    assert found.fate is Fate.survived
    cells = hunt.cells("noref+bug")
    assert len(cells) == len(set(cells)) == found.cells > 200
    assert {cell.mode for cell in cells} == {"tdp", "legacy", "shadow"}
    assert hunt.status == 1


def test_a_special_mode_is_for_series_that_have_something_to_do_there(hunt: Hunted) -> None:
    hunt.kernels["noref+4"] = with_optin
    found = hunt.one(loses("kvm_clock_refused", mode="optin"), "kvm_clock_refused")
    assert found.fate is Fate.killed
    assert found.kills[0].finding.cell.mode == "optin"
    assert {cell.scenario for cell in hunt.cells("noref+bug") if cell.mode == "optin"} <= {
        "boot",
        "kvm_clock_refused",
        "xen_shared_info_refused",
        "nested_control_refused",
        "nested_exit_refused",
    }


def test_errors_say_nothing_and_no_mutant_survives_them(hunt: Hunted) -> None:
    def dies(cell: Cell) -> Outcome:
        if cell.scenario == "guest_write":
            return Outcome(cell=cell, end=End.qemu, note="QEMU died")
        return good(cell)

    assert hunt.one(dies).fate is Fate.undecided
    assert hunt.status == 3


def test_an_error_without_the_bug_says_nothing_either(hunt: Hunted) -> None:
    hunt.kernels["noref+4"] = lambda cell: Outcome(cell=cell, end=End.qemu, note="QEMU died")
    assert hunt.one(loses("guest_write")).fate is Fate.undecided


def test_a_mutant_that_does_not_boot_is_broken_not_killed(hunt: Hunted) -> None:
    def fails(cell: Cell) -> Outcome:
        raise L1Failed(End.no_boot, "L1 gave no answer within 120 s")

    found = hunt.one(fails)
    assert (found.fate, found.kills) == (Fate.broken, ())
    assert "no answer within 120 s" in found.note


def test_a_mutant_that_does_not_compile_is_invalid_with_its_log(
    hunt: Hunted,
    rooms: Rooms,  # noqa: F811
) -> None:
    rooms.broken = "noref+bug"
    found = hunt.one(good)
    assert found.fate is Fate.invalid
    assert "building noref+bug: mmu.c:1: no" in found.note
    assert hunt.status == 2


def test_a_mutant_that_does_not_apply_is_invalid(
    hunt: Hunted,
    rooms: Rooms,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build = mutants.Site.build

    def fails(self: mutants.Site, asked: Order, *rest: object) -> object:
        if asked.mutant:
            raise DoesNotApply("applying bug", "error: patch failed: mmu.c:1")
        return build(self, asked, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(mutants.Site, "build", fails)
    found = hunt.one(good)
    assert found.fate is Fate.invalid and "patch failed" in found.note


def test_a_mutant_that_changes_no_byte_of_the_kernel_is_invalid(
    hunt: Hunted, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text = Path.write_text
    monkeypatch.setattr(
        Path,
        "write_text",
        lambda self, text: write_text(self, "same" if self.name.startswith("image-") else text),
    )
    found = hunt.one(loses("guest_write"))
    assert found.fate is Fate.invalid
    assert "changes nothing in what is built for x86_64" in found.note


# --- which series, which commands -----------------------------------------------------------------


def test_without_a_header_the_first_bundled_series_that_it_applies_to_is_taken(
    hunt: Hunted, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def locked(*_: object) -> Iterator[tuple[Path, int]]:
        yield Path("/nowhere"), 0

    monkeypatch.setattr(mutants, "locked_tree", locked)
    monkeypatch.setattr(mutants, "overlays", lambda *_: ())
    hunt.mutant("bare", loses("guest_write"), series="")
    (found,) = hunt("bare").mutants
    bundled = sorted(p.parent.name for p in (mutants_folder().parent).glob("*/series"))
    assert found.series == bundled[0]


def test_a_mutant_that_applies_nowhere_is_invalid(
    hunt: Hunted, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def locked(*_: object) -> Iterator[tuple[Path, int]]:
        yield Path("/nowhere"), 0

    def refuse(*_: object) -> None:
        raise DoesNotApply("applying", "no")

    hunt.mutant("bare", good, series="")
    monkeypatch.setattr(mutants, "locked_tree", locked)

    monkeypatch.setattr(mutants, "overlays", refuse)
    (found,) = hunt("bare").mutants
    assert found.fate is Fate.invalid and "on no bundled series" in found.note


def mutants_folder() -> Path:
    return ROOT / "kernel-patches/6.12/mutants"


def test_the_command_that_repeats_a_kill_names_series_and_mutant(hunt: Hunted) -> None:
    found = hunt.one(loses("guest_write"))
    assert found.options.endswith(f"--series noref --mutant {hunt.folder / 'bug.patch'}")


def test_a_suspect_that_is_no_scenario_is_the_users_error(hunt: Hunted) -> None:
    with pytest.raises(UserError, match=r"no scenario no_such(.|\n)*vm_close"):
        hunt.one(good, "no_such")


def test_the_bundled_mutants_are_read_and_suspect_what_exists() -> None:
    found = mutants.read_mutants(mutants_folder(), (), ())
    scenarios = {scenario.name: scenario for scenario in read_catalogue(ROOT / "guest-images")}
    assert found
    for mutant in found:
        assert mutant.suspects and mutant.series
        assert mutant.patch.subject.startswith("KVM: ")
        touched = set(re.findall(rb"^\+\+\+ b/(arch/\w+|\w+)", mutant.patch.diff, re.MULTILINE))
        alone = {frozenset({b"arch/x86"}): "x86_64", frozenset({b"arch/arm64"}): "arm64"}
        arches = [set(scenarios[name].arches) for name in mutant.suspects]
        shown = set[str]().union(*arches) if all(arches) else set()
        expected = alone.get(frozenset(touched), shown.pop() if len(shown) == 1 else "")
        assert mutant.arch == expected, mutant.name


def test_the_first_cells_differ_in_scenario_mode_and_memory() -> None:
    cells = [
        Cell(kernel="k", mode=mode, backing=backing, mapping="fault", scenario=scenario)
        for scenario in ("a", "b", "c")
        for mode in ("tdp", "legacy", "shadow")
        for backing in ("x", "y", "z")
    ]
    ordered = spread(cells)
    assert sorted(map(str, ordered)) == sorted(map(str, cells))
    for words in zip(*(str(cell).split("/") for cell in ordered[:3]), strict=True):
        assert len(set(words)) in (1, 3)


# --- shown ----------------------------------------------------------------------------------------


def test_the_table_says_of_each_what_killed_it_and_how_to_repeat_it(
    hunt: Hunted, tmp_path: Path
) -> None:
    hunt.mutant("leak", loses("guest_write"), "guest_write")
    hunt.mutant("quiet", good)
    result = hunt()
    file = io.StringIO()
    show_mutants(result, Console(file=file, width=100), Path("/results/1"))
    text = file.getvalue()
    assert "leak   noref  killed by a suspect\n" in text
    assert "quiet  noref  survived" in text
    assert "access of counted memory is lost: not ok: guest writes all pages (errno=14)" in text
    assert "noref run noref+leak/tdp/" in text and "--mutant" in text
    assert "2 mutants: 1 killed, 1 survived" in text
    write_json(result, tmp_path / "mutants.json")
    data = (tmp_path / "mutants.json").read_bytes()
    assert msgspec.json.decode(data, type=MutantsResult) == result
    assert "MutantResult" in msgspec.json.decode(schema(MutantsResult))["$defs"]


def test_an_interrupt_leaves_the_mutants_that_are_done(
    hunt: Hunted,
    rooms: Rooms,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build = mutants.Site.build

    def interrupted(self: mutants.Site, asked: Order, *rest: object) -> object:
        if asked.mutant and asked.mutant.stem == "c":
            raise KeyboardInterrupt
        return build(self, asked, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(mutants.Site, "build", interrupted)
    for name in "abc":
        hunt.mutant(name, loses("guest_write"), "guest_write")
    result = hunt()
    assert result.mutants[0].name == "a" and len(result.mutants) < 3
    assert (result.planned, result.stopped, result.status) == (3, "interrupted", 130)


def test_a_bug_of_another_architecture_is_left_out_or_refused_if_named(hunt: Hunted) -> None:
    hunt.mutant("here", loses("guest_write"), "guest_write")
    header = "Subject: a bug elsewhere\nSeries: noref\nArch: arm64\nSuspect: guest_write\n\n"
    write(hunt.folder, "there", header)
    assert [mutant.name for mutant in hunt().mutants] == ["here"]
    with pytest.raises(UserError, match=r"there is one for arm64(.|\n)*--arch arm64"):
        hunt("there")
