"""What the VMM says is hostile: any bytes are read, none do harm, and half a report is not one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.errors import InfraError
from harness.machine import l1
from harness.machine.accel import Accel
from harness.machine.arches import find_arch
from harness.machine.l1 import L1Failed, Reply, Saved
from harness.machine.qemu import Spec
from harness.model import BuiltKernel, Cell, End, Mode, Outcome, PageState, Result, Subtest
from harness.run import boot as boot_module
from harness.run import cell as cell_module
from harness.run.boot import Limits, Places
from harness.run.cell import cell_folder, run_cell
from harness.run.group import Group, run_groups
from harness.run.ktap import Report, read_report


def ledger(when: str, count: int = 2) -> str:
    line = "# ledger {} page={} pfn={} own_ref=1 page_ref=1 mapcount=0 sum=77 flags=lru,dirty\n"
    return "".join(line.format(when, n, 4096 + n) for n in range(count))


# As guest-images/vmm writes it: a scenario of three steps, the second of which fails.
WHOLE = (
    "KTAP version 1\n1..3\n"
    + ledger("before")
    + "ok 1 access: guest writes all pages\n"
    + "# detail page=3 wrong_words=512\n# detail page=4 wrong_words=1\n"
    + "not ok 2 integrity: guest sees what the host wrote\n"
    + ledger("during")
    + ledger("after")
    + "ok 3 - # SKIP an earlier step failed\n"
).encode()
PASSED = (
    "KTAP version 1\n1..1\n"
    + ledger("before")
    + "ok 1 access: guest writes all pages\n"
    + ledger("during")
    + ledger("after")
).encode()


def steps(*lines: str) -> tuple[Subtest, ...]:
    return read_report("".join(f"{line}\n" for line in lines).encode()).subtests


def texts(report: Report) -> list[str]:
    """All text in a report, however deep."""
    pages = (*report.before, *report.during, *report.after)
    found = [report.bailed_out, *(flag for page in pages for flag in page.flags)]
    for step in report.subtests:
        found += [step.name, step.prop, step.reason, *step.detail]
    return found


# --- reading -------------------------------------------------------------------------------------


def test_a_whole_report_is_read() -> None:
    report = read_report(WHOLE)
    assert report.complete
    assert report.bailed_out == ""
    assert report.subtests == (
        Subtest(name="guest writes all pages", prop="access", result=Result.ok),
        Subtest(
            name="guest sees what the host wrote",
            prop="integrity",
            result=Result.not_ok,
            detail=("page=3 wrong_words=512", "page=4 wrong_words=1"),
        ),
        Subtest(name="", prop="", result=Result.skip, reason="an earlier step failed"),
    )


def test_the_ledger_is_read_by_when_it_was_taken() -> None:
    report = read_report(WHOLE)
    first = PageState(
        page=0, pfn=4096, own_ref=1, page_ref=1, mapcount=0, flags=("lru", "dirty"), sum=77
    )
    assert report.before == report.during == report.after
    assert report.before[0] == first
    assert len(report.before) == 2


def test_a_page_without_flags_has_none() -> None:
    text = "# ledger before page=0 pfn=1 own_ref=-1 page_ref=0 mapcount=0 sum=0 flags=\n"
    (page,) = read_report(text.encode()).before
    assert page.flags == ()
    assert page.own_ref == -1


@pytest.mark.parametrize(
    "line",
    [
        "# ledger before page=0 pfn=1 own_ref=1 page_ref=1 mapcount=0",
        "# ledger before page=0 pfn=one own_ref=1 page_ref=1 mapcount=0 sum=0",
        "# ledger sometime page=0 pfn=1 own_ref=1 page_ref=1 mapcount=0 sum=0",
        "# ledger before",
        "# ledger",
    ],
)
def test_a_ledger_line_with_a_mistake_is_no_page(line: str) -> None:
    report = read_report(f"{line}\n".encode())
    assert (report.before, report.during, report.after) == ((), (), ())


def test_details_belong_to_the_step_that_follows() -> None:
    first, second = steps("# detail a", "ok 1 access: x", "# detail b", "not ok 2 access: y")
    assert (first.detail, second.detail) == (("a",), ("b",))


def test_a_step_without_a_property_is_a_step() -> None:
    (step,) = steps("ok 1 all is well")
    assert (step.prop, step.name) == ("", "all is well")


def test_a_skipped_step_has_its_reason() -> None:
    (step,) = steps("ok 1 integrity: huge # SKIP no huge pages")
    expected = Subtest(name="huge", prop="integrity", result=Result.skip, reason="no huge pages")
    assert step == expected


def test_a_failed_step_can_not_pass_itself_off_as_skipped() -> None:
    (step,) = steps("not ok 1 access: guest writes # SKIP never mind")
    assert step.result is Result.not_ok


def test_a_vmm_that_gave_up_says_why_and_its_report_is_not_complete() -> None:
    report = read_report(b"KTAP version 1\n1..1\nBail out! no /dev/kvm (last errno 2)\n")
    assert report.bailed_out == "no /dev/kvm (last errno 2)"
    assert not report.complete


# --- complete ------------------------------------------------------------------------------------


@pytest.mark.parametrize("report", [WHOLE, PASSED])
def test_output_that_was_cut_off_is_never_complete(report: bytes) -> None:
    assert read_report(report).complete
    assert [n for n in range(len(report)) if read_report(report[:n]).complete] == []


@pytest.mark.parametrize("report", [WHOLE, PASSED])
def test_output_whose_beginning_is_lost_is_never_complete(report: bytes) -> None:
    plan = report.index(b"1..")
    assert [n for n in range(plan + 1, len(report)) if read_report(report[n:]).complete] == []


@pytest.mark.parametrize("report", [WHOLE, PASSED])
def test_output_that_lacks_any_line_that_counts_is_not_complete(report: bytes) -> None:
    lines = report.splitlines(keepends=True)
    for n, line in enumerate(lines):
        if line.startswith((b"KTAP", b"# detail")):
            continue
        assert not read_report(b"".join(lines[:n] + lines[n + 1 :])).complete, line


def test_a_step_that_was_cut_off_is_not_taken_for_one_that_passed() -> None:
    assert read_report(b"1..1\nok 1 - # SK").subtests == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1..2\nok 1 a: x\n",
        "1..1\nok 1 a: x\nok 2 a: y\n",
        "1..2\nok 2 a: y\nok 1 a: x\n",
        "1..2\nok 1 a: x\nok 1 a: x\n",
        "1..1\nok 2 a: x\n",
        "1..\nok 1 a: x\n",
        "1..-1\nok 1 a: x\n",
        "ok 1 a: x\n",
        "1..10000\n" + "".join(f"ok {n} a: x\n" for n in range(1, 1001)),
    ],
)
def test_a_report_that_is_not_its_plan_is_not_complete(text: str) -> None:
    assert not read_report(text.encode()).complete


def test_a_second_plan_does_not_change_the_first() -> None:
    assert not read_report(b"1..2\nok 1 a: x\n1..1\n").complete


# --- what becomes of it: a cell's outcome --------------------------------------------------------

CELL = Cell(kernel="base", mode="tdp", backing="tail", mapping="fault", scenario="guest_write")
SPEC = Spec(
    arch=find_arch("x86_64"),
    accel=Accel(name="tcg", why=""),
    kernel=Path("bzImage"),
    initramfs=Path("initramfs"),
    append=(),
)
SAVED = Saved(spec=SPEC, state=Path("state"), ram=Path("ram"), facts={})
LOG = b"[    1.000000] noref: end of cell\n"
SPLAT = (
    b"[    0.900000] WARNING: CPU: 0 PID: 53 at arch/x86/kvm/mmu/mmu.c:593 "
    b"mmu_spte_clear_track_bits+0x107/0x1b0\n"
)


class FakeL1:
    """An L1 that answers so, or fails so."""

    def __init__(self, answer: Reply | Exception) -> None:
        self._answer = answer

    def run(self, words: tuple[str, ...], timeout: float) -> Reply:
        assert words == ("guest_write", "tail", "fault")
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class Runs:
    """Runs the cell on a stand-in for L1."""

    def __init__(self, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.results = results
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(l1, "LOG_TIMEOUT", 0.1)

    def __call__(self, answer: Reply | Exception, log: bytes | None = LOG) -> Outcome:
        @contextmanager
        def restore(_: Saved, console: Path, *, parallel: bool) -> Iterator[FakeL1]:
            if log is not None:
                console.write_bytes(log)
            yield FakeL1(answer)

        self._monkeypatch.setattr(cell_module, "restore", restore)
        return run_cell(SAVED, CELL, self.results, 1.0)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(tmp_path, monkeypatch)


@pytest.mark.parametrize(("output", "status"), [(PASSED, 0), (WHOLE, 1)])
def test_a_status_that_agrees_with_its_report_needs_no_note(
    run: Runs, output: bytes, status: int
) -> None:
    outcome = run(Reply(output=output, status=status))
    assert (outcome.end, outcome.status, outcome.note) == (End.reported, status, "")
    assert outcome.subtests == read_report(output).subtests
    assert len(outcome.before) == len(outcome.during) == len(outcome.after) == 2


@pytest.mark.parametrize(
    ("output", "status", "note"),
    [
        (PASSED, 1, "exit status 1 is not what its report says"),
        (WHOLE, 0, "exit status 0 is not what its report says"),
        (PASSED, 3, "not complete (exit status 3)"),
        (PASSED, 139, "killed by signal 11"),
        (PASSED[:-1], 0, "not complete (exit status 0)"),
        (b"", 0, "not complete (exit status 0)"),
        (b"Bail out! no room\n", 2, "the VMM gave up: no room"),
    ],
)
def test_a_status_without_its_report_is_noted(
    run: Runs, output: bytes, status: int, note: str
) -> None:
    outcome = run(Reply(output=output, status=status))
    assert outcome.end is End.reported
    assert note in outcome.note


@pytest.mark.parametrize("log", [None, b"", b"[    0.5] noref: end of ce"])
def test_a_log_that_does_not_reach_the_end_of_the_cell_is_our_fault(
    run: Runs, log: bytes | None
) -> None:
    outcome = run(Reply(output=PASSED, status=0), log)
    assert outcome.end is End.harness
    assert "console.log" in outcome.note


def test_a_log_may_come_after_the_answer(run: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by the console thread of a kernel with an nbcon serial driver."""
    monkeypatch.setattr(l1, "LOG_TIMEOUT", 10.0)
    console = run.results / "cells/base/tdp/tail/fault/guest_write/console.log"
    late = Timer(0.3, lambda: console.write_bytes(SPLAT + LOG))
    late.start()
    outcome = run(Reply(output=PASSED, status=0), None)
    late.join()
    assert outcome.end is End.reported
    assert [splat.function for splat in outcome.splats] == ["mmu_spte_clear_track_bits"]


