"""The result for a person at a terminal, or who reads a CI log."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.judge.expected import Surprise
from harness.judge.result import RunResult
from harness.model import Cell
from harness.report import files
from harness.report.cases import make_suites
from harness.report.condense import condense_changes, pick_surprises
from harness.report.sheet import heading, table_lines
from harness.report.summary import grades_line, setting_line, verdict_line
from harness.report.table import make_view
from harness.report.text import claim, command, count, line, place

_SURPRISES = 8
_ERRORS = 8
_MORE = 12
# What rich takes for the width of what is no terminal is too narrow for the table, and a log
# has no width.
_LOG_WIDTH = 100
_ASCII = str.maketrans({"–": "-", "→": ">", "…": "~", "×": "x", "\ufffd": "?"})


def show(result: RunResult, console: Console, folder: Path) -> None:
    """Print the judged run; folder: where its files are."""
    page = _Page(console)
    page.lines(table_lines(make_view(result), page.width))
    _changes(page, result)
    _unbuilt(page, result)
    _surprises(page, result, folder)
    _errors(page, result, folder)
    page.gap()
    page.say(Text(verdict_line(result), style="bold red" if result.status else "bold green"))
    page.say(Text(f"{grades_line(result, make_suites(result))}; {setting_line(result)}"))
    names = ", ".join((files.JSON, files.JUNIT, files.HTML))
    page.raw(f"{folder}/: {names}")
    page.say(Text(f"L1: {line(result.setting.accel)}", style="dim"))


def _changes(page: _Page, result: RunResult) -> None:
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


def _unbuilt(page: _Page, result: RunResult) -> None:
    for kernel in result.unbuilt:
        page.gap()
        text = heading(kernel, page.width)
        text.append(" was not built", style="bold red")
        page.say(text)
        page.say(Text(line(kernel.failure)), indent=2)
        if kernel.log:
            page.raw(f"  {line(kernel.log, 1000)}")


def _surprises(page: _Page, result: RunResult, folder: Path) -> None:
    chosen, more = pick_surprises(result.surprises, _SURPRISES)
    for surprise in chosen:
        page.gap()
        _surprise(page, surprise)
        _again(page, surprise.finding.cell, result, folder)
    _tail(page, len(result.surprises) - len(chosen), "finding", more)


def _surprise(page: _Page, surprise: Surprise) -> None:
    finding, cell = surprise.finding, surprise.finding.cell
    where = line(f"{cell.kernel} {cell.mode}:", 80)
    text = Text.assemble("! ", (where, "bold"), f" {claim(finding)}")
    text.append(line(f", {surprise.expected} ({surprise.why})"))
    page.say(text, hang=2)
    page.say(Text(f"{place(cell)}: {line(finding.evidence)}"), indent=2)


def _again(page: _Page, cell: Cell, result: RunResult, folder: Path) -> None:
    """Print the command that runs the cell again, and where its evidence is."""
    page.raw(f"  {command(cell, result.setting.options)}")
    for outcome in result.outcomes:
        if outcome.cell == cell and outcome.folder:
            page.raw(f"  {line(str(folder / outcome.folder), 1000)}/")
            break


def _errors(page: _Page, result: RunResult, folder: Path) -> None:
    shown = result.errors[:_ERRORS]
    for verdict in shown:
        page.gap()
        text = Text.assemble(("error ", "bold magenta"), line(str(verdict.cell)))
        page.say(text)
        page.say(Text(line(verdict.reason)), indent=2)
        _again(page, verdict.cell, result, folder)
    _tail(page, len(result.errors) - len(shown), "error", ())


def _tail(page: _Page, number: int, what: str, where: tuple[str, ...]) -> None:
    if number:
        page.gap()
        page.say(Text(f"and {count(number, f'more {what}', f'more {what}s')}, see {files.HTML}"))
        page.lines(Text(f"  {text}") for text in where[:_MORE])
        if len(where) > _MORE:
            page.say(Text(f"and in {count(len(where) - _MORE, 'more field')} of the table"), 2)


class _Page:
    """A console that is given text only, never markup."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tty = console.is_terminal
        self._ascii = not console.encoding.lower().startswith("utf")
        self.width = console.width if self._tty else max(console.width, _LOG_WIDTH)

    def say(self, text: Text, indent: int = 0, hang: int = 0) -> None:
        """Print prose: wrapped with a hanging indent on a terminal, one line in a log."""
        room = self.width - indent - hang
        wrap = self._tty and len(text) > self.width - indent and room > 20
        parts = text.wrap(self._console, room) if wrap else [text]
        for number, part in enumerate(parts):
            left = indent + (hang if number else 0)
            part.rstrip()
            self.lines([Text(" " * left).append_text(part)])

    def raw(self, text: str) -> None:
        """Print what may be copied: never wrapped by us."""
        self.lines([Text(text, style="dim")])

    def gap(self) -> None:
        self.lines([Text()])

    def lines(self, lines: Iterable[Text]) -> None:
        for text in lines:
            if self._ascii:
                text.plain = text.plain.translate(_ASCII).encode("ascii", "replace").decode()
            self._console.print(text, soft_wrap=True, highlight=False)
