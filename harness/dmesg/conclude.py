"""From the gathered lines of a report to the splat that they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from harness.dmesg.draft import Draft
from harness.dmesg.frames import (
    Context,
    Frame,
    Stacks,
    Trace,
    is_nowhere,
    misnamed,
    pc_and_lr,
    plain_name,
    plain_source,
    read_stacks,
    symbol,
)
from harness.dmesg.headers import CUT_HERE
from harness.dmesg.kinds import Kind, Refinement
from harness.dmesg.machinery import Skipper, first_outside
from harness.dmesg.records import MAX_BODY
from harness.dmesg.refine import CALL_CHECKS, REFINEMENTS
from harness.dmesg.splat import Splat, SplatType
from harness.dmesg.stuck import asked_to, plain_syscall, shared_wait
from harness.dmesg.text import clean_text, stable

_TITLE = 160
_TEXT = 64 * 1024
# What are numbers among the groups, and how many digits the kernel's have at most.
_NUMBERS = ("pid", "cpu", "line")
_DIGITS = 10
# Lines after the header in which its detail is looked for.
_DETAILS = 12
_BODY_BEGINS = re.compile(rb"Modules linked in:|CPU: \d|Call [Tt]race:|RIP: ")
_HELD_AT = re.compile(r", at: (\S+)")
# print_lock(): where the lock was asked for, or released, that makes the trouble
_TAKEN_AT = re.compile(
    r"(?:(?:trying to acquire(?: lock)?:|takes:|locks still held!)\n(?:[^\n]*\n){0,9}?[^\n]*, at: |"
    r"trying to release lock \([^\n]{1,80}\) at:\n)(?:\[<[^>\n]{0,40}>\] )?([\w.$]+)\+0x"
)
_NAMES = ("func", "other")
_FIELDS = re.compile(r"\{(\w+)\}")
# What the machine says as it dies
_DIED, _REBOOTS, _EARLY = "Kernel panic - not syncing", "\nRebooting in ", "PANIC: early exception"
_RCU_CPU = re.compile(r"(?:rcu: )?\t?(\d+)-[O.][o.]")


def conclude(draft: Draft, cut_short: bool) -> Splat | None:
    """The splat, or None where a line only looked like a header.

    `cut_short`: the log ended, or another report began, before this one was over.
    """
    kind = draft.kind
    if kind.weak and not draft.evident:
        return None
    text = clean_text(b"\n".join(draft.lines), _TEXT)
    stacks = read_stacks(text)
    groups = _groups(draft, text)
    refined = _refine(kind, draft) or _by_place(kind, groups)
    type_, title, skip = (
        (refined.type, refined.title, refined.skip)
        if refined
        else (kind.type, kind.title, kind.skip)
    )
    trace = _main_trace(kind, text, stacks)
    candidates = list(_candidates(kind, groups, stacks, trace, text))
    # Not those that were inlined: a symboliser must not change the title.
    candidates = [frame for frame in candidates if not frame.inline] or candidates
    by_chance = (refined or kind).by_chance
    function = _guilty(type_, candidates, skip, by_chance)
    nobody = kind.nobody or (refined is not None and refined.nobody)
    function = "" if nobody else function or _held_at(text)
    guilty = next((frame for frame in candidates if frame.name == function), Frame(""))
    source, line = _place(kind, groups, function, candidates, guilty)
    context = stacks.context or Context()
    frames = trace.frames if trace else []
    ended = draft.finished or bool(draft.panic) or not kind.ends
    blamed = function or nobody or not kind.traced
    corrupted = (kind.traced and not frames) or (cut_short and not (ended and blamed))
    return Splat(
        type=type_,
        title=_title(title, function, groups),
        function=function,
        source=source,
        line=line,
        task=(groups.get("comm") or context.task).replace("\t", " "),
        pid=_number(groups.get("pid"), context.pid),
        cpu=_number(groups.get("cpu"), _cpu(kind, context), _stalled_cpu(kind, text)),
        taint=context.taint,
        trace=tuple(frame.name for frame in frames),
        start=draft.start,
        end=draft.end,
        corrupted=corrupted,
        fatal=draft.killed or bool(draft.panic) or _is_fatal(text),
        text=text,
    )


def _guilty(type_: SplatType, frames: Sequence[Frame], skip: Skipper, by_chance: bool) -> str:
    """The guilty one of these functions; "" if there is none."""
    names = [frame.name for frame in frames]
    function = first_outside(names, skip)
    if type_ is SplatType.HUNG_TASK:
        return shared_wait(names) or plain_syscall(function)
    return asked_to(function, frames) if by_chance else function


def _is_fatal(text: str) -> bool:
    return _DIED in text or _REBOOTS in text or text.startswith(_EARLY)


def _groups(draft: Draft, text: str) -> dict[str, str]:
    """What the header says, and after it what the headers that joined it say."""
    groups: dict[str, str] = {}
    for match in (draft.match, *draft.extra):
        for name, value in match.groupdict().items():
            if value and name not in groups:
                groups[name] = clean_text(value, 200)
    if (pattern := draft.kind.detail) is not None:
        last = draft.header + _DETAILS
        details = text.split("\n", last)[draft.header : last]
        found = next(filter(None, map(pattern.match, details)), None)
        groups = {**(found.groupdict("") if found else {}), **groups}
    for name in _NUMBERS:
        if len(groups.get(name, "")) > _DIGITS:
            del groups[name]
    return groups


def _refine(kind: Kind, draft: Draft) -> Refinement | None:
    """The more special kind that the report's own message makes it."""
    refinements = REFINEMENTS.get(kind.type)
    if refinements is None:
        return None
    header = draft.header
    if kind.type is SplatType.PANIC:
        message = _line(draft.lines[header])
    else:
        lines = [line for line in draft.lines[:header] if CUT_HERE.pattern.match(line) is None]
        for line in islice(draft.lines, header + 1, None):
            if _BODY_BEGINS.match(line) is not None:
                break
            lines.append(line)
        message = _lines(lines) if lines else ""
    if message:
        for refinement in refinements:
            if refinement.message.search(message):
                return refinement
    return None