@pytest.mark.parametrize("end", [End.panic, End.hang, End.qemu])
def test_an_l1_that_failed_is_an_outcome_with_what_was_said_until_then(run: Runs, end: End) -> None:
    outcome = run(L1Failed(end, "what happened", PASSED[:-1]), SPLAT)
    assert (outcome.end, outcome.status, outcome.note) == (end, None, "what happened")
    assert len(outcome.subtests) == 1
    assert [splat.function for splat in outcome.splats] == ["mmu_spte_clear_track_bits"]
    assert (run.results / outcome.folder / "vmm.ktap").read_bytes() == PASSED[:-1]


def test_an_l1_that_is_not_restored_is_an_outcome_without_a_log(run: Runs) -> None:
    outcome = run(InfraError("starting QEMU", "no memory"), None)
    assert (outcome.end, outcome.splats) == (End.qemu, ())
    assert "no memory" in outcome.note


def test_a_cells_folder_holds_its_outcome_and_the_commands_that_run_it_again(run: Runs) -> None:
    outcome = run(Reply(output=PASSED, status=0))
    folder = run.results / outcome.folder
    assert outcome.folder == "cells/base/tdp/tail/fault/guest_write"
    assert msgspec.json.decode((folder / "outcome.json").read_bytes(), type=Outcome) == outcome
    again = (folder / "again").read_text()
    assert "noref run base/tdp/tail/fault/guest_write\n" in again
    assert "noref.cell=guest_write/tail/fault" in again


