"""The table kernel × mode × memory × property, as values that terminal and HTML show."""

from __future__ import annotations

from harness.judge.result import KernelState, RunResult
from harness.judge.table import Entry
from harness.model import Property, Standing, Value
from harness.report.cases import Field, field_of
from harness.report.summary import memories, witnessed


class FieldView(Value):
    """One field.  changed: changed by this kernel; surprise: not as expected."""

    entry: Entry
    changed: bool
    surprise: bool

    @property
    def word(self) -> str:
        """The field in a word that needs no colour."""
        words = {Standing.holds: "holds", Standing.lost: "LOST", Standing.unseen: "–"}
        return words[self.entry.standing]

    @property
    def signs(self) -> str:
        return "*" * self.changed + "!" * self.surprise


class Row(Value):
    """One mode and memory class of a kernel; None where no cell is a witness."""

    mode: str
    memory: str
    fields: tuple[FieldView | None, ...]


class Group(Value):
    """One kernel with its rows; no rows if it wasn't built, or if only errors came of it."""

    kernel: KernelState
    rows: tuple[Row, ...]


class TableView(Value):
    props: tuple[Property, ...]
    groups: tuple[Group, ...]

    @property
    def signs(self) -> str:
        """The signs that the table uses, and so has to explain."""
        used = {sign for f in self._fields() for sign in f.signs}
        unseen = any(f.entry.standing is Standing.unseen for f in self._fields())
        return "".join(sorted(used)) + "–" * unseen

    def _fields(self) -> list[FieldView]:
        return [f for g in self.groups for row in g.rows for f in row.fields if f is not None]


def make_view(result: RunResult) -> TableView:
    """Arrange the result's table for reading."""
    entries = {(e.kernel, e.mode, e.memory, e.prop): e for e in result.table}
    changed = {(c.kernel, c.mode, c.memory, c.prop) for c in result.changes}
    red = {field_of(surprise.finding) for surprise in result.surprises}
    props = witnessed(result)
    ran = {entry.mode for entry in result.table}
    modes = [m for m in result.setting.modes if m in ran]
    modes += sorted(ran - set(modes))

    def view(field: Field) -> FieldView | None:
        if field not in entries:
            return None
        return FieldView(entry=entries[field], changed=field in changed, surprise=field in red)

    def rows(kernel: str) -> tuple[Row, ...]:
        every = [
            Row(mode=mode, memory=name, fields=tuple(view((kernel, mode, name, p)) for p in props))
            for mode in modes
            for name in memories(result)
        ]
        return tuple(row for row in every if any(row.fields))

    tried = {verdict.cell.kernel for verdict in result.verdicts}
    return TableView(
        props=props,
        groups=tuple(
            Group(kernel=kernel, rows=rows(kernel.label))
            for kernel in result.setting.kernels
            if kernel.failure or kernel.label in tried
        ),
    )
