"""Which record belongs to which report: one open report per caller.

The caller field (CONFIG_PRINTK_CALLER) keeps the CPUs' reports apart. Without it all lines have
the same caller, and a new header ends the report before it.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TypeVar

import msgspec

from harness.dmesg.boot import BootWatch, is_about_boot, is_banner
from harness.dmesg.conclude import conclude
from harness.dmesg.draft import Draft
from harness.dmesg.kinds import Kind
from harness.dmesg.records import (
    GLUE,
    PLAIN_LINE,
    Record,
    first_stamp,
    split_line,
)
from harness.dmesg.runs import Run, find_run
from harness.dmesg.splat import Splat, SplatType
from harness.dmesg.table import CUT_HERE, OVERWRITTEN, find_kind, is_consequence

_Key = TypeVar("_Key")
_BACKTRACE_OF_CPU = re.compile(rb"NMI backtrace for cpu \d+$|NMI backtrace for cpu \d+ ")
_NEWLINE = 0x0A
# No header begins with such bytes; a serial line's noise does.
_NOISE = bytes(range(0x80, 0x100))
_MAX_OPEN = 64
# CPUs that add a backtrace to somebody's report.
_MAX_GUESTS = 1024
# Lines of the log without one of the report's caller.
_PATIENCE = 2000
# Records between two looks for reports that nobody adds to any more.
_REVIEW = 256
_MAX_SEEN = 4096
# Seconds in which the kernel says the same of the same again
_SILENCE = 30.0
# Lines of a report that no other report has all of
_TELLING = 10


class Tracker:
    """Records in, splats out: `done` has those that are over, for the caller to take."""

    def __init__(self) -> None:
        self.done: list[Splat] = []
        self._open: OrderedDict[bytes, Draft] = OrderedDict()
        self._guests: dict[bytes, Draft] = {}
        self._boot = BootWatch()
        self._seen: OrderedDict[tuple[float, bytes, bytes], None] = OrderedDict()
        # the same for reports that have no times
        self._told: OrderedDict[int, None] = OrderedDict()
        # when which device was last waited for, by the kernel's clock
        self._last_said: OrderedDict[bytes, float] = OrderedDict()
        # where the log's first timestamp is; from there on, what has none is not the kernel's
        self._stamped: int | None = None
        self._number = 0

    @property
    def idle(self) -> bool:
        """Nothing is being gathered: lines without a trigger don't matter."""
        return not self._open and self._boot.idle

    @property
    def floor(self) -> float:
        """The byte before which no complaint to come begins."""
        starts = [draft.start for draft in self._open.values()]
        return min([*starts, self._boot.floor])

    def look(self, block: bytes, base: int) -> None:
        """Note where timestamps and userspace begin; the block begins at byte `base` of the log."""
        self._boot.look(block, base)
        if self._stamped is None and (match := first_stamp(block)) is not None:
            self._stamped = base + match.start()
            self._boot.begin(float(match.group().strip(b"[ ]")), self._stamped)

    def _is_foreign(self, start: int, prefixed: bool) -> bool:
        return not prefixed and self._stamped is not None and start > self._stamped

    def push(self, record: Record, hot: bool) -> None:
        """Take one more record. `hot`: its line has one of the triggers."""
        self._count(1)
        if not self._boot.idle or (hot and is_about_boot(record.body)):
            if hot and is_banner(record.body):
                self._reboot()
            self.done.extend(self._boot.push(record))
        if hot and record.body[:1] in _NOISE:
            record = msgspec.structs.replace(record, body=record.body.lstrip(_NOISE))
        found = find_kind(record.body) if hot else None
        unsure = found is not None and (found[0].weak or found[0].aside)
        if found is None or (unsure and self._is_claimed(found[0], record)):
            self._give(record)
        else:
            still = self._is_said_still(*found, record)
            if self._joins(*found, record):
                pass
            elif still:
                self._was_seen(record)
            else:
                self._begin(*found, record)

    def close(self) -> None:
        """The log is over."""
        self._close_all()
        self.done.extend(self._boot.close())

    def _close_all(self) -> None:
        while self._open:
            _, draft = self._open.popitem(last=False)
            self._conclude(draft, cut_short=True)

    def _reboot(self) -> None:
        """Another kernel runs from here on."""
        for draft in self._open.values():
            draft.killed = draft.died
        self._close_all()
        self._last_said.clear()

    def _begin(self, kind: Kind, match: re.Match[bytes], record: Record) -> None:
        before = self._open.pop(record.caller, None)
        if before is not None and not _is_replayed(before, record):
            self._conclude(before, cut_short=True)
        self._guests.pop(record.caller, None)
        # Where the clock stands still, two reports may have the same first line.
        if kind is not CUT_HERE and self._was_seen(record):
            return  # the same text once more: somebody printed the log again
        if len(self._open) >= _MAX_OPEN:
            _, oldest = self._open.popitem(last=False)
            self._conclude(oldest, cut_short=True)
        self._open[record.caller] = Draft(kind, match, record, self._number)

    def _was_seen(self, record: Record) -> bool:
        if record.time is None:
            return False
        return _is_known((record.time, record.caller, record.body), self._seen)

    def _is_said_still(self, kind: Kind, match: re.Match[bytes], record: Record) -> bool:
        """Whether the kernel said so of the same device a moment ago, with others between."""
        if kind.type is not SplatType.NETDEVICE or record.time is None:
            return False  # another mm may have the address of one that is gone
        device = match["same"]
        before = self._last_said.pop(device, None)
        self._last_said[device] = record.time
        if len(self._last_said) > _MAX_SEEN:
            self._last_said.popitem(last=False)
        return before is not None and 0 <= record.time - before <= _SILENCE

    def _joins(self, kind: Kind, match: re.Match[bytes], record: Record) -> bool:
        """Whether the header is a part of an open report, which then takes it."""
        if kind.type is SplatType.PANIC and (dying := self._dying(record)) is not None:
            dying.panic = record.body
            dying.absorb(kind, match, record, self._number)
            return True
        draft = self._summary_of(kind, record) or self._open.get(record.caller)
        if draft is None or draft.silent_since(record.time):
            return False
        if draft.kind is CUT_HERE and not draft.announced:
            joins = kind is not CUT_HERE and not kind.weak and not kind.oops
            if joins and self._was_seen(record):
                del self._open[draft.caller]
            elif joins:
                draft.adopt(kind, match, record, self._number)
        elif _is_said_again(draft, kind):
            draft.adopt(kind, match, record, self._number)
            joins = True
        elif draft.kind is OVERWRITTEN and kind.type is draft.kind.type and not draft.announced:
            joins = True
            draft.absorb(kind, match, record, self._number)
            draft.kind = kind
        elif _is_announced_by(draft, kind) or (kind.oops and draft.kind.dies and not draft.died):
            self._was_seen(record)
            draft.absorb(kind, match, record, self._number)
            joins = True
        else:
            joins = _continues(draft, kind, match)
            if joins:
                draft.join(record, self._number)
        return joins

    def _summary_of(self, kind: Kind, record: Record) -> Draft | None:
        """What a thread of the kernel's said of a file that somebody has printed now."""
        if not kind.relayed or record.prefixed:
            return None
        said = next((draft for draft in self._open.values() if _is_summary(draft.kind)), None)
        if said is not None and said.caller != record.caller:
            del self._open[said.caller]
            if (before := self._open.pop(record.caller, None)) is not None:
                self._conclude(before, cut_short=True)
            said.caller = record.caller
            self._open[said.caller] = said
        return said

    def _dying(self, record: Record) -> Draft | None:
        """The report that this panic is the end of."""
        own = self._open.get(record.caller)
        if own is not None and _dies_of(own, record):
            return own
        # The latest of the others.
        others = (draft for draft in self._open.values() if _dies_of(draft, record))
        return max(others, key=lambda draft: draft.number, default=None)

    def _is_claimed(self, kind: Kind, record: Record) -> bool:
        """Whether an open report of this caller would take a text that is no sure header."""
        draft = self._open.get(record.caller)
        if draft is None or draft.finished or kind is CUT_HERE or draft.silent_since(record.time):
            return False
        if draft.kind is CUT_HERE:
            return not draft.announced  # what the WARNING was given to say
        return not draft.is_rounded_off

    def follow(self, block: bytes, at: int, stop: int, base: int) -> None:
        """Take the lines block[at:stop], none of which has a trigger, until nothing is being
        gathered any more.

        This is push() for the many lines of which all that matters is which report they go to.
        """
        single = at  # up to here, a run was already looked at
        calm = self._boot.idle and not self._guests
        while at < stop and (self._open or not self._boot.idle):
            if block[at] == _NEWLINE:
                at += 1
                continue
            if calm and at >= single and (run := find_run(block, at, stop)) is not None:
                single = run.next
                if self._take_run(run, base):
                    at = single
                    continue
            line = PLAIN_LINE.match(block, at, stop)
            if line is None:
                at += 1
                continue
            begin, end = line.span()
            at = end + 1
            if not (calm and self._take_line(line, base)):
                self.read(block, begin, end, base, hot=False)
                calm = self._boot.idle and not self._guests

    def _take_line(self, line: re.Match[bytes], base: int) -> bool:
        """Take a line with printk's own prefix. False: it needs a closer look."""
        when, caller, body = line.groups()
        if body is None or b"\x1b" in body or (b"[" in body and GLUE.search(body) is not None):
            return False
        if (caller or b"") not in self._open and body.startswith(b"NMI backtrace"):
            return False
        self._count(1)
        draft = self._open.get(caller or b"")
        if draft is not None and not draft.take(
            body.rstrip(), base + line.end(), float(when), True, self._number
        ):
            self._open.pop(draft.caller, None)
            self._conclude(draft, cut_short=False)
        return True

    def _take_run(self, run: Run, base: int) -> bool:
        """Take lines all at once. False: they have to be read singly."""
        if not run.bodies:
            return False
        draft = self._open.get(run.caller)
        if not run.prefixed and self._stamped is not None:
            # Userspace's, or some are.
            if base + run.begin <= self._stamped:
                return False
            if draft is None or not draft.relayed:
                self._count(len(run.bodies))
                return True
        if draft is None:  # nobody's, unless it is a CPU's backtrace for somebody's report
            taken = b"NMI backtrace" not in run.text
        else:
            taken = draft.would_take(run) and not draft.silent_since(run.time)
        if taken:
            if draft is not None:
                draft.take_run(run, base, self._number + len(run.bodies))
            self._count(len(run.bodies))
        return taken

    def read(self, block: bytes, begin: int, end: int, base: int, hot: bool) -> None:
        """Take one line. `hot`: it has one of the triggers."""
        for record in split_line(block[begin:end], base + begin):
            self.push(record, hot)

    def _count(self, lines: int) -> None:
        before = self._number
        self._number += lines
        if before // _REVIEW != self._number // _REVIEW and self._open:
            self._expire()

    def _give(self, record: Record) -> None:
        """Give a record that is no header to the report that it belongs to."""
        if not self._open:
            return
        draft = self._open.get(record.caller)
        foreign = self._is_foreign(record.start, record.prefixed)
        if foreign and (draft is None or not draft.relayed):
            return
        draft = draft or self._guests.get(record.caller)
        if draft is None and _BACKTRACE_OF_CPU.match(record.body):
            draft = next((d for d in reversed(self._open.values()) if d.kind.gathers), None)
            if draft is not None and len(self._guests) < _MAX_GUESTS:
                self._guests[record.caller] = draft
        if draft is not None and not draft.take(
            record.body, record.end, record.time, record.prefixed, self._number
        ):
            del self._open[draft.caller]
            self._conclude(draft, cut_short=False)

    def _expire(self) -> None:
        for caller, draft in list(self._open.items()):
            if self._number - draft.number > _PATIENCE:
                del self._open[caller]
                self._conclude(draft, cut_short=False)

    def _conclude(self, draft: Draft, cut_short: bool) -> None:
        if self._guests:
            self._guests = {c: d for c, d in self._guests.items() if d is not draft}
        if not draft.relayed and self._is_foreign(draft.start, draft.prefixed):
            return  # userspace wrote it: the kernel's lines have timestamps here
        splat = conclude(draft, cut_short)
        if splat is None:
            return
        if draft.time is None and len(draft.lines) >= _TELLING and self._was_told(splat):
            return  # the same text once more, registers and all
        self._boot.saw(splat)
        self.done.append(splat)

    def _was_told(self, splat: Splat) -> bool:
        return _is_known(hash(splat.text), self._told)


