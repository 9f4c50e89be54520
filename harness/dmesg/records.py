"""Lines of a console to log records: prefix, caller, body.

The prefixes are those of info_print_prefix() and info_print_ext_header() in
kernel/printk/printk.c, and of the programs that store logs (dmesg, syslog).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from harness.dmesg.text import strip_escapes

# Longer than any record that printk makes (PRINTK_MESSAGE_MAX is 2048): a line that is longer is
# taken for several.
MAX_LINE = 8192
MAX_BODY = 2048


class Record(msgspec.Struct, frozen=True, gc=False):
    """One line that was logged. `body` is what printk was given, escapes stripped, bounded."""

    start: int
    end: int
    body: bytes
    caller: bytes
    time: float | None
    prefixed: bool


_CALLER = rb"\[ {0,6}(?P<%b>[TC]\d{1,10})\] ?"
# What the kernels of phones put after the time: level, CPU and task; what a journal does.
_AFTER_TIME = (
    rb"(?:<\d>|c\d{1,2} {1,6}\d{1,7} |[ -]?\(\d{1,3}\)\[\d{1,7}:[^\]\n]{1,24}\] ?|"
    rb" ?[A-Z]?\[\d{1,3}: {0,20}[^\]\n:]{1,24}(?::\d{1,3})?: {0,8}\d{1,7}\] ?|"
    # journalctl -o short-monotonic
    rb"[\w.-]{1,64}+ kernel: ?)"
)
# What begins neither like a caller nor like that.
NO_PREFIX = rb"(?!\[ {0,6}[TC]\d|" + _AFTER_TIME + rb")"
_STAMP = (
    rb"(?:<\d{1,3}>)?\[ {0,5}(?P<time>\d{1,8}\.\d{6})\] ?(?:"
    + _CALLER % b"caller"
    + rb")?"
    + _AFTER_TIME
    + rb"?"
)
# dmesg --ctime, dmesg --decode; syslog and journal
_CLOCK = rb"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}"
CTIME = rb"\[" + _CLOCK + rb"\] ?+"
DECODED = rb"kern {0,3}:\w{4,6} {0,3}: (?:" + CTIME + rb")?+"
SYSLOG = (
    rb"(?:\w{3} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,6})?|\d{4}-\d\d-\d\d[T ][\d:.,+Z-]{8,32}|"
    rb"\w{3} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? [\w:+-]{1,6}|\d{9,11}\.\d{6}) "
    rb"\S{1,64} kernel(?:\[\d{1,7}\])?: ?+"
)
# dmesg --time-format iso, delta and reltime; logcat
_OTHERS = (
    rb"\[\w{3} ?\d{1,2} \d\d:\d\d\] ?|"
    rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{6}[+-]\d\d:\d\d |"
    rb"\[ {0,5}\d{1,8}\.\d{6} < {0,6}\d{1,8}\.\d{6}>\] ?|\[ {0,5}\+\d{1,8}\.\d{6}\] ?|"
    rb"\d\d-\d\d \d\d:\d\d:\d\d\.\d{3,6} (?: {0,8}\w{1,16}){1,2} {1,8}\d{1,8} [VDIWEF] "
    rb"[\w. ]{0,24}: ?"
)
_PREFIX = re.compile(
    _STAMP + rb"|<\d{1,3}>"
    # /dev/kmsg: level, sequence, microseconds, flags
    rb"|\d{1,3},\d{1,20},(?P<micro>\d{1,20}),[^;,]{1,8}(?:,caller=(?P<kmsg>[TC]\d{1,10}))?"
    rb"(?:,[^;]{0,64})?;"
    rb"|" + CTIME + rb"(?:" + _CALLER % b"ccaller" + rb")?"
    rb"|" + DECODED + rb"(?:\[ {0,5}(?P<dtime>\d{1,8}\.\d{6})\] ?)?"
    rb"(?:" + _CALLER % b"dcaller" + rb")?"
    rb"|" + SYSLOG + rb"(?:\[ {0,5}(?P<stime>\d{1,8}\.\d{6})\] ?)?"
    rb"(?:" + _CALLER % b"scaller" + rb")?"
    rb"|(?:" + _OTHERS + rb")(?:" + _CALLER % b"ocaller" + rb")?"
)
PREFIX = re.sub(rb"\(\?P<\w+>", b"(?:", _PREFIX.pattern)
STAMP = re.compile(_STAMP)
ANY_STAMP = re.compile(rb"\[ {0,5}\d{1,8}\.\d{6}\]")
# What may stand before printk's own prefix: an outer clock, or what stores logs
_OUTER = re.compile(rb"[\dTZ:.,+ <>-]{0,40}|" + DECODED + rb"|" + SYSLOG)
# In a mail; not the mark of KASAN, which has no space after it.
_QUOTED = re.compile(rb"\A(?:> ){1,8}")
# What tells a record's beginning in mid-line, and where that record begins.
GLUE = re.compile(rb"\[ {0,5}\d{1,8}\.\d{6}\](?= |\[)")
_GLUED = re.compile(rb"(?:<\d{1,3}>)?" + GLUE.pattern)
# A line that is not blank; its parts (time, caller, body) if split_line() would make one record of
# it, unless its body has escapes or GLUE.
PLAIN_LINE = re.compile(
    rb"^(?:(?:<\d{1,3}>)?\[ {0,5}(\d{1,8}\.\d{6})\] ?(?:\[ {0,6}([TC]\d{1,10})\] ?)?"
    + _AFTER_TIME
    + rb"?(.{0,2048})|.+)$",
    re.MULTILINE,
)
_TIMES = ("time", "dtime", "stime")
_CALLERS = ("caller", "kmsg", "ccaller", "dcaller", "scaller", "ocaller")


def first_stamp(block: bytes) -> re.Match[bytes] | None:
    """The first timestamp that begins a record; other text may have such numbers, too."""
    for match in ANY_STAMP.finditer(block):
        begin = block.rfind(b"\n", 0, match.start()) + 1
        if _OUTER.fullmatch(block, begin, match.start()) is not None:
            return match
    return None


def split_line(line: bytes, start: int) -> Sequence[Record]:
    """The records on one line of the console, which begins at byte `start` of the log.

    Mostly it is one; where something printed no newline before, a record begins in mid-line.
    """
    if GLUE.search(line, 1) is None:
        return (_record(line, start),)
    records = []
    at = 0
    cuts = [match.start() for match in _GLUED.finditer(line)]
    if cuts[0] > 0 and (outer := _PREFIX.match(line)) and outer.end() > cuts[0]:
        cuts.pop(0)  # a level or syslog's own prefix, not a glued record
    for cut in [*cuts, len(line)]:
        if cut > at:
            records.append(_record(line[at:cut], start + at))
            at = cut
    return records


def _record(piece: bytes, start: int) -> Record:
    end = start + len(piece)
    if piece.startswith(b"> "):
        piece = _QUOTED.sub(b"", piece)
    if b"\x1b" in piece:
        piece = strip_escapes(piece)
    match = STAMP.match(piece)
    if match is not None:
        when, caller = match.groups()
        body = piece[match.end() : match.end() + MAX_BODY].rstrip()
        return Record(start, end, body, caller or b"", float(when), True)
    match = _PREFIX.match(piece)
    if match is None:
        return Record(start, end, piece[:MAX_BODY].rstrip(), b"", None, False)
    groups = match.groupdict()
    caller = next((groups[name] for name in _CALLERS if groups[name]), b"")
    time = next((float(groups[name]) for name in _TIMES if groups[name]), None)
    if groups["micro"]:
        time = int(groups["micro"]) / 1e6
    body = piece[match.end() : match.end() + MAX_BODY].rstrip()
    return Record(start, end, body, caller, time, True)