def test_a_cell_that_is_repeated_keeps_the_evidence_of_each_time(run: Runs) -> None:
    failed = run(L1Failed(End.hang, "what happened", b"half"))
    passed = run(Reply(output=PASSED, status=0))
    assert failed.folder != passed.folder
    assert (run.results / failed.folder / "vmm.ktap").read_bytes() == b"half"
    assert cell_folder(run.results, CELL).name == "guest_write.3"


def unbooted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception, *cells: Cell
) -> list[Outcome]:
    """Run the cells of a kernel that doesn't come up."""

    def save(spec: Spec, mode: Mode, scratch: Path, console: Path, timeout: float) -> Saved:
        console.write_bytes(SPLAT)
        raise failure

    monkeypatch.setattr(boot_module, "save", save)
    kernel = BuiltKernel(
        label="base",
        patches=0,
        key="0",
        release="6.12",
        base="6.12",
        arch="x86_64",
        image=Path("k"),
        config=Path("c"),
        modules=(),
        initramfs=Path("i"),
    )
    told: list[Outcome] = []
    (folder / "scratch").mkdir()
    run_groups(
        [Group(kernel=kernel, mode=SPEC.arch.modes[0], cells=cells)],
        SPEC.arch,
        Accel(name="tcg", why=""),
        Places(results=folder / "results", scratch=folder / "scratch"),
        Limits(),
        2,
        told.append,
    )
    assert list((folder / "scratch").iterdir()) == []
    return told