def _is_known(key: _Key, known: OrderedDict[_Key, None]) -> bool:
    """Whether it was there; now it is."""
    if key in known:
        return True
    known[key] = None
    if len(known) > _MAX_SEEN:
        known.popitem(last=False)
    return False


def _dies_of(draft: Draft, panic: Record) -> bool:
    over = bool(draft.panic) or draft.silent_since(panic.time)
    return not over and is_consequence(panic.body, draft.kind)


def _is_replayed(draft: Draft, record: Record) -> bool:
    """Whether the record is the draft's only line once more, and whole.

    Who takes an nbcon console over in the middle of a line prints that line again, as the serial
    one of 7.3 (nbcon_emit_next_record() in kernel/printk/nbcon.c).
    """
    (first, *more) = draft.lines
    return not more and draft.time == record.time and record.body.startswith(first)


def _is_announced_by(draft: Draft, kind: Kind) -> bool:
    """Whether the draft so far is the message that this WARNING or BUG was given."""
    if not draft.kind.preamble or draft.announced or draft.finished:
        return False
    return kind is CUT_HERE or kind.type in (SplatType.BUG, SplatType.WARNING)


def _is_summary(kind: Kind) -> bool:
    """Whether it only says that there are leaks, which somebody then looks up."""
    return kind.type is SplatType.MEMORY_LEAK and not kind.traced


def _is_said_again(draft: Draft, kind: Kind) -> bool:
    """Whether the header says better what the draft has said so far."""
    if kind.type is not draft.kind.type:
        return False
    # A symboliser repeats the header for each inlined caller.
    inlined = not draft.announced and draft.lines[-1].endswith(b"[inline]")
    return inlined or (_is_summary(draft.kind) and kind.traced)


def _continues(draft: Draft, kind: Kind, match: re.Match[bytes]) -> bool:
    """Whether the header is one more line of what the draft already is."""
    if kind.type is not draft.kind.type:
        return False
    if kind.type is SplatType.RCU_STALL:
        return not draft.evident  # every CPU that stalls says so
    if kind.type is SplatType.WORKQUEUE_LOCKUP:
        return kind.pattern.match(draft.lines[-1]) is not None  # one for each pool
    if "same" in match.groupdict():
        return draft.match.groupdict().get("same") == match["same"]
    # what oom-killer and kmemleak say at last
    return kind.type in (SplatType.OUT_OF_MEMORY, SplatType.MEMORY_LEAK) and not kind.traced
