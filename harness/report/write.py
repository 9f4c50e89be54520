"""All files of a run at once."""

from __future__ import annotations

from pathlib import Path

from harness.judge.result import RunResult
from harness.report.files import HTML, JSON, JUNIT, KTAP
from harness.report.html import write_html
from harness.report.jsonfile import write_json
from harness.report.junit import write_junit
from harness.report.ktap import write_ktap


def write_all(result: RunResult, folder: Path) -> None:
    """Write every file of the run into its folder, by the names that `show` gives."""
    write_json(result, folder / JSON)
    write_junit(result, folder / JUNIT)
    write_ktap(result, folder / KTAP)
    write_html(result, folder / HTML)
