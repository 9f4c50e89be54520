"""Several series side by side: what is judged, what differs, and how it is shown."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import msgspec
import pytest
from rich.console import Console
from test_report_sample import ACCEL, LABELS, MODES, SCENARIOS, run_one
from test_report_terminal import FOLDER

from harness.judge.comparison import Comparison, judge_columns, make_comparison
from harness.judge.expected import Claim, Expectation, Expected
from harness.judge.result import KernelState, RunResult, Setting
from harness.model import Cell, End, Outcome, Property, Standing
from harness.report.comparison import show_comparison
from harness.report.html import html
from harness.report.jsonfile import read_json, schema
from harness.report.write import write_comparison, write_summary

# Each column, and the kernel of the sample that it is like.
COLUMNS = {"base": "base", "noref+4": "noref+4", "half+2": "noref+2", "again+4": "noref+4"}


def columns_run(
    columns: Mapping[str, str] = COLUMNS,
    known: Mapping[str, Expected | None] | None = None,
    change: Callable[[Outcome], Outcome] = lambda outcome: outcome,
    modes: tuple[str, ...] = MODES,
) -> RunResult:
    outcomes = []
    for label, like in columns.items():
        for mode in modes:
            for scenario in SCENARIOS:
                for backing in ("order0",) if scenario.control else ("tail", "order0"):
                    cell = Cell(
                        kernel=like,
                        mode=mode,
                        backing=backing,
                        mapping="fault",
                        scenario=scenario.name,
                    )
                    seen = run_one(cell, scenario.checks)
                    mine = msgspec.structs.replace(cell, kernel=label)
                    outcomes.append(change(msgspec.structs.replace(seen, cell=mine)))
    kernels = tuple(
        KernelState(
            label=label,
            patches=LABELS.index(like),
            subject=f"KVM: the last patch of {label}",
            options="" if label == "base" else f"--series {label.partition('+')[0]}",
            twin="noref+4" if label == "again+4" else "",
        )
        for label, like in columns.items()
    )
    setting = Setting(
        series="noref, half, again",
        origin="",
        base="6.12.117",
        arch="x86_64",
        accel=ACCEL,
        kernels=kernels,
        modes=MODES,
    )
    return judge_columns(setting, outcomes, SCENARIOS, known or {}, 60.0)


def fact(standing: Standing, *kernels: int, prop: Property = Property.silence) -> Expectation:
    modes = ("legacy", "shadow")
    memory = ("uncounted",)
    return Expectation(
        prop=prop, kernels=kernels, standing=standing, why="so it is", modes=modes, memory=memory
    )


# Nothing but silence, and access, matters to these.
def silence_of(run: RunResult) -> set[tuple[str, str]]:
    return {
        (s.finding.cell.kernel, s.finding.cell.mode)
        for s in run.surprises
        if s.finding.prop is Property.silence
    }


# --- judging -------------------------------------------------------------------------------------


def test_a_series_of_which_nothing_is_known_is_not_judged() -> None:
    run = columns_run()
    assert (run.surprises, run.status) == ((), 0)


def test_each_last_kernel_is_judged_by_its_own_known_facts() -> None:
    known = Expected(expect=(fact(Standing.lost, 2),))
    assert silence_of(columns_run(known={"half+2": known, "noref+4": Expected()})) == set()
    # The same facts say of a kernel with 4 patches that it is silent, which it is.
    assert silence_of(columns_run(known={"noref+4": known})) == set()
    wrong = columns_run(known={"half+2": Expected()})
    assert silence_of(wrong) == {("half+2", "legacy"), ("half+2", "shadow")}
    assert wrong.status == 1


def test_what_is_known_of_the_base_holds_for_each_column_that_says_nothing_else() -> None:
    known = Expected(base=(fact(Standing.lost),))
    assert silence_of(columns_run(known={"half+2": known})) == set()
    wrong = columns_run(known={"noref+4": known})
    assert silence_of(wrong) == {("noref+4", "legacy"), ("noref+4", "shadow")}


def test_a_claim_binds_the_last_kernel_of_its_series() -> None:
    claim = Claim(prop=Property.silence, why="it is there for that")
    known = {"half+2": Expected(claim=(claim,)), "noref+4": Expected(claim=(claim,))}
    run = columns_run(known=known)
    assert silence_of(run) == {("half+2", "legacy"), ("half+2", "shadow")}
    assert "it is there for that" in {surprise.why for surprise in run.surprises}


def test_what_takes_l1_down_is_a_finding_on_any_kernel() -> None:
    def hang(outcome: Outcome) -> Outcome:
        if str(outcome.cell) != "half+2/tdp/tail/fault/guest_write":
            return outcome
        return msgspec.structs.replace(outcome, end=End.hang, note="L1 gave no answer within 30 s")

    run = columns_run(change=hang)
    assert {s.finding.prop for s in run.surprises} == {Property.robustness}
    assert run.status == 1


# --- side by side --------------------------------------------------------------------------------


def marks(comparison: Comparison, prop: Property, memory: str) -> list[list[str]]:
    (row,) = (r for r in comparison.rows if (r.prop, r.memory) == (prop, memory))
    return [[one.value if one else "" for one in field] for field in row.fields]


def test_a_row_has_for_each_column_a_standing_for_each_mode() -> None:
    comparison = make_comparison(columns_run())
    assert comparison.columns == tuple(COLUMNS)
    assert comparison.modes == MODES
    lost, holds = ["lost"] * 3, ["holds"] * 3
    assert marks(comparison, Property.access, "uncounted") == [lost, holds, holds, holds]
    warns = ["holds", "lost", "lost"]
    assert marks(comparison, Property.silence, "uncounted") == [holds, holds, warns, holds]


def test_the_cells_that_differ_are_those_whose_columns_do_not_agree() -> None:
    comparison = make_comparison(columns_run())
    silent = [one for one in comparison.differences if one.prop is Property.silence]
    assert {one.mode for one in silent} == {"legacy", "shadow"}
    for one in comparison.differences:
        assert [finding.cell.kernel for finding in one.findings] == list(COLUMNS)
        assert len({finding.standing for finding in one.findings}) > 1
    assert not make_comparison(columns_run({"base": "base", "none+1": "noref+1"})).differences


# --- shown ---------------------------------------------------------------------------------------


def shown(run: RunResult, width: int = 100, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    show_comparison(run, Console(file=file, width=width), FOLDER)
    file.seek(0)
    return file.read()


def test_the_table_has_a_mark_for_each_mode_and_says_what_its_columns_are() -> None:
    lines = shown(columns_run()).splitlines()
    assert lines[0].split() == list(COLUMNS)
    assert "access" in lines[1] and lines[2].split() == ["uncounted", "✗✗✗", "✓✓✓", "✓✓✓", "✓✓✓"]
    assert "✓✗✗" in next(line for line in lines[3:] if "uncounted" in line)
    text = "\n".join(lines)
    assert "modes: tdp legacy shadow" in text
    assert "half+2  2 patches, the last: KVM: the last patch of half+2" in text
    assert "again+4  the same state as noref+4, run once for both" in text


def test_seven_series_in_three_modes_fit_100_columns() -> None:
    columns = {"base": "base"} | {f"tracked-sptes-v{n}+12": "noref+4" for n in range(7)}
    lines = shown(columns_run(columns)).partition("\n\n")[0].splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].split() == ["A", "B", "C", "D", "E", "F", "G", "H"]
    assert any("H  tracked-sptes-v6+12" in line for line in lines)


def test_a_field_that_is_not_as_expected_has_a_sign() -> None:
    text = shown(columns_run(known={"half+2": Expected()}))
    assert "✓✗✗!" in text
    assert "! not as expected" in text


def test_a_locale_without_unicode_gets_ascii() -> None:
    text = shown(columns_run(), encoding="ascii")
    assert "xxx" in text and "+++" in text and "+ holds, x lost, . not observed" in text


def test_differences_show_each_columns_evidence_and_a_command() -> None:
    text = shown(columns_run())
    assert "silence of uncounted memory in legacy, shadow: " in text
    assert "✗ half+2: WARNING in mmu_spte_clear_track_bits" in text
    assert "✓ base, noref+4, again+4: no splat" in text
    assert "noref run half+2/legacy/tail/fault/guest_write --series half" in text


def test_the_page_has_the_columns_and_the_cells_that_differ() -> None:
    run = columns_run()
    page = html(run, make_comparison(run))
    assert "Side by side" in page and "Cells that differ" in page
    assert 'href="#half%2B2/legacy/tail/fault/guest_write"' in page
    assert "Side by side" not in html(run)


def test_a_comparison_leaves_the_files_of_a_run_and_its_own(tmp_path) -> None:  # type: ignore[no-untyped-def]
    run = columns_run()
    write_comparison(run, tmp_path)
    write_summary(lambda console, folder: show_comparison(run, console, folder), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    files = {"result.json", "comparison.json", "junit.xml", "result.ktap", "report.html"}
    assert names == files | {"summary.txt"}
    assert read_json(tmp_path / "result.json") == run
    data = (tmp_path / "comparison.json").read_bytes()
    assert msgspec.json.decode(data, type=Comparison) == make_comparison(run)
    assert set(msgspec.json.decode(schema(Comparison))["$defs"]) >= {"Row", "Difference"}


@pytest.mark.parametrize("width", [100, 140])
def test_a_hostile_name_of_a_series_does_not_widen_the_table(width: int) -> None:
    columns = {"base": "base", "x" * 90 + "+4": "noref+4"}
    table = shown(columns_run(columns), width).partition("\n\n")[0].splitlines()
    assert max(map(len, table)) <= width
