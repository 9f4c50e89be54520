"""Many alike put into few lines: changes over modes, surprises over cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence

import msgspec

from harness.judge.expected import Surprise
from harness.judge.result import RunResult
from harness.judge.table import Change
from harness.model import Property, Standing, Value
from harness.report.cases import Field, field_of
from harness.report.text import count, line

_VERBS = {
    (Standing.lost, Standing.holds): "gains",
    (Standing.holds, Standing.lost): "loses",
    (Standing.unseen, Standing.lost): "now shows the loss of",
    (Standing.unseen, Standing.holds): "now shows",
    (Standing.lost, Standing.unseen): "no longer shows the loss of",
    (Standing.holds, Standing.unseen): "no longer shows",
}
_VERB_ORDER = list(_VERBS.values())
_PROP_ORDER = list(Property)


class ChangeLine(Value):
    """What one patch did, in all modes where it did the same.

    since: the last kernel that says how it was before, if that is not the one just before;
    evidence: what was seen, for losses.
    """

    kernel: str
    since: str
    verb: str
    props: tuple[Property, ...]
    memory: tuple[str, ...]
    modes: tuple[str, ...]
    evidence: str

    @property
    def text(self) -> str:
        """The line without its kernel and evidence."""
        props = ", ".join(prop.value for prop in self.props)
        since = f" (since {self.since})" if self.since else ""
        memory = " and ".join(self.memory)
        return line(f"{self.verb} {props} of {memory} memory in {', '.join(self.modes)}{since}")


def condense_changes(result: RunResult) -> tuple[ChangeLine, ...]:
    """Return the changes of a run in the series' order, those that are alike in one line."""
    kernels = [kernel.label for kernel in result.setting.kernels]
    modes = result.setting.modes
    ordered = sorted(
        result.changes,
        key=lambda change: (
            modes.index(change.mode) if change.mode in modes else len(modes),
            change.memory,
            _PROP_ORDER.index(change.prop),
        ),
    )
    lines = [_line(change, _since(change, result, kernels)) for change in ordered]
    lines = _merge(lines, "modes", lambda x: (x.kernel, x.since, x.verb, x.props, x.memory))
    lines = _merge(
        lines, "memory", lambda x: (x.kernel, x.since, x.verb, x.props, x.modes, x.evidence)
    )
    # A loss has evidence about one property, and so a line of its own.
    lines = _merge(
        lines,
        "props",
        lambda x: (x.kernel, x.since, x.verb, x.memory, x.modes, x.evidence and x.props),
    )
    return tuple(sorted(lines, key=lambda x: (kernels.index(x.kernel), _VERB_ORDER.index(x.verb))))


def _line(change: Change, since: str) -> ChangeLine:
    return ChangeLine(
        kernel=change.kernel,
        since=since,
        verb=_VERBS[change.before, change.after],
        props=(change.prop,),
        memory=(change.memory,),
        modes=(change.mode,),
        evidence=line(change.finding.evidence) if change.after is Standing.lost else "",
    )


def _merge(
    lines: Iterable[ChangeLine], field: str, key: Callable[[ChangeLine], Hashable]
) -> list[ChangeLine]:
    groups: dict[Hashable, list[ChangeLine]] = {}
    for one in lines:
        groups.setdefault(key(one), []).append(one)
    merged = []
    for group in groups.values():
        values = tuple(dict.fromkeys(value for one in group for value in getattr(one, field)))
        merged.append(msgspec.structs.replace(group[0], **{field: values}))
    return merged


def _since(change: Change, result: RunResult, kernels: Sequence[str]) -> str:
    """Name the kernel that the change is seen against if others lie between."""
    field = (change.mode, change.memory, change.prop)
    seen = {e.kernel for e in result.table if (e.mode, e.memory, e.prop) == field}
    before = kernels[: kernels.index(change.kernel)]
    against = [label for label in before if label in seen][-1:]
    return against[0] if against and against != before[-1:] else ""


def pick_surprises(
    surprises: Sequence[Surprise], limit: int
) -> tuple[tuple[Surprise, ...], tuple[str, ...]]:
    """Return the surprises to show, and where the others stand.

    All if they are few; else the first of each field of the table, and `limit` at most.
    """
    if len(surprises) <= limit:
        return tuple(surprises), ()
    firsts: dict[Field, Surprise] = {}
    rest: Counter[Field] = Counter()
    for surprise in surprises:
        field = field_of(surprise.finding)
        if field in firsts or len(firsts) == limit:
            rest[field] += 1
        else:
            firsts[field] = surprise
    more = tuple(
        line(f"{kernel} {mode}: {prop.value} of {memory} memory, {count(number, 'cell')}")
        for (kernel, mode, memory, prop), number in rest.items()
    )
    return tuple(firsts.values()), more
