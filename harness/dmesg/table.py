"""All report kinds in one table, and the first look at a line."""

from __future__ import annotations

import re
from collections.abc import Iterator

import re2

from harness.dmesg import headers, headers_faults, headers_locks, headers_rest
from harness.dmesg.kinds import Kind

CUT_HERE = headers.CUT_HERE
OVERWRITTEN = headers_rest.OVERWRITTEN
# The first match wins.
KINDS: tuple[Kind, ...] = (
    CUT_HERE,
    *headers.WARNINGS,
    *headers.BUGS,
    *headers.PREAMBLES,
    *headers.SANITIZERS,
    *headers_locks.LOCKING,
    *headers_locks.ATOMIC,
    *headers_faults.FAULTS,
    *headers_rest.MEMORY,
    *headers_rest.STALLS,
    *headers_rest.OTHERS,
)
# A line without any of these begins no report, and says nothing about reboots.
TRIGGERS = (
    *(b"BUG", b"WARNING: ", b"----[ cut here ]----", b"INFO: ", b"Kernel panic - not", b" [#"),
    *(b"Unable to handle", b"Unhandled fault", b"exception on CPU", b"PANIC: ", b"UBSAN: "),
    *(b"unregister_netdevice: waiting", b"VFS: Busy", b"hard LOCKUP", b" corruption"),
    *(b"list_add double", b"invoked oom-killer", b": Kill", b"unreferenced object"),
    *(b"suspected memory leaks", b"initialized object", b"Insufficient stack"),
    *(b"SError Interrupt", b"Bad mode in", b"nVHE hyp ", b"Kernel memory ", b"kernel memory "),
    *(b"MSR access error", b"nobody cared", b"CFI failure", b"Corrupted page table"),
    *(
        b": page allocation ",
        b": vmalloc error: ",
        b"percpu: allocation failed",
        b"hw csum failure",
        b"wrong timeout value",
        b"kmemleak: Cannot insert",
        b" unknown object",
        b"WARN at ",
        b"slab error in ",
        b"Missing ENDBR: ",
        b"Split lock detected",
        b"inconsistent lock state",
        b"Linux version",
        b"reboot: ",
        b"kexec_core",
    ),
    *(
        b" duplicate filename",
        b"single bit error",
        b" overwritten] 0x",
        b": bogus return value",
        b"bad: scheduling",
        b"suspicious RCU",
    ),
)
# Every byte of a log goes through this search: RE2 takes one step a byte, however many words there
# are.
_BYTES = re2.Options()
_BYTES.encoding = re2.Options.Encoding.LATIN1
_ANY_TRIGGER = re2.compile(b"|".join(map(re2.escape, TRIGGERS)), _BYTES)
# All rows at once: the number of the group is that of the row. It stands at the row's end, so that
# re sees the row's first byte, and passes over the row where the line has another one.
_ANY_KIND = re.compile(
    b"|".join(
        b"(?:" + re.sub(rb"\(\?P<\w+>", b"(?:", kind.pattern.pattern) + b")()" for kind in KINDS
    )
)
_NOT_SYNCING = rb"Kernel panic - not syncing: "
# panic() messages that only say what becomes of a complaint before: of any, or of a dead task.
_AFTER_ANY = re.compile(
    _NOT_SYNCING + rb"(?:.{0,60}panic_on_\w+ set|.{0,60}system warned too often|kasan\.fault=|"
    rb"kfence\.fault=|kmsan\.panic|workqueue: |hung_task: blocked tasks|softlockup: hung tasks|"
    rb"RCU Stall|Hard LOCKUP|Out of memory: |System is deadlocked on memory)"
)
_AFTER_DEATH = re.compile(
    _NOT_SYNCING + rb"(?:(?:.{0,60}: )?Fatal exception|Machine halted|kernel stack overflow|"
    rb"Asynchronous SError|Unhandled exception|bad mode|.{0,30}stack guard hit|HYP panic|BUG!|"
    rb"Attempted to kill|Aiee, killing interrupt|Oopsed too often|"
    rb"invalid or fatal FRED event)"
)


def find_triggers(block: bytes) -> Iterator[int]:
    """Where the triggers in the block begin, in order; of those that overlap, the first."""
    return (match.start() for match in _ANY_TRIGGER.finditer(block))


def find_kind(body: bytes) -> tuple[Kind, re.Match[bytes]] | None:
    """The row of the table that this record's body begins."""
    found = _ANY_KIND.match(body)
    if found is None or found.lastindex is None:
        return None
    kind = KINDS[found.lastindex - 1]
    match = kind.pattern.match(body)
    return (kind, match) if match is not None else None


def is_consequence(body: bytes, kind: Kind) -> bool:
    """Whether this panic is what became of a complaint of this kind."""
    if _AFTER_ANY.match(body) is not None:
        return True
    return kind.dies and _AFTER_DEATH.match(body) is not None