@pytest.mark.parametrize(
    ("failure", "end"),
    [
        (L1Failed(End.no_boot, "L1 gave no answer within 120 s"), End.no_boot),
        (L1Failed(End.no_module, "the test module didn't load"), End.no_module),
        (InfraError("starting QEMU", "no memory"), End.qemu),
    ],
)
def test_every_cell_of_an_l1_that_does_not_come_up_has_its_outcome_and_the_boots_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception, end: End
) -> None:
    other = msgspec.structs.replace(CELL, mapping="remap")
    outcomes = unbooted(tmp_path, monkeypatch, failure, CELL, other, CELL)
    assert [(o.cell, o.end) for o in outcomes] == [(CELL, end), (other, end), (CELL, end)]
    assert len({outcome.folder for outcome in outcomes}) == 3
    for outcome in outcomes:
        folder = tmp_path / "results" / outcome.folder
        assert (folder / "console.log").read_bytes() == SPLAT
        assert str(failure) in outcome.note
        assert [splat.function for splat in outcome.splats] == ["mmu_spte_clear_track_bits"]
        assert (folder / "again").exists()


# --- hostile -------------------------------------------------------------------------------------

ESCAPES = (b"\x1b[2J", b"\x1b]0;owned\x07", b"\x1bP1;2|x\x1b\\", b"\x9b31m", b"\x00", b"\x07")
PIECES = st.sampled_from(
    [
        *ESCAPES,
        *(b"1..", b"1..2\n", b"ok ", b"ok 1 ", b"not ok 2 access: ", b" # SKIP ", b"\n", b"\r"),
        *(b"# detail ", b"# ledger before ", b"page=", b"pfn=9 ", b"own_ref=", b"Bail out!"),
        *(b"\xff", "٣".encode(), "\u2028".encode(), "\u202e".encode(), "\xa0".encode(), b"="),
    ]
)
HOSTILE = st.one_of(
    st.binary(max_size=300),
    st.lists(st.one_of(PIECES, st.binary(max_size=4)), max_size=40).map(b"".join),
)


@given(HOSTILE)
@example(b"# ledger \n")
@example(b"1..\xc2\xb2\n")
@example(b"# ledger before page=" + b"9" * 1900 + b" pfn=1 own_ref=1 page_ref=1 mapcount=0 sum=0\n")
@example(b"1.." + b"9" * 5000 + b"\n")
@example(b"ok " + b"9" * 5000 + b" x\n")
def test_any_bytes_are_read_and_can_be_written_to_json(output: bytes) -> None:
    report = read_report(output)
    data = msgspec.json.encode(report)
    assert msgspec.json.decode(data, type=Report) == report


@given(HOSTILE)
def test_no_control_character_survives(output: bytes) -> None:
    for text in texts(read_report(output)):
        assert all(c == "\t" or unicodedata.category(c) != "Cc" for c in text)


@pytest.mark.parametrize("escape", ESCAPES)
def test_an_escape_sequence_in_a_name_is_taken_out_and_the_name_stays(escape: bytes) -> None:
    output = b"# detail a" + escape + b"b\nok 1 access: guest " + escape + b"writes\n"
    (step,) = read_report(output).subtests
    assert step.prop == "access"
    for text in (step.name, *step.detail):
        assert "\x1b" not in text
        assert "owned" not in text
    assert step.name.endswith("writes")


@given(HOSTILE)
def test_noise_before_a_report_never_makes_a_failed_step_pass(noise: bytes) -> None:
    report = read_report(noise + b"\n" + WHOLE)
    assert any(step.result is Result.not_ok for step in report.subtests)


def test_a_line_of_any_length_gives_a_bounded_name() -> None:
    (step,) = steps("ok 1 access: " + "x" * 1_000_000)
    assert len(step.name) <= 2000


def test_a_ledger_that_is_taken_down_again_replaces_the_first() -> None:
    again = ledger("before").replace("pfn=40", "pfn=50").encode()
    report = read_report(PASSED.replace(b"ok 1", again + b"ok 1"))
    assert report.complete
    assert [page.pfn for page in report.before] == [5096, 5097]
