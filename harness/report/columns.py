"""The table of a comparison: a row for each property and memory, a column for each series."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from string import ascii_uppercase

from rich.text import Text

from harness.judge.comparison import Comparison, Row
from harness.judge.result import KernelState
from harness.model import Property, Standing
from harness.report.text import line

MARKS = {Standing.holds: "✓", Standing.lost: "✗", Standing.unseen: "·"}
_STYLES = {Standing.holds: "green", Standing.lost: "bold red", Standing.unseen: "dim"}
_GAP = 2


def mark(standing: Standing | None) -> str:
    """Return the sign for a standing, a blank where no cell is a witness."""
    return MARKS[standing] if standing else " "


def column_lines(
    comparison: Comparison,
    kernels: Sequence[KernelState],
    red: Collection[tuple[str, str, Property]],
    width: int,
) -> list[Text]:
    """Return the table in at most `width` columns, and below it what its columns are.

    red: kernel, memory and property of each field that is not as expected.
    """
    names = [line(column, 40) for column in comparison.columns]
    lead = max((len(row.prop.value) for row in comparison.rows), default=0)
    memory = max((len(line(row.memory)) for row in comparison.rows), default=0)
    marks = len(comparison.modes) + 1
    room = width - lead - memory - 3
    heads = names
    if sum(max(len(name), marks) + _GAP for name in names) > room:
        heads = list(ascii_uppercase[: len(names)])
    widths = [max(len(head), marks) for head in heads]
    title = " " * (lead + memory + 3)
    title += "".join(f"{' ' * _GAP}{h:<{w}}" for h, w in zip(heads, widths, strict=True))
    lines = [Text(title.rstrip(), style="dim")]
    before = None
    for row in comparison.rows:
        name = row.prop.value if row.prop is not before else ""
        text = Text(f"  {name:<{lead}} {line(row.memory):<{memory}}")
        _fields(text, row, comparison.columns, red, widths)
        lines.append(text)
        before = row.prop
    legend = "  ✓ holds, ✗ lost, · not observed, blank no witness, ! not as expected; modes: "
    lines.append(Text(legend + " ".join(comparison.modes), style="dim"))
    for head, kernel in zip(heads, kernels, strict=True):
        lines.append(_column(head, kernel, width))
    return lines


def _fields(
    text: Text,
    row: Row,
    columns: Sequence[str],
    red: Collection[tuple[str, str, Property]],
    widths: Sequence[int],
) -> None:
    for column, field, width in zip(columns, row.fields, widths, strict=True):
        text.append(" " * _GAP)
        for standing in field:
            text.append(mark(standing), style=_STYLES[standing] if standing else "")
        sign = "!" if (column, row.memory, row.prop) in red else " "
        text.append(sign, style="bold yellow")
        text.append(" " * (width - len(field) - 1))
    text.rstrip()


def _column(head: str, kernel: KernelState, width: int) -> Text:
    label = line(kernel.label, 40)
    said = f"  {head}  {label}" if head != label else f"  {label}"
    patches = f"{kernel.patches} patches, the last: " if kernel.patches > 1 else ""
    text = Text(f"{said}  {patches}{line(kernel.subject)}")
    if kernel.twin:
        text = Text(f"{said}  the same state as {line(kernel.twin, 40)}, run once for both")
    if kernel.failure:
        text = Text(f"{said}  not built", style="bold red")
    text.truncate(width, overflow="ellipsis")
    return text
