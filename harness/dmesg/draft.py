"""A report that is being gathered, line by line, from one caller."""

from __future__ import annotations

import re

import msgspec

from harness.dmesg.kinds import Kind
from harness.dmesg.lines import END_MARKER, after_end, in_report, is_context, is_evidence
from harness.dmesg.records import Record
from harness.dmesg.runs import Run

MAX_LINES = 2000
# More than any text that is shown; lines that come when it is full are not kept.
_MAX_BYTES = 128 * 1024
# Headers that join a report.
_MAX_EXTRA = 16
# Lines that a report would not contain, in a row, before it is taken to be over.
_STRANGERS = 14
# Once its end marker was seen, a report still gets its registers and its panic.
_STRANGERS_AFTER_END = 8
# Seconds of the kernel's clock without a line of the report.
_SILENCE = 30.0
# Seconds that it may go back: CPUs print late what they logged early.
_RESTART = 5.0
# What end markers and rules begin with.
_MARKS = b"-="

# The last lines of a task's stack
_OUTERMOST = re.compile(
    rb"\s*(?:</TASK>|(?:ret_from_fork|entry_SYSCALL|secondary_startup|el0t?_)\w*\+0x|R13: )"
)
# A trace follows that somebody asked for.
_ASKED_FOR = (b"sysrq:", b"FAULT_INJECTION:")


class Draft:
    """The lines of one report so far."""

    def __init__(self, kind: Kind, match: re.Match[bytes], record: Record, number: int) -> None:
        self.kind = kind
        self.match = match
        self.header = 0
        self.caller = record.caller
        self.start = record.start
        self.end = record.end
        self.time = record.time
        self.number = number
        self.prefixed = record.prefixed
        self.lines: list[bytes] = [record.body]
        self._room = _MAX_BYTES
        self.extra: list[re.Match[bytes]] = []
        self.died = kind.oops
        # the machine restarted in the middle of it
        self.killed = False
        self.finished = False
        self.panic = b""
        # more than a line that looks like a header
        self.evident = kind.oops
        # context, registers or a trace have begun
        self.announced = kind.oops
        self._waiting: list[bytes] = []
        self._strangers = 0

    def adopt(self, kind: Kind, match: re.Match[bytes], record: Record, number: int) -> None:
        """The report turns out to be of this kind: its real header came after its first line."""
        self._flush()
        self.header = len(self.lines)
        self.kind, self.match = kind, match
        self.prefixed = record.prefixed
        self.died = self.died or kind.oops
        self.join(record, number)

    def absorb(self, kind: Kind, match: re.Match[bytes], record: Record, number: int) -> None:
        """A header that is part of this report: the oops after its fault, a panic after all."""
        self._flush()
        if len(self.extra) < _MAX_EXTRA:
            self.extra.append(match)
        self.died = self.died or kind.oops
        self.finished = False
        if kind.ends and not self.kind.ends:
            self.kind = _ending(self.kind)
        self.join(record, number)

    def join(self, record: Record, number: int) -> None:
        """The record belongs to the report."""
        self._add(record.body, record.end, record.time, number)

    def _add(self, body: bytes, end: int, time: float | None, number: int) -> None:
        if self._waiting:
            self._flush()
        self._keep(body)
        self.end = end
        self.number = number
        self._strangers = 0
        if time is not None:
            self.time = time

    def take(self, body: bytes, end: int, time: float | None, prefixed: bool, number: int) -> bool:
        """Take the record if it may belong to the report. False: the report was over before it."""
        if not body:
            return True
        off = self.silent_since(time)
        if self.finished and not self.panic:
            if not off and after_end(body):
                self._add(body, end, time, number)
            else:
                self._strangers += 1
            return self._strangers < _STRANGERS_AFTER_END
        if not off and body[0] in _MARKS and self._is_end(body):
            self._add(body, end, time, number)
            self.finished = True
            # panic() prints its own end marker, and nothing of interest follows that.
            return not (self.panic and b"Kernel panic" in body)
        # A clock that is off may have lost a digit on the wire.
        if not off and in_report(body):
            if not self.evident:
                self.evident = is_evidence(body)
                self.prefixed = self.prefixed or (self.evident and prefixed)
            if not self.announced:
                self.announced = is_context(body)
            self._add(body, end, time, number)
            return True
        self._strangers += 1
        self._waiting.append(body)
        asked_for = not self.announced and body.startswith(_ASKED_FOR)
        return self._strangers < _STRANGERS and not asked_for

    @property
    def is_rounded_off(self) -> bool:
        """Whether all may have been said: what comes now may be another report."""
        return self.evident and _OUTERMOST.match(self.lines[-1]) is not None

    @property
    def relayed(self) -> bool:
        """Whether userspace printed it from a file of the kernel's, without prefixes."""
        return self.kind.relayed and not self.prefixed

    @property
    def flows(self) -> bool:
        """Lines that look like a report's all belong to this one."""
        return not self.finished or bool(self.panic)

    def would_take(self, run: Run) -> bool:
        """Whether all of these lines belong to this report."""
        return self.flows or all(map(after_end, run.bodies))

    def take_run(self, run: Run, base: int, number: int) -> None:
        """Take lines that look like a report's; the block begins at byte `base` of the log."""
        bodies = run.bodies
        if self.flows and not self.announced:
            self.announced = is_context(run.text)
            # All context is evidence.
            if not self.evident and (self.announced or is_evidence(run.text)):
                self.evident = True
                self.prefixed = self.prefixed or run.prefixed
        self._add(bodies[0], base + run.end, run.time, number)
        if len(run.text) < self._room and len(self.lines) + len(bodies) <= MAX_LINES:
            self.lines += bodies[1:]
            self._room -= len(run.text) - len(bodies[0])
        else:
            for body in bodies[1:]:
                self._keep(body)
        self.finished = self.finished or run.over

    def silent_since(self, time: float | None) -> bool:
        """Whether the kernel's clock says that too much time went by, or that it restarted."""
        if time is None or self.time is None:
            return False
        return not -_RESTART <= time - self.time <= _SILENCE

    def _is_end(self, body: bytes) -> bool:
        rule = self.kind.rule
        return bool(END_MARKER.match(body) or (rule is not None and rule.match(body)))

    def _keep(self, body: bytes) -> None:
        if len(self.lines) < MAX_LINES and self._room > 0:
            self.lines.append(body)
            self._room -= len(body) + 1

    def _flush(self) -> None:
        for body in self._waiting:
            self._keep(body)
        self._waiting.clear()


def _ending(kind: Kind) -> Kind:
    """The same kind, of which the end marker is now expected."""
    return msgspec.structs.replace(kind, ends=True)
