"""Which record belongs to which report: one open report per caller.

The caller field (CONFIG_PRINTK_CALLER) keeps the CPUs' reports apart. Without it all lines have
the same caller, and a new header ends the report before it.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator

from harness.dmesg import headers, headers_faults
from harness.dmesg.boot import BootWatch
from harness.dmesg.conclude import conclude
from harness.dmesg.draft import Draft
from harness.dmesg.kinds import Kind
from harness.dmesg.records import STAMP, Record
from harness.dmesg.splat import Splat, SplatType

KINDS: tuple[Kind, ...] = (
    headers.CUT_HERE,
    *headers.WARNINGS,
    *headers.BUGS,
    *headers.PREAMBLES,
    *headers.SANITIZERS,
    *headers.LOCKING,
    *headers.ATOMIC,
    *headers_faults.FAULTS,
    *headers_faults.MEMORY,
    *headers_faults.STALLS,
    *headers_faults.OTHERS,
)
# A line without any of these begins no report.
TRIGGERS = (
    *(b"BUG", b"WARNING: ", b"cut here", b"INFO: ", b"panic - not", b" [#", b"Unable to handle"),
    *(b"Unhandled ", b"PANIC: ", b"UBSAN: ", b"unregister_netdevice: w", b"VFS: Busy"),
    *(
        b"hard LOCKUP",
        b"list_add ",
        b"list_del ",
        b"oom-killer",
        b"ut of memory",
        b"inconsistent lock",
    ),
    *(b"unreferenced object", b"suspected memory leaks", b"tried to ", b"Insufficient stack"),
    *(b"SError Interrupt", b"Bad mode in", b"nVHE hyp ", b"ernel memory ", b"MSR access error"),
    *(
        b"nobody cared",
        b"CFI failure",
        b"Corrupted page",
        b"Linux version",
        b"reboot: ",
        b"kexec_core",
    ),
)
_TRIGGER = re.compile(b"|".join(map(re.escape, TRIGGERS)))
# panic() messages that only say what becomes of the complaint before.
_CONSEQUENCE = re.compile(
    rb"Kernel panic - not syncing: (?:.{0,60}panic_on_\w+ set|.{0,60}system warned too often|"
    rb"(?:.{0,60}: )?Fatal exception|kasan\.fault=|kmsan\.panic|hung_task: blocked tasks|"
    rb"softlockup: hung tasks|RCU Stall|Hard LOCKUP|Machine halted|kernel stack overflow|"
    rb"Asynchronous SError|Unhandled exception|bad mode|.{0,30}stack guard hit|HYP panic|"
    rb"Attempted to kill (?:init|the idle)|Out of memory: |Aiee, killing interrupt|"
    rb"UBSAN: |can't return from __builtin|BUG!|stack-protector)"
)
_BACKTRACE_OF_CPU = re.compile(rb"NMI backtrace for cpu \d+$|NMI backtrace for cpu \d+ ")
_MAX_OPEN = 64
# Lines of the log without one of the report's caller.
_PATIENCE = 2000
_MAX_SEEN = 4096


def find_kind(body: bytes) -> tuple[Kind, re.Match[bytes]] | None:
    """The row of the table that this record's body begins."""
    if _TRIGGER.search(body) is None:
        return None
    for kind in KINDS:
        match = kind.pattern.match(body)
        if match is not None:
            return kind, match
    return None


