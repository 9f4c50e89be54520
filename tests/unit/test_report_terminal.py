"""What a person reads at the end of a run."""

from __future__ import annotations

import io
import re
from pathlib import Path

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console
from test_report_sample import (
    ACCEL,
    SPLAT_LINE,
    SUBJECTS,
    noref_run,
    without_patch_4,
)

from harness.judge.expected import Expected
from harness.judge.result import RunResult
from harness.model import End, Outcome
from harness.report.terminal import show

FOLDER = Path("/results/1")


def shown(
    result: RunResult, width: int = 100, *, terminal: bool = False, encoding: str = "utf-8"
) -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    console = Console(file=file, width=width, force_terminal=terminal, no_color=not terminal)
    show(result, console, FOLDER)
    file.seek(0)
    return file.read()


def table(text: str) -> list[str]:
    return text.partition("\n\n")[0].splitlines()


def rows(text: str, kernel: str) -> list[str]:
    lines = table(text)
    first = next(number for number, line in enumerate(lines) if line.startswith(kernel))
    return [" ".join(line.split()) for line in lines[first + 1 : first + 7]]


def test_the_table_has_each_kernel_with_its_subject_and_its_rows() -> None:
    text = shown(noref_run())
    for subject in SUBJECTS:
        assert subject in "\n".join(table(text))
    assert rows(text, "base") == [
        "tdp counted holds holds LOST holds LOST holds holds holds",
        "tdp uncounted LOST holds holds – – – holds",
        "legacy counted holds holds holds holds LOST holds holds holds",
        "legacy uncounted LOST holds holds – – – holds",
        "shadow counted holds holds holds holds LOST holds holds holds",
        "shadow uncounted LOST holds holds – – – holds",
    ]


def test_fields_that_changed_or_surprise_have_a_sign_that_is_explained() -> None:
    good = shown(noref_run())
    assert "legacy uncounted holds* LOST* holds LOST* holds* holds* holds" in rows(good, "noref+2")
    assert "* changed by this kernel, – not observed" in good
    assert "LOST!" in rows(shown(noref_run(change=without_patch_4)), "noref+4")[3]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_table_fits_the_terminal(width: int) -> None:
    text = shown(noref_run(change=without_patch_4), width, terminal=True)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert max(cell_len(line) for line in table(plain)) <= width


def test_the_table_fits_100_columns_in_a_log_whatever_rich_thinks_it_is() -> None:
    text = shown(noref_run(), 80)
    assert "refcounts ownership" in text
    assert max(map(len, table(text))) <= 100
    assert "\x1b" not in text


def test_changes_that_are_alike_over_modes_take_one_line_with_the_patch_subject() -> None:
    lines = shown(noref_run()).splitlines()
    assert "noref+2  gains access of uncounted memory in tdp, legacy, shadow" in lines
    assert f"noref+2  loses silence of uncounted memory in legacy, shadow: {SPLAT_LINE}" in lines
    loss = (
        "noref+4  loses detection of counted memory in legacy, shadow: "
        "the seeded bug went by in silence"
    )
    assert lines.index(f"noref+4  {SUBJECTS[4]}", 30) < lines.index(loss)
    assert not any("gains" in line and "noref+1" in line for line in lines)


def test_a_change_across_a_kernel_that_was_not_built_says_since_when() -> None:
    text = shown(noref_run(unbuilt="noref+1"))
    assert "gains access of uncounted memory in tdp, legacy, shadow (since base)" in text
    assert "not built: compiling mmu.c: 'gfn_to_pfn' undeclared" in text
    assert "/cache/builds/1/log" in text
    assert "1 finding\n" in text


def test_a_run_as_expected_ends_in_one_quiet_verdict() -> None:
    end = shown(noref_run()).split("\n\n")[-1].splitlines()
    assert end == [
        "as expected",
        "180 cells: all as expected, 0 not, 0 errors; noref on 6.12.117, x86_64, 8 min 32 s",
        "/results/1/: result.json, junit.xml, report.html",
        f"L1: {ACCEL}",
    ]


def test_a_surprise_names_all_that_is_needed_to_see_it_again() -> None:
    text = shown(noref_run(change=without_patch_4))
    assert (
        "! noref+4 legacy: silence of uncounted memory is LOST, "
        "expected holds (nothing says otherwise)\n"
        f"  guest_write on tail by fault: {SPLAT_LINE}\n"
        "  noref run noref+4/legacy/tail/fault/guest_write\n"
        "  /results/1/cells/noref+4/legacy/tail/fault/guest_write/\n"
    ) in text
    assert "noref+4 shadow: detection of counted memory holds, expected lost" in text


def test_many_surprises_are_condensed_and_it_is_said_where_the_others_stand() -> None:
    text = shown(noref_run(expected=Expected()))
    assert text.count("\n! ") == 8
    assert re.search(r"and \d+ more findings, see report.html", text)
    assert "  base tdp: access of uncounted memory, 4 cells" in text
    assert len(text.splitlines()) < 130


def test_without_known_facts_the_earlier_kernels_are_the_measure() -> None:
    text = shown(noref_run(known=False))
    assert "legacy: silence of uncounted memory is LOST, an earlier kernel had it" in text
    assert "judged by the kernels before" in text
    assert "without a finding" in text


def test_errors_are_told_apart_from_findings() -> None:
    def broken(outcome: Outcome) -> Outcome:
        if outcome.cell.scenario != "vm_close" or outcome.cell.kernel != "base":
            return outcome
        return msgspec.structs.replace(outcome, end=End.qemu, note="QEMU ended with status 1")

    text = shown(noref_run(change=broken))
    assert "error base/tdp/tail/fault/vm_close\n  QEMU ended with status 1\n" in text
    assert "6 errors, which say nothing of the kernel\n" in text


def test_a_run_of_nothing_says_so() -> None:
    text = shown(noref_run(()))
    assert text.splitlines()[0:2] == ["", "nothing ran"]


def test_one_kernel_alone_has_no_changes_and_no_empty_rows() -> None:
    text = shown(noref_run(("noref+4",), expected=Expected()))
    assert "No property changed" not in text
    assert "base" not in "\n".join(table(text))


def test_a_log_that_knows_only_ascii_gets_ascii() -> None:
    text = shown(noref_run(), encoding="ascii")
    assert "flags none > referenced,dirty" in text
    assert text.isascii()
