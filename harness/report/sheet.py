"""The table as lines of coloured text that fit a width."""

from __future__ import annotations

from rich.text import Text

from harness.judge.result import KernelState
from harness.model import Property, Standing
from harness.report.table import FieldView, Group, TableView
from harness.report.text import line

_SHORT = {
    Property.detection: "detect",
    Property.refcounts: "refs",
    Property.ownership: "owner",
    Property.integrity: "integr",
    Property.notifier: "notify",
    Property.refusal: "refuse",
    Property.robustness: "robust",
}
_STYLES = {Standing.holds: "green", Standing.lost: "bold red", Standing.unseen: "dim"}
_SIGN_STYLES = {"*": "cyan", "!": "bold yellow"}
_SIGN_WORDS = {
    "*": "changed by this kernel",
    "!": "not as expected",
    "–": "not observed",
}
_WORD = 5  # holds


def table_lines(view: TableView, width: int) -> list[Text]:
    """Return the table in at most `width` columns, if 80 or more are to be had."""
    lead = ["mode", "memory"]
    rows = [row for group in view.groups for row in group.rows]
    lead_widths = [
        max([len(lead[0]), *(len(row.mode) for row in rows)]),
        max([len(lead[1]), *(len(row.memory) for row in rows)]),
    ]
    names, widths, gap = _fit(view, width - sum(lead_widths) - 3)
    space = " " * gap
    head = f"  {lead[0]:<{lead_widths[0]}} {lead[1]:<{lead_widths[1]}}"
    cells = (f"{space}{name:<{wide}}" for name, wide in zip(names, widths, strict=True))
    lines = [Text((head + "".join(cells)).rstrip(), style="dim")] if rows else []
    for group in view.groups:
        lines.append(heading(group.kernel, width))
        for row in group.rows:
            text = Text(f"  {row.mode:<{lead_widths[0]}} ")
            text.append(f"{row.memory:<{lead_widths[1]}}")
            for field, wide in zip(row.fields, widths, strict=True):
                text.append(space)
                text.append_text(_field(field, wide))
            text.rstrip()
            lines.append(text)
        lines += _without_rows(group, width)
    legend = ", ".join(f"{sign} {_SIGN_WORDS[sign]}" for sign in _SIGN_WORDS if sign in view.signs)
    if not rows:
        return lines
    legend = ", ".join(filter(None, (legend, "blank no witness")))
    return [*lines, Text(f"  {legend}", style="dim")]


def heading(kernel: KernelState, width: int) -> Text:
    """Return a kernel's label, and the subject of its last patch beside it."""
    label = line(kernel.label, 40)
    subject = line(kernel.subject or kernel.release)
    text = Text(label, style="bold")
    text.append(f"  {subject}" if subject else "", style="not bold")
    text.truncate(width, overflow="ellipsis")
    return text


def _without_rows(group: Group, width: int) -> list[Text]:
    if group.rows:
        return []
    if not group.kernel.failure:
        return [Text("  no cell says anything", style="dim")]
    return [Text("  not built: " + line(group.kernel.failure, width - 13), style="bold red")]


def _fit(view: TableView, room: int) -> tuple[list[str], list[int], int]:
    """Choose full or short names and the gap: the widest that fits, else the narrowest."""
    full = [prop.value for prop in view.props]
    short = [_SHORT.get(prop, prop.value) for prop in view.props]
    signs = [
        max([0, *(len(f.signs) for g in view.groups for r in g.rows if (f := r.fields[column]))])
        for column in range(len(view.props))
    ]
    choice = full, [0] * len(full), 0
    for names, gap in ((full, 2), (full, 1), (short, 2), (short, 1)):
        pairs = zip(names, signs, strict=True)
        widths = [max(len(name), _WORD + more) for name, more in pairs]
        choice = names, widths, gap
        if sum(widths) + gap * len(widths) <= room:
            break
    return choice


def _field(field: FieldView | None, width: int) -> Text:
    text = Text()
    if field is not None:
        text.append(field.word, style=_STYLES[field.entry.standing])
        for sign in field.signs:
            text.append(sign, style=_SIGN_STYLES[sign])
    text.pad_right(width - len(text))
    return text
