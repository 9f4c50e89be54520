"""All report kinds in one table, and the first look at a line."""

from __future__ import annotations

import re

from harness.dmesg import headers, headers_faults, headers_locks, headers_rest
from harness.dmesg.kinds import Kind

CUT_HERE = headers.CUT_HERE
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
    *(b"BUG", b"WARNING: ", b"cut here", b"INFO: ", b"panic - not", b" [#", b"Unable to handle"),
    *(b"Unhandled ", b"PANIC: ", b"UBSAN: ", b"unregister_netdevice: w", b"VFS: Busy"),
    *(b"hard LOCKUP", b"list_add ", b"list_del ", b"oom-killer", b"ut of memory"),
    *(b"unreferenced object", b"suspected memory leaks", b"tried to ", b"Insufficient stack"),
    *(b"SError Interrupt", b"Bad mode in", b"nVHE hyp ", b"ernel memory ", b"MSR access error"),
    *(b"nobody cared", b"CFI failure", b"Corrupted page", b"inconsistent lock"),
    *(b"Linux version", b"reboot: ", b"kexec_core"),
)
_TRIGGER = re.compile(b"|".join(map(re.escape, TRIGGERS)))
_NOT_SYNCING = rb"Kernel panic - not syncing: "
# panic() messages that only say what becomes of a complaint before: of any, or of a dead task.
_AFTER_ANY = re.compile(
    _NOT_SYNCING + rb"(?:.{0,60}panic_on_\w+ set|.{0,60}system warned too often|kasan\.fault=|"
    rb"kmsan\.panic|hung_task: blocked tasks|softlockup: hung tasks|RCU Stall|Hard LOCKUP|"
    rb"Out of memory: )"
)
_AFTER_DEATH = re.compile(
    _NOT_SYNCING + rb"(?:(?:.{0,60}: )?Fatal exception|Machine halted|kernel stack overflow|"
    rb"Asynchronous SError|Unhandled exception|bad mode|.{0,30}stack guard hit|HYP panic|BUG!|"
    rb"Attempted to kill|Aiee, killing interrupt)"
)


def find_kind(body: bytes) -> tuple[Kind, re.Match[bytes]] | None:
    """The row of the table that this record's body begins."""
    if _TRIGGER.search(body) is None:
        return None
    for kind in KINDS:
        match = kind.pattern.match(body)
        if match is not None:
            return kind, match
    return None


def is_consequence(body: bytes, kind: Kind) -> bool:
    """Whether this panic is what became of a complaint of this kind."""
    if _AFTER_ANY.match(body) is not None:
        return True
    return kind.dies and _AFTER_DEATH.match(body) is not None
