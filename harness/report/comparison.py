"""Several series side by side, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from harness.judge.comparison import Comparison, Difference, make_comparison
from harness.judge.result import RunResult
from harness.model import Finding, Standing
from harness.report import files
from harness.report.columns import column_lines, mark
from harness.report.page import Page
from harness.report.terminal import show_end, show_findings
from harness.report.text import command, count, line, place

_GROUPS = 24


def show_comparison(result: RunResult, console: Console, folder: Path) -> None:
    """Print a run of several series; folder: where its files are."""
    page = Page(console)
    comparison = make_comparison(result)
    red = {(s.finding.cell.kernel, s.finding.memory, s.finding.prop) for s in result.surprises}
    page.lines(column_lines(comparison, result.setting.kernels, red, page.width))
    _differences(page, comparison, result)
    show_findings(page, result, folder)
    names = (files.COMPARISON, files.JSON, files.JUNIT, files.HTML)
    show_end(page, result, folder, names)


def _differences(page: Page, comparison: Comparison, result: RunResult) -> None:
    """Print the cells that differ, those in one paragraph that differ in the same way."""
    groups: dict[object, list[Difference]] = {}
    for one in comparison.differences:
        words = tuple((f.cell.kernel, f.standing) for f in one.findings)
        groups.setdefault((one.prop, one.memory, words), []).append(one)
    page.gap()
    cells = {msgspec.structs.replace(d.findings[0].cell, kernel="") for d in comparison.differences}
    page.say(Text(f"{count(len(cells), 'cell')} on which the columns differ", style="bold"))
    for group in list(groups.values())[:_GROUPS]:
        _group(page, group, result)
    if len(groups) > _GROUPS:
        page.say(Text(f"and {len(groups) - _GROUPS} more ways to differ, see {files.HTML}"))


def _group(page: Page, group: Sequence[Difference], result: RunResult) -> None:
    first = group[0]
    modes = ", ".join(dict.fromkeys(one.mode for one in group))
    scenarios = ", ".join(dict.fromkeys(one.scenario for one in group))
    page.gap()
    head = f"{first.prop.value} of {line(first.memory)} memory in {modes}"
    page.say(Text(f"{head}: {scenarios} ({count(len(group), 'cell')})"), hang=2)
    page.say(Text(f"e.g. {place(first.findings[0].cell)} in {first.mode}:"), indent=2)
    alike: dict[tuple[Standing, str], list[Finding]] = {}
    for finding in first.findings:
        alike.setdefault((finding.standing, finding.evidence), []).append(finding)
    for (standing, evidence), findings in alike.items():
        columns = ", ".join(finding.cell.kernel for finding in findings)
        page.say(Text(f"{mark(standing)} {line(columns)}: {line(evidence)}"), indent=4, hang=2)
    lost = next((f for f in first.findings if f.standing is Standing.lost), first.findings[0])
    page.raw(f"    {command(lost.cell, result.options(lost.cell.kernel))}")
