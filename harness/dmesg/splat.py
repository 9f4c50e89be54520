"""What a kernel complaint is, once it has been read."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class SplatType(StrEnum):
    """The kind of a complaint; the values are what JSON shows."""

    WARNING = "WARNING"
    BUG = "BUG"
    BAD_PAGE_STATE = "BAD_PAGE_STATE"
    BAD_PAGE_MAP = "BAD_PAGE_MAP"
    BAD_RSS = "BAD_RSS"
    PAGE_FAULT = "PAGE_FAULT"
    NULL_DEREF = "NULL_DEREF"
    GENERAL_PROTECTION = "GENERAL_PROTECTION"
    DOUBLE_FAULT = "DOUBLE_FAULT"
    STACK_OVERFLOW = "STACK_OVERFLOW"
    STACK_CORRUPTION = "STACK_CORRUPTION"
    DIVIDE_ERROR = "DIVIDE_ERROR"
    INVALID_OPCODE = "INVALID_OPCODE"
    OOPS = "OOPS"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    UNHANDLED_FAULT = "UNHANDLED_FAULT"
    MSR_ACCESS = "MSR_ACCESS"
    CFI = "CFI"
    KASAN = "KASAN"
    KMSAN = "KMSAN"
    KCSAN = "KCSAN"
    KFENCE = "KFENCE"
    UBSAN = "UBSAN"
    REFCOUNT = "REFCOUNT"
    LIST_CORRUPTION = "LIST_CORRUPTION"
    USERCOPY = "USERCOPY"
    ODEBUG = "ODEBUG"
    KOBJECT = "KOBJECT"
    SLAB = "SLAB"
    MEMORY_LEAK = "MEMORY_LEAK"
    LOCKDEP = "LOCKDEP"
    SUSPICIOUS_RCU = "SUSPICIOUS_RCU"
    INVALID_WAIT_CONTEXT = "INVALID_WAIT_CONTEXT"
    SPINLOCK = "SPINLOCK"
    SLEEPING_IN_ATOMIC = "SLEEPING_IN_ATOMIC"
    SCHEDULING_WHILE_ATOMIC = "SCHEDULING_WHILE_ATOMIC"
    PREEMPTIBLE = "PREEMPTIBLE"
    RCU_STALL = "RCU_STALL"
    SOFT_LOCKUP = "SOFT_LOCKUP"
    HARD_LOCKUP = "HARD_LOCKUP"
    HUNG_TASK = "HUNG_TASK"
    WORKQUEUE_LOCKUP = "WORKQUEUE_LOCKUP"
    NETDEVICE = "NETDEVICE"
    VFS_BUSY = "VFS_BUSY"
    IRQ = "IRQ"
    PANIC = "PANIC"
    REBOOT = "REBOOT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"


class Splat(msgspec.Struct, frozen=True):
    """One complaint of the kernel.

    `title` is the same in every run: no address, pid, offset or CPU. `function` is the guilty
    one, past the reporting machinery; `source` and `line` are where it is, "" and None if the
    log does not say. `trace` holds the reliable frames only (those that the kernel marks with
    `?` are dropped). `start` and `end` are byte offsets in the log, from the first byte of the
    report's first line to the end of its last line, newline excluded; other CPUs' lines may
    lie between. `corrupted`: cut short, or without the trace that its kind always has.
    `fatal`: the machine went down with it. `text` is what the report said, cleaned and bounded.
    """

    type: SplatType
    title: str
    function: str
    source: str
    line: int | None
    task: str
    pid: int | None
    cpu: int | None
    taint: str
    trace: tuple[str, ...]
    start: int
    end: int
    corrupted: bool
    fatal: bool
    text: str