class Tracker:
    """Records in, splats out."""

    def __init__(self) -> None:
        self._open: OrderedDict[bytes, Draft] = OrderedDict()
        self._guests: dict[bytes, Draft] = {}
        self._boot = BootWatch()
        self._seen: OrderedDict[tuple[float, bytes], None] = OrderedDict()
        self._stamped = False
        self._number = 0

    @property
    def idle(self) -> bool:
        """Nothing is being gathered: lines without a trigger don't matter."""
        return not self._open and self._boot.idle

    def look(self, block: bytes) -> None:
        """Note whether this log has timestamps; then what has none is not the kernel's."""
        if not self._stamped:
            self._stamped = STAMP.search(block) is not None

    def push(self, record: Record) -> Iterator[Splat]:
        """Take one more record."""
        self._number += 1
        yield from self._boot.push(record)
        if self._open:
            yield from self._expire()
        found = find_kind(record.body)
        if found is None:
            yield from self._give(record)
        elif self._joins(*found, record):
            pass
        elif not (found[0].weak and self._is_claimed(record)):
            yield from self._begin(*found, record)
        else:
            yield from self._give(record)

    def close(self) -> Iterator[Splat]:
        """The log is over."""
        yield from self._boot.close()
        while self._open:
            _, draft = self._open.popitem(last=False)
            yield from self._conclude(draft, cut_short=True)

    def _begin(self, kind: Kind, match: re.Match[bytes], record: Record) -> Iterator[Splat]:
        before = self._open.pop(record.caller, None)
        if before is not None:
            yield from self._conclude(before, cut_short=True)
        self._guests.pop(record.caller, None)
        if record.time is not None:
            key = (record.time, record.body)
            if key in self._seen:
                return  # the same text once more: somebody printed the log again
            self._seen[key] = None
            if len(self._seen) > _MAX_SEEN:
                self._seen.popitem(last=False)
        if len(self._open) >= _MAX_OPEN:
            _, oldest = self._open.popitem(last=False)
            yield from self._conclude(oldest, cut_short=True)
        self._open[record.caller] = Draft(kind, match, record, self._number)

    def _joins(self, kind: Kind, match: re.Match[bytes], record: Record) -> bool:
        """Whether the header is a part of an open report, which then takes it."""
        if kind.type is SplatType.PANIC and (draft := self._dying(record)) is not None:
            draft.panic = record.body
            draft.absorb(kind, match, record, self._number)
            return True
        draft_or_none = self._open.get(record.caller)
        if draft_or_none is None or draft_or_none.silent_since(record.time):
            return False
        draft = draft_or_none
        if draft.kind is headers.CUT_HERE and not draft.finished:
            if kind is headers.CUT_HERE or kind.weak or kind.oops:
                return False
            draft.adopt(kind, match, record, self._number)
            return True
        announced = kind is headers.CUT_HERE or kind.type in (SplatType.BUG, SplatType.WARNING)
        if draft.kind.preamble and announced and not draft.evident:
            draft.absorb(kind, match, record, self._number)
            return True
        if kind.oops and draft.kind.dies and not draft.died:
            draft.absorb(kind, match, record, self._number)
            return True
        same = kind.type is draft.kind.type
        again = same and kind.type is SplatType.RCU_STALL and not draft.evident
        killed = same and kind.type is SplatType.OUT_OF_MEMORY and not kind.traced
        if again or killed:
            draft.join(record, self._number)
        return again or killed

    def _dying(self, record: Record) -> Draft | None:
        """The report that this panic is the end of."""
        if _CONSEQUENCE.match(record.body) is None or not self._open:
            return None
        own = self._open.get(record.caller)
        draft = own or max(self._open.values(), key=lambda open_: open_.number)
        return None if draft.silent_since(record.time) or draft.panic else draft

    def _is_claimed(self, record: Record) -> bool:
        """Whether an open report of this caller would take a text that is no sure header."""
        draft = self._open.get(record.caller)
        return draft is not None and draft.kind is not headers.CUT_HERE and not draft.finished

    def _give(self, record: Record) -> Iterator[Splat]:
        """Give a record that is no header to the report that it belongs to."""
        if not self._open or (self._stamped and not record.prefixed):
            return
        draft = self._open.get(record.caller)
        if draft is None:
            draft = self._guests.get(record.caller)
            if draft is None and _BACKTRACE_OF_CPU.match(record.body):
                draft = next((d for d in reversed(self._open.values()) if d.kind.gathers), None)
                if draft is not None:
                    self._guests[record.caller] = draft
            if draft is None:
                return
        if not draft.offer(record, self._number) and self._open.get(draft.caller) is draft:
            del self._open[draft.caller]
            yield from self._conclude(draft, cut_short=False)

    def _expire(self) -> Iterator[Splat]:
        for caller, draft in list(self._open.items()):
            if self._number - draft.number > _PATIENCE:
                del self._open[caller]
                yield from self._conclude(draft, cut_short=False)

    def _conclude(self, draft: Draft, cut_short: bool) -> Iterator[Splat]:
        self._guests = {c: d for c, d in self._guests.items() if d is not draft}
        if self._stamped and not draft.prefixed and not draft.stamped_evidence:
            return  # userspace wrote it: the kernel's lines have timestamps here
        splat = conclude(draft, cut_short)
        if splat is not None:
            self._boot.saw(splat)
            yield splat
