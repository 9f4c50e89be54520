"""The run as one HTML page that needs nothing but itself: no script, no font, no network."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.dmesg import Splat
from harness.judge.comparison import Comparison
from harness.judge.result import RunResult
from harness.model import Cell, Finding, Subtest
from harness.report import text
from harness.report.cases import Case, Suite, make_suites
from harness.report.columns import mark
from harness.report.condense import condense_changes
from harness.report.files import CONSOLE, JSON, JUNIT, write_file
from harness.report.summary import (
    grades_line,
    setting_line,
    stale_line,
    surprised,
    verdict_line,
)
from harness.report.table import FieldView, make_view

_SPLATS = 4
_SPLAT_LIMIT = 6000
_STEPS = 40


def write_html(result: RunResult, path: Path, comparison: Comparison | None = None) -> None:
    """Write the page; its links to evidence are relative to the run's folder, where it lies."""
    write_file(path, html(result, comparison).encode())


def html(result: RunResult, comparison: Comparison | None = None) -> str:
    """Return the page, with the columns side by side at its top if it is a comparison.

    Whatever it shows goes through the template's autoescape, and the functions of text.py.
    """
    suites = make_suites(result)
    changes = condense_changes(result)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            comparison=comparison,
            setting=setting_line(result),
            verdict=verdict_line(result),
            grades=grades_line(result, suites),
            files=(JSON, JUNIT),
            view=make_view(result),
            changes=[
                (kernel, mine)
                for kernel in result.setting.kernels
                if (mine := [one for one in changes if one.kernel == kernel.label])
            ],
            found=[case for suite in suites for case in suite.cases if case.surprises],
            suites=suites,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "line": text.line,
        "command": text.command,
        "place": text.place,
        "standing": text.standing,
        "duration": text.duration,
        "surprised": surprised,
        "stale": stale_line,
        "anchor": _anchor,
        "mark": mark,
        "cell_anchor": lambda cell: quote(text.line(str(cell))),
        "console": _console,
        "tally": _tally,
        "hint": _hint,
        "steps": _steps,
        "splats": _splats,
        "opened": lambda suite: any(case.surprises for case in suite.cases),
    }
    return environment


def _anchor(what: Case | FieldView) -> str:
    cell = what.verdict.cell if isinstance(what, Case) else what.entry.decided_by.cell
    return quote(text.line(str(cell)))


def _console(case: Case) -> str:
    """Return the link to the log; ./ first, so that no folder's name becomes a scheme."""
    return "./" + quote(f"{case.outcome.folder}/{CONSOLE}", errors="replace")


def _tally(suite: Suite) -> str:
    words = Counter(case.word for case in suite.cases)
    return ", ".join(f"{number} {word}" for word, number in sorted(words.items()))


def _hint(field: FieldView) -> str:
    finding: Finding = field.entry.decided_by
    cell: Cell = finding.cell
    return f"{text.count(field.entry.cells, 'cell')}; {text.place(cell)}: " + text.line(
        finding.evidence
    )


def _steps(steps: tuple[Subtest, ...]) -> list[str]:
    return [
        text.line(" ".join([step.result.value, f"{step.prop}: {step.name}", step.reason]))
        + "".join(f"\n    {text.line(detail)}" for detail in step.detail[:8])
        for step in steps[:_STEPS]
    ]


def _splats(splats: tuple[Splat, ...]) -> list[str]:
    shown = [text.block(splat.text or splat.title, _SPLAT_LIMIT) for splat in splats[:_SPLATS]]
    if len(splats) > _SPLATS:
        shown.append(f"and {len(splats) - _SPLATS} more")
    return shown
