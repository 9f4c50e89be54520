"""All files of a run at once."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from harness.judge.comparison import Comparison, make_comparison
from harness.judge.result import RunResult
from harness.report.files import COMPARISON, HTML, JSON, JUNIT, KTAP, SUMMARY, write_file
from harness.report.html import write_html
from harness.report.jsonfile import write_json
from harness.report.junit import write_junit
from harness.report.ktap import write_ktap


def write_all(result: RunResult, folder: Path, comparison: Comparison | None = None) -> None:
    """Write every file of the run into its folder, by the names that `show` gives."""
    write_json(result, folder / JSON)
    write_junit(result, folder / JUNIT)
    write_ktap(result, folder / KTAP)
    write_html(result, folder / HTML, comparison)


def write_comparison(result: RunResult, folder: Path) -> None:
    """Write every file of a comparison: those of a run, and the columns side by side."""
    comparison = make_comparison(result)
    write_json(comparison, folder / COMPARISON)
    write_all(result, folder, comparison)


def write_summary(show: Callable[[Console, Path], None], folder: Path) -> None:
    """Write what is shown at a run's end as text too."""
    text = io.StringIO()
    show(Console(file=text), folder)
    write_file(folder / SUMMARY, text.getvalue().encode())