def _by_place(kind: Kind, groups: dict[str, str]) -> Refinement | None:
    """The more special kind that the place of a WARNING makes it: a check of somebody's call."""
    if kind.type is not SplatType.WARNING or kind.weak:
        return None
    check = CALL_CHECKS.get(plain_source(groups.get("file", "")))
    if check is None or check.function.match(groups.get("func", "")) is None:
        return None
    return check.refinement


def _line(line: bytes) -> str:
    return clean_text(line, MAX_BODY)


def _lines(lines: Sequence[bytes]) -> str:
    return clean_text(b"\n".join(lines), _TEXT)


def _main_trace(kind: Kind, text: str, stacks: Stacks) -> Trace | None:
    """The trace of what went wrong, among those of allocations, other locks, other CPUs."""
    traces = [trace for trace in stacks.traces if trace.frames] or stacks.traces
    if kind.anchor is not None:
        anchor = kind.anchor.search(text)
        after = text.count("\n", 0, anchor.start()) if anchor else -1
        traces = [trace for trace in traces if trace.line > after] or traces
    if kind.type is SplatType.RCU_STALL:
        traces = [trace for trace in traces if not _is_rcus(trace)] or traces
    if not kind.first:
        traces = [trace for trace in traces if trace.called] or traces
    return traces[0] if traces else None


def _is_rcus(trace: Trace) -> bool:
    """Whether it is RCU's own thread that waits there, for want of a CPU."""
    return any(frame.name == "rcu_gp_kthread" for frame in trace.frames)


def _candidates(
    kind: Kind, groups: dict[str, str], stacks: Stacks, trace: Trace | None, text: str
) -> Iterator[Frame]:
    """The functions that may be the guilty one, the likeliest first."""
    named = symbol(groups.get("func", ""))
    if named is not None:
        line = groups.get("line")
        yield Frame(named.name, groups["file"], int(line)) if line else named
    if kind.counter:
        counters = [frame for frame in stacks.counters if not frame.nmi]
        pc, lr = pc_and_lr(text)
        if counters and (pc or not lr) and not is_nowhere(text):
            yield next((frame for frame in counters if not frame.inline), counters[0])
        if lr:
            yield lr
    if kind.type is SplatType.LOCKDEP and (taken := _TAKEN_AT.search(text)) is not None:
        yield Frame(plain_name(taken.group(1)))
    # After a jump into nowhere the unwinder only guesses.
    frames = (trace.frames or trace.guesses) if trace else []
    if kind.type is SplatType.PANIC and (others := misnamed(text)):
        frames = [frame for frame in frames if frame.name not in others]
    # An NMI only looks at what it interrupted.
    yield from (frame for frame in frames if not frame.nmi or not kind.gathers)


def _place(
    kind: Kind, groups: dict[str, str], function: str, candidates: Sequence[Frame], guilty: Frame
) -> tuple[str, int | None]:
    """Where the guilty function is. The header's place counts only if it is the first candidate:
    otherwise it is where the machinery noticed."""
    mine = kind.exact or not candidates or candidates[0].name == function
    if mine and groups.get("file") and groups.get("line"):
        return plain_source(groups["file"]), int(groups["line"])
    if guilty.line is not None and guilty.source:
        return plain_source(guilty.source), guilty.line
    return "", None


def _title(template: str, function: str, groups: dict[str, str]) -> str:
    if not function:
        template = template.removesuffix(" in {function}").removesuffix(" at {function}")

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "function":
            return function
        value = groups.get(name, "")
        if name in _NAMES:
            return plain_name(value)
        return value if name == "cache" else stable(value)

    title = template.replace("{function}", function)
    if "{" in title:
        title = _FIELDS.sub(fill, template)
    return " ".join(title.split())[:_TITLE]


def _held_at(text: str) -> str:
    """Failing all else: where a lock that the report names was taken."""
    for match in _HELD_AT.finditer(text):
        if (held := symbol(match.group(1))) is not None:
            return held.name
    return ""


def _cpu(kind: Kind, context: Context) -> int | None:
    """Where it happened; of a hung task, only where khungtaskd found it is printed."""
    return None if kind.type is SplatType.HUNG_TASK else context.cpu


def _stalled_cpu(kind: Kind, text: str) -> int | None:
    if kind.type is SplatType.RCU_STALL:
        for line in text.split("\n", 20)[:20]:
            if match := _RCU_CPU.match(line):
                return int(match.group(1))
    return None


def _number(*values: str | int | None) -> int | None:
    """The first of the values that is there."""
    for value in values:
        if value is not None and value != "":
            return int(value)
    return None
