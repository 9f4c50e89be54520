"""The result for a person at a terminal, or who reads a CI log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.judge.expected import Surprise
from harness.judge.result import RunResult
from harness.model import Cell
from harness.report import files
from harness.report.cases import make_suites
from harness.report.condense import condense_changes, pick_surprises
from harness.report.page import Page
from harness.report.sheet import heading, table_lines
from harness.report.summary import grades_line, setting_line, stale_line, verdict_line
from harness.report.table import make_view
from harness.report.text import claim, command, count, line, place

_SURPRISES = 8
_ERRORS = 8
_MORE = 12


def show(result: RunResult, console: Console, folder: Path) -> None:
    """Print the judged run; folder: where its files are."""
    page = Page(console)
    page.lines(table_lines(make_view(result), page.width))
    _changes(page, result)
    show_findings(page, result, folder)
    show_end(page, result, folder, (files.JSON, files.JUNIT, files.HTML))


def show_findings(page: Page, result: RunResult, folder: Path) -> None:
    """Print what is not as expected: kernels that weren't built, surprises, errors."""
    _unbuilt(page, result)
    _surprises(page, result, folder)
    for entry in result.stale:
        page.gap()
        page.say(Text(f"! {stale_line(entry)}"), hang=2)
    _errors(page, result, folder)


def show_end(page: Page, result: RunResult, folder: Path, names: Sequence[str]) -> None:
    """Print the verdict, and where the files of that name are."""
    page.gap()
    page.say(Text(verdict_line(result), style="bold red" if result.status else "bold green"))
    page.say(Text(f"{grades_line(result, make_suites(result))}; {setting_line(result)}"))
    page.raw(f"{folder}/: {', '.join(names)}")
    page.say(Text(f"L1: {line(result.setting.accel)}", style="dim"))


def _changes(page: Page, result: RunResult) -> None:
    if len({entry.kernel for entry in result.table}) < 2:
        return
    page.gap()
    found = condense_changes(result)
    if not found:
        page.say(Text("No property changed from kernel to kernel."))
    for kernel in result.setting.kernels:
        mine = [one for one in found if one.kernel == kernel.label]
        if mine:
            page.lines([heading(kernel, page.width)])
        for one in mine:
            text = Text(f"{line(kernel.label, 40)}  {one.text}")
            if one.evidence:
                text.append(f": {one.evidence}")
                text.stylize("red", len(kernel.label) + 2, len(kernel.label) + 2 + len(one.verb))
            page.say(text, hang=len(line(kernel.label, 40)) + 2)


def _unbuilt(page: Page, result: RunResult) -> None:
    for kernel in result.unbuilt:
        page.gap()
        text = heading(kernel, page.width)
        text.append(" was not built", style="bold red")
        page.say(text)
        page.say(Text(line(kernel.failure)), indent=2)
        if kernel.log:
            page.raw(f"  {line(kernel.log, 1000)}")


def _surprises(page: Page, result: RunResult, folder: Path) -> None:
    chosen, more = pick_surprises(result.surprises, _SURPRISES)
    for surprise in chosen:
        page.gap()
        _surprise(page, surprise)
        _again(page, surprise.finding.cell, result, folder)
    _tail(page, len(result.surprises) - len(chosen), "finding", more)


def _surprise(page: Page, surprise: Surprise) -> None:
    finding, cell = surprise.finding, surprise.finding.cell
    where = line(f"{cell.kernel} {cell.mode}:", 80)
    text = Text.assemble("! ", (where, "bold"), f" {claim(finding)}")
    text.append(line(f", {surprise.expected} ({surprise.why})"))
    page.say(text, hang=2)
    page.say(Text(f"{place(cell)}: {line(finding.evidence)}"), indent=2)


def _again(page: Page, cell: Cell, result: RunResult, folder: Path) -> None:
    """Print the command that runs the cell again, and where its evidence is."""
    page.raw(f"  {command(cell, result.options(cell.kernel))}")
    for outcome in result.outcomes:
        if outcome.cell == cell and outcome.folder:
            page.raw(f"  {line(str(folder / outcome.folder), 1000)}/")
            break


def _errors(page: Page, result: RunResult, folder: Path) -> None:
    shown = result.errors[:_ERRORS]
    for verdict in shown:
        page.gap()
        text = Text.assemble(("error ", "bold magenta"), line(str(verdict.cell)))
        page.say(text)
        page.say(Text(line(verdict.reason)), indent=2)
        _again(page, verdict.cell, result, folder)
    _tail(page, len(result.errors) - len(shown), "error", ())


def _tail(page: Page, number: int, what: str, where: tuple[str, ...]) -> None:
    if number:
        page.gap()
        page.say(Text(f"and {count(number, f'more {what}', f'more {what}s')}, see {files.HTML}"))
        page.lines(Text(f"  {text}") for text in where[:_MORE])
        if len(where) > _MORE:
            page.say(Text(f"and in {count(len(where) - _MORE, 'more field')} of the table"), 2)
