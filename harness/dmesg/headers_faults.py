"""Report kinds: traps, faults and other ways for kernel code to die."""

from __future__ import annotations

import re

from harness.dmesg import kinds
from harness.dmesg.kinds import Kind
from harness.dmesg.splat import SplatType as T

_re = re.compile


def _fault(kind: T, pattern: bytes, title: str) -> Kind:
    """A trap that kills the task: registers say where."""
    return Kind(kind, re.compile(pattern), title, kinds.FAULT, counter=True, dies=True)


def _oops(kind: T, pattern: bytes, title: str) -> Kind:
    """__die() in arch/x86/kernel/dumpstack.c (`Oops: ` before it since 6.11), arm64's traps.c."""
    text = rb"(?:Oops: )?" + pattern + rb".{0,120}: (?:0x)?[0-9a-f]{1,16} \[#\d+\]"
    return Kind(
        kind, re.compile(text), title, kinds.FAULT, ends=True, counter=True, dies=True, oops=True
    )


FAULTS = (
    # arch/x86/mm/fault.c, arch/x86/kernel/traps.c
    _fault(
        T.NULL_DEREF,
        rb"BUG: (?:unable to handle )?kernel NULL pointer dereference",
        "BUG: kernel NULL pointer dereference in {function}",
    ),
    _fault(
        T.PAGE_FAULT,
        rb"BUG: unable to handle (?:kernel paging request|page fault for address)",
        "BUG: unable to handle page fault in {function}",
    ),
    _fault(
        T.STACK_OVERFLOW,
        rb"BUG: .{0,30}stack guard page was hit at",
        "BUG: stack guard page was hit in {function}",
    ),
    _fault(
        T.DOUBLE_FAULT, rb"(?:traps: )?PANIC: double fault", "PANIC: double fault in {function}"
    ),
    Kind(
        T.PANIC,
        _re(rb"PANIC: early exception"),
        "PANIC: early exception",
        kinds.FAULT,
        traced=False,
        counter=True,
    ),
    _fault(
        T.PAGE_FAULT,
        rb".{1,16}: Corrupted page table at address ",
        "Corrupted page table in {function}",
    ),
    Kind(
        T.MSR_ACCESS,
        _re(rb"(?:unchecked )?MSR access error: (?:RD|WR)MSR .*at rIP: \S+ \((?P<func>.*)\)"),
        "unchecked MSR access error in {function}",
        kinds.REGISTER,
    ),
    # arch/x86/kernel/unwind_orc.c, unwind_frame.c
    Kind(
        T.WARNING,
        _re(
            rb"WARNING: (?P<what>kernel stack (?:regs|frame pointer)|can't (?:access (?:iret )?"
            rb"registers|dereference)|stack going in the wrong direction|stack recursion|"
            rb"unrecognized unwind|bad lookup (?:idx|value)|(?:Bad or missing|Corrupt) \.orc_unw|"
            rb"missing \w{2,3} value at|unknown (?:[SB]P base reg|\.orc_unwind entry type))"
        ),
        "WARNING: {what}",
        kinds.PLAIN,
        traced=False,
        aside=True,
    ),
    # arch/arm64/mm/fault.c
    _fault(
        T.NULL_DEREF,
        rb"Unable to handle kernel NULL pointer dereference",
        "BUG: kernel NULL pointer dereference in {function}",
    ),
    _fault(
        T.PAGE_FAULT,
        rb"Unable to handle kernel [\w -]{1,60} at virtual address",
        "BUG: unable to handle page fault in {function}",
    ),
    # arch/arm64/kernel/entry-common.c and traps.c
    _fault(
        T.UNHANDLED_FAULT,
        rb"Unhandled (?:fault(?:: .{1,60} \(0x[0-9a-f]+\))? at 0x|.{1,20} exception on CPU)",
        "Unhandled fault in {function}",
    ),
    _fault(T.UNHANDLED_FAULT, rb"Bad mode in .{1,40} detected on CPU", "Bad mode in {function}"),
    _fault(T.UNHANDLED_FAULT, rb"SError Interrupt on CPU\d+", "SError Interrupt in {function}"),
    _fault(
        T.STACK_OVERFLOW,
        rb"Insufficient stack space to handle exception!",
        "kernel stack overflow in {function}",
    ),
    _oops(T.DIVIDE_ERROR, rb"divide error", "divide error in {function}"),
    _oops(T.INVALID_OPCODE, rb"invalid opcode", "invalid opcode in {function}"),
    _oops(
        T.GENERAL_PROTECTION,
        rb"(?:segment-related )?general protection fault",
        "general protection fault in {function}",
    ),
    _oops(T.DOUBLE_FAULT, rb"double fault", "double fault in {function}"),
    _oops(
        T.STACK_OVERFLOW,
        rb"(?:stack guard page|kernel stack overflow)",
        "stack overflow in {function}",
    ),
    _oops(
        T.OOPS,
        rb"(?P<what>stack segment|invalid TSS|segment not present|bounds|alignment check|int3|"
        rb"simd exception|coprocessor (?:error|segment overrun)|overflow|debug|iret exception|"
        rb"Bad pagetable|unexpected #NM exception|spurious \S+ trap|"
        rb"control protection|#\w\w)",
        "{what} in {function}",
    ),
    # die() gets this with a newline at its end
    Kind(
        T.OOPS,
        _re(rb"(?:Oops: )?(?P<what>Split lock detected)$"),
        "{what} in {function}",
        kinds.FAULT,
        ends=True,
        counter=True,
        dies=True,
        oops=True,
    ),
    _oops(
        T.UBSAN, rb"Internal error: UBSAN: (?P<what>[\w/ -]{1,60})", "UBSAN: {what} in {function}"
    ),
    _oops(T.CFI, rb"Internal error: Oops - CFI", "CFI failure in {function}"),
    _oops(T.INTERNAL_ERROR, rb"Internal error: (?P<what>.{1,60})", "Internal error in {function}"),
    Kind(
        T.OOPS,
        _re(rb"Oops(?: - [\w ]{1,30})?(?:: .{1,60})?:? (?:(?:0x)?[0-9a-f]{1,16} )?\[#\d+\]"),
        "Oops in {function}",
        kinds.FAULT,
        ends=True,
        counter=True,
        dies=True,
        oops=True,
    ),
)
