"""Runs of lines that need no closer look: all of one caller in the same second, each of a kind
that reports are made of. A run is read at once, which is why reports are read fast.

All that is said here follows from records.py, lines.py and draft.py: tests hold it against reading
each line singly.
"""

from __future__ import annotations

import re

import msgspec

from harness.dmesg.lines import IN_REPORT
from harness.dmesg.records import ANY_STAMP, CTIME, DECODED, MAX_BODY, NO_PREFIX, PREFIX, SYSLOG


class Run(msgspec.Struct, frozen=True, gc=False):
    """Lines that may be a report's. `begin` and `end` are where they are in the block, without
    the last newline; from `next` on there are other lines; `text` is the bodies in one; `over`: the
    last one is an end marker. Without bodies, the lines have to be read singly."""

    begin: int
    end: int
    next: int
    bodies: list[bytes]
    text: bytes
    caller: bytes
    time: float | None
    prefixed: bool
    over: bool


class _Format:
    """One way to print lines, by what stands before the body of a run's first line and of the
    others. The first has the groups `second`, `micro` and `caller`, if there are such, and `same`
    if all is of one length from there on."""

    def __init__(self, first: bytes, other: bytes) -> None:
        # A console ends its lines with two characters, of which each is a newline here.
        body = rb"(?:" + IN_REPORT + rb").*+\n++"
        blank = rb"(?:" + other + rb"[^\S\n]*+\n++)"
        line = other + body
        over = other + rb"(?P<over>-{2,4}\[ end trace [0-9a-f]{1,16} \]-{2,4}[^\S\n]*+\n++)"
        self._run = re.compile(
            first
            + (body + rb"(?:" + line + rb"|" + blank + rb"++" + line + rb")*+")
            + (rb"(?:" + blank + rb"*+" + over + rb")?+")
        )
        self._prefix = re.compile(first)
        nameless = re.sub(rb"\(\?P<\w+>", b"(?:", first)
        self._bodies = re.compile(rb"^" + nameless + rb"(.*\S)", re.MULTILINE)
        self._prefixed = not first.startswith(b"(?!")
        self._timed = b"<second>" in first
        self._called = b"<caller>" in first
        self._even = b"<same>" in first

    def find(self, block: bytes, at: int, stop: int) -> Run | None:
        """The run that begins here."""
        match = self._run.match(block, at, stop)
        if match is None:
            return None
        lines = match.group()
        if self._prefixed:
            bodies = self._cut(lines, match) if self._even else []
        else:
            bodies = _stripped(lines.split(b"\n"), 0)
        text = b"\n".join(bodies)
        if text.count(b"\n") != len(bodies) - 1:
            bodies = self._bodies.findall(lines)
            text = b"\n".join(bodies)
        # Escapes, records in mid-line and very long lines need a closer look.
        if (
            b"\x1b" in lines
            or ANY_STAMP.search(text) is not None
            or (len(lines) > MAX_BODY and _has_long_line(lines))
        ):
            bodies = []
        lines = lines.rstrip(b"\n")
        time = None
        if self._timed and (last := self._prefix.match(lines, lines.rfind(b"\n") + 1)):
            time = float(last["second"] + b"." + last["micro"])
        caller = (match["caller"] or b"").strip(b"[ ]") if self._called else b""
        over = match["over"] is not None
        end = at + len(lines)
        return Run(at, end, match.end(), bodies, text, caller, time, self._prefixed, over)

    def _cut(self, lines: bytes, match: re.Match[bytes]) -> list[bytes]:
        """The bodies, quickly: where all prefixes are the same up to the second, they are of one
        length. A line whose prefix isn't is still in the body before it."""
        same = lines[: match.end("same") - match.start()]
        prefix = self._prefix.match(lines)
        rest = (prefix.end() if prefix else 0) - len(same)
        parts = lines[len(same) :].split(b"\n" + same)
        return _stripped(parts, rest)


def _stripped(lines: list[bytes], begin: int) -> list[bytes]:
    """What is on the lines from there on, if anything is."""
    return [body for line in lines if (body := line[begin:].rstrip())]


def _has_long_line(lines: bytes) -> bool:
    """Whether a line may be longer than what is kept of one."""
    at = 0
    while len(lines) - at > MAX_BODY:
        end = lines.rfind(b"\n", at, at + MAX_BODY)
        if end < 0:
            return True
        at = end + 1
    return False


# A prefix is read to its end, as _record() does: NO_PREFIX, here or in IN_REPORT.
_CALLER = rb"(?:(?P<caller>\[ {0,6}[TC]\d{1,10}\]) ?+|)" + NO_PREFIX
_SAME_CALLER = rb"(?(caller)(?P=caller) ?+|)" + NO_PREFIX
_SAVED = rb"(?:" + DECODED + rb"|" + SYSLOG + rb")"


def _stamped(before: bytes) -> _Format:
    return _Format(
        before
        + rb"(?P<same>\[ {0,5}(?P<second>\d{1,8})\.)(?P<micro>\d{6})"
        + rb"(?P<rest>\](?:(?P<caller>\[ {0,6}[TC]\d{1,10}\]) | ))",
        before + rb"(?P=same)\d{6}(?P=rest)",
    )


# printk's own
_IS_STAMPED = re.compile(rb"(?:<\d{1,3}>)?\[ {0,5}\d{1,8}\.")
_STAMPED = _stamped(rb"(?:<\d{1,3}>)?")
_OTHERS = (
    # nothing at all
    _Format(rb"(?!" + PREFIX + rb")", rb"(?!" + PREFIX + rb")"),
    _stamped(_SAVED),
    # /dev/kmsg
    _Format(
        rb"\d{1,3},\d{1,20},(?P<second>\d{1,14})(?P<micro>\d{6}),[^;,\n]{1,8}"
        rb"(?:,caller=(?P<caller>[TC]\d{1,10})|)(?:,(?!caller)[^;\n]{0,64})?;",
        rb"\d{1,3},\d{1,20},(?P=second)\d{6},[^;,\n]{1,8}"
        rb"(?(caller),caller=(?P=caller))(?:,(?!caller)[^;\n]{0,64})?;",
    ),
    # no time
    _Format(rb"<\d{1,3}>", rb"<\d{1,3}>"),
    _Format(
        rb"(?:" + CTIME + rb"|" + _SAVED + rb")" + _CALLER,
        rb"(?:" + CTIME + rb"|" + _SAVED + rb")" + _SAME_CALLER,
    ),
)


def find_run(block: bytes, at: int, stop: int) -> Run | None:
    """The run that begins at this line, if one does."""
    run = _STAMPED.find(block, at, stop)
    if run is None and _IS_STAMPED.match(block, at, stop) is None:
        for form in _OTHERS:
            if (run := form.find(block, at, stop)) is not None:
                break
    return run
