"""Report kinds, continued: memory, faults, stalls, panics, and the rest; see headers.py."""

from __future__ import annotations

import re

from harness.dmesg import kinds
from harness.dmesg.kinds import Kind
from harness.dmesg.splat import SplatType as T

_CONTEXT = re.compile(r"(?:Call Trace:|CPU: \d+ )")


def _re(text: bytes) -> re.Pattern[bytes]:
    return re.compile(text)


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
        _re(
            rb"(?:unchecked )?MSR access error: (?P<what>RDMSR|WRMSR) .*at rIP: \S+ \((?P<func>.*)\)"
        ),
        "unchecked MSR access error in {function}",
        kinds.PLAIN,
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
        rb"Unhandled (?:fault|.{1,20} exception on CPU)",
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
        rb"(?:kernel )?stack guard page|stack overflow",
        "stack overflow in {function}",
    ),
    _oops(
        T.OOPS,
        rb"(?P<what>stack segment|invalid TSS|segment not present|bounds|alignment check|int3|"
        rb"simd exception|coprocessor (?:error|segment overrun)|overflow|debug|iret exception|"
        rb"Bad pagetable|unexpected #NM exception|Split lock detected|spurious \S+ trap|"
        rb"control protection|#\w\w|kernel stack overflow|softirq stack)",
        "{what} in {function}",
    ),
    _oops(
        T.UBSAN, rb"Internal error: UBSAN: (?P<what>[\w -]{1,60})", "UBSAN: {what} in {function}"
    ),
    _oops(T.CFI, rb"Internal error: Oops - CFI", "CFI failure in {function}"),
    _oops(T.INTERNAL_ERROR, rb"Internal error: (?P<what>.{1,60})", "Internal error in {function}"),
    Kind(
        T.OOPS,
        _re(rb"Oops(?: - [\w ]{1,30})?(?:: .{1,60})?: (?:0x)?[0-9a-f]{4,16} \[#\d+\]"),
        "Oops in {function}",
        kinds.FAULT,
        ends=True,
        counter=True,
        dies=True,
        oops=True,
    ),
)
MEMORY = (
    # mm/page_alloc.c, mm/memory.c, mm/filemap.c, kernel/fork.c
    Kind(
        T.BAD_PAGE_STATE,
        _re(rb"BUG: Bad page (?P<what>state|cache) in process (?P<comm>.{0,24}?)  pfn:"),
        "BUG: Bad page {what} in {function}",
        kinds.OWNER,
        anchor=_CONTEXT,
    ),
    Kind(
        T.BAD_PAGE_MAP,
        _re(rb"BUG: Bad page map in process (?P<comm>.{0,24}?)  (?:pte|entry|pmd|pud|pgd|p4d):"),
        "BUG: Bad page map in {function}",
        kinds.OWNER,
        anchor=_CONTEXT,
    ),
    Kind(
        T.BAD_RSS,
        _re(rb"BUG: Bad rss-counter state mm:\S+ (?:type:(?P<what>\w+)|idx:)"),
        "BUG: Bad rss-counter state",
        kinds.PLAIN,
        traced=False,
    ),
    Kind(
        T.BAD_RSS,
        _re(rb"BUG: non-zero (?:pgtables_bytes|nr_ptes|nr_pmds) on freeing mm"),
        "BUG: non-zero pgtables_bytes on freeing mm",
        kinds.PLAIN,
        traced=False,
    ),
    # mm/slub.c
    Kind(
        T.SLAB,
        _re(
            rb"BUG (?P<cache>\S.{0,60}?) \((?:Not tainted|Tainted: [A-Z ]+)\): (?P<what>.*?)"
            rb"(?:[ .:(]*(?:0x|@|\d).*)?$"
        ),
        "BUG: slab {cache}: {what} in {function}",
        kinds.OWNER,
        anchor=_CONTEXT,
    ),
    # mm/kmemleak.c
    Kind(
        T.MEMORY_LEAK,
        _re(rb"(?:kmemleak: )?unreferenced object (?:\(percpu\) )?0x"),
        "memory leak in {function}",
        kinds.OWNER,
        first=True,
    ),
    Kind(
        T.MEMORY_LEAK,
        _re(rb"kmemleak: \d+ new suspected memory leaks"),
        "memory leak",
        kinds.OWNER,
        traced=False,
    ),
    # mm/oom_kill.c
    Kind(
        T.OUT_OF_MEMORY,
        _re(rb"(?P<comm>.{1,24}) invoked oom-killer: "),
        "out of memory",
        kinds.OWNER,
    ),
    Kind(
        T.OUT_OF_MEMORY,
        _re(rb"(?:Out of memory|Memory cgroup out of memory)[^:]{0,40}: Kill(?:ed)? process \d+"),
        "out of memory",
        kinds.OWNER,
        traced=False,
    ),
)
STALLS = (
    # kernel/rcu/tree_stall.h, tree_exp.h, tasks.h
    Kind(
        T.RCU_STALL,
        _re(
            rb"(?:rcu: )?INFO: (?P<flavour>rcu\w{0,30}) (?:self-)?detected (?:expedited )?stalls? on"
        ),
        "INFO: rcu detected stall in {function}",
        kinds.STUCK,
        counter=True,
        gathers=True,
    ),
    Kind(
        T.RCU_STALL,
        _re(rb"(?:rcu: )?INFO: rcu\w{0,30} detected (?:expedited )?stalls?(?:,|\? )"),
        "INFO: rcu detected stall",
        kinds.STUCK,
        traced=False,
    ),
    # kernel/watchdog.c
    Kind(
        T.SOFT_LOCKUP,
        _re(
            rb"(?:(?:NMI )?watchdog: )?BUG: soft lockup - CPU#(?P<cpu>\d+) stuck for \d+s! "
            rb"\[(?P<comm>.{0,24}):(?P<pid>\d+)\]"
        ),
        "BUG: soft lockup in {function}",
        kinds.STUCK,
        counter=True,
        gathers=True,
    ),
    Kind(
        T.HARD_LOCKUP,
        _re(
            rb"(?:(?:NMI )?watchdog: )?(?:CPU\d+: )?Watchdog detected hard LOCKUP on cpu "
            rb"(?P<cpu>\d+)"
        ),
        "hard lockup in {function}",
        kinds.STUCK,
        counter=True,
        gathers=True,
    ),
    # kernel/hung_task.c
    Kind(
        T.HUNG_TASK,
        _re(
            rb"INFO: task (?P<comm>.{0,24}):(?P<pid>\d+) (?:blocked (?:in I/O wait )?for more than|"
            rb"can't die (?:in|for) more than) \d+ seconds"
        ),
        "INFO: task hung in {function}",
        kinds.WAIT,
        gathers=True,
    ),
    # kernel/workqueue.c
    Kind(
        T.WORKQUEUE_LOCKUP,
        _re(rb"BUG: workqueue lockup - pool"),
        "BUG: workqueue lockup",
        kinds.STUCK,
        traced=False,
        gathers=True,
    ),
)
OTHERS = (
    # lib/kobject.c
    Kind(
        T.KOBJECT,
        _re(
            rb"kobject(?:: | )(?:'.{0,60}' )?\(.{1,40}\): "
            rb"(?P<what>tried to (?:init an initialized|add an uninitialized) object)"
        ),
        "kobject: {what} in {function}",
        kinds.PLAIN,
    ),
    # net/core/dev.c
    Kind(
        T.NETDEVICE,
        _re(rb"unregister_netdevice: waiting for .{1,32} to become free"),
        "unregister_netdevice: waiting for device to become free",
        kinds.PLAIN,
        traced=False,
    ),
    # kernel/irq/spurious.c
    Kind(T.IRQ, _re(rb"irq \d+: nobody cared"), "irq: nobody cared", kinds.PLAIN),
    # kernel/panic.c
    Kind(
        T.PANIC,
        _re(rb"Kernel panic - not syncing: ?(?P<what>.*)"),
        "kernel panic: {what}",
        kinds.MEMORY,
        traced=False,
    ),
    # anything else that calls itself so, if it brings a stack trace
    Kind(T.BUG, _re(rb"BUG: (?P<what>.{1,120})"), "BUG: {what}", kinds.MEMORY, weak=True),
    Kind(
        T.WARNING, _re(rb"WARNING: (?P<what>.{1,120})"), "WARNING: {what}", kinds.MEMORY, weak=True
    ),
)
