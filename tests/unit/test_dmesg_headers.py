"""Header lines as the kernel prints them, each with the kind that it begins."""

from __future__ import annotations

import pytest

from harness.dmesg import find_splats
from harness.dmesg.splat import SplatType as T
from harness.dmesg.table import KINDS, find_kind

LINES: tuple[tuple[T, str], ...] = (
    (T.WARNING, "------------[ cut here ]------------"),
    (T.WARNING, "WARNING: CPU: 0 PID: 1 at mm/gup.c:12 f+0x1/0x2 [kvm]"),
    (T.WARNING, "WARNING: CPU: 0 PID: 1 at f+0x1/0x2"),
    (T.WARNING, "WARNING: CPU: 0 PID: 1 at [x[1] > 2] mm/gup.c:12 f+0x1/0x2"),
    (T.WARNING, "WARNING: mm/gup.c:12 at f+0x1/0x2, CPU#0: sh/1"),
    (T.WARNING, "WARNING: [x] mm/gup.c:12 at f+0x1/0x2, CPU#0: a b/c/1"),
    (T.WARNING, "WARNING: at f+0x1/0x2, CPU#0: sh/1"),
    (T.WARNING, "WARNING: kernel stack regs at 00000000a1b2c3d4 in sh:1 has bad 'bp' value 0"),
    (T.WARNING, "WARNING: can't access registers at entry_SYSCALL_64_after_hwframe+0x77/0x7f"),
    (T.WARNING, "WARNING: bad lookup idx: idx=1 num=2 ip=f+0x1/0x2"),
    (T.WARNING, "WARNING: missing R10 value at f+0x1/0x2"),
    (T.WARNING, "WARNING: Corrupt .orc_unwind table.  Disabling unwinder."),
    (T.BUG, "kernel BUG at mm/gup.c:12!"),
    (T.BUG, "Kernel BUG at f+0x1/0x2 [verbose debug info unavailable]"),
    (T.BUG, "kernel BUG at f+0x1/0x2 [verbose debug info unavailable]"),
    (T.BUG, "kvm [1]: nVHE hyp BUG at: arch/arm64/kvm/hyp/nvhe/mem_protect.c:12!"),
    (T.BUG, "kvm [1]: nVHE hyp panic at: [<ffff800080010000>] __kvm_nvhe_f+0x1/0x2!"),
    (T.LIST_CORRUPTION, "list_del corruption. prev->next should be ff, but was 00. (prev=ff)"),
    (T.LIST_CORRUPTION, "list_del corruption, ffff888101234560->next is LIST_POISON1 (dead)"),
    (T.LIST_CORRUPTION, "list_add double add: new=ff, prev=00, next=ff."),
    (T.USERCOPY, "usercopy: Kernel memory overwrite attempt detected to kernel text (offset 0)!"),
    (T.VFS_BUSY, "VFS: Busy inodes after unmount of loop0 (ext4)"),
    (T.CFI, "CFI failure at f+0x1/0x2 (target: g+0x0/0x10; expected type: 0x12345678)"),
    (T.CFI, "Internal error: Oops - CFI: 00000000f2008233 [#1] PREEMPT SMP"),
    (T.UBSAN, "UBSAN: shift-out-of-bounds in mm/gup.c:12:3"),
    (T.UBSAN, "UBSAN: Undefined behaviour in mm/gup.c:12:3"),
    (T.UBSAN, "UBSAN: integer addition overflow at f+0x1/0x2"),
    (T.UBSAN, "Internal error: UBSAN: shift out of bounds: 00000000f2005514 [#1] SMP"),
    (T.KASAN, "BUG: KASAN: slab-use-after-free in f+0x1/0x2"),
    (T.KASAN, "BUG: KASAN: null-ptr-deref on address 0000000000000008"),
    (T.KASAN, "BUG: KASAN: invalid-access"),
    (T.KMSAN, "BUG: KMSAN: kernel-infoleak in f+0x1/0x2"),
    (T.KCSAN, "BUG: KCSAN: data-race in f / g"),
    (T.KCSAN, "BUG: KCSAN: assert: race in f+0x1/0x2"),
    (T.KFENCE, "BUG: KFENCE: memory corruption in f+0x1/0x2"),
    (T.LOCKDEP, "WARNING: possible circular locking dependency detected"),
    (T.LOCKDEP, "WARNING: possible recursive locking detected"),
    (T.LOCKDEP, "WARNING: possible irq lock inversion dependency detected"),
    (T.LOCKDEP, "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected"),
    (T.LOCKDEP, "WARNING: SOFTIRQ-READ-safe -> SOFTIRQ-READ-unsafe lock order detected"),
    (T.LOCKDEP, "WARNING: inconsistent lock state"),
    (T.LOCKDEP, "WARNING: bad unlock balance detected!"),
    (T.LOCKDEP, "WARNING: bad contention detected!"),
    (T.LOCKDEP, "WARNING: held lock freed!"),
    (T.LOCKDEP, "WARNING: Nested lock was not taken"),
    (T.LOCKDEP, "WARNING: chain_key collision"),
    (T.LOCKDEP, "WARNING: lock held when returning to user space!"),
    (T.LOCKDEP, "WARNING: kworker/0:1/12 still has locks held!"),
    (T.LOCKDEP, "INFO: trying to register non-static key."),
    (T.KCSAN, "BUG: KCSAN: data-race in foo [mod] / bar [mod]"),
    (T.LOCKDEP, "BUG: MAX_LOCK_DEPTH too low!"),
    (T.BUG, "BUG: arch topology borken"),
    (T.KOBJECT, "sysfs: cannot create duplicate filename '/bus/platform/devices/foo.0'"),
    (T.LOCKDEP, "BUG: key ffff888101234560 has not been registered!"),
    (T.SUSPICIOUS_RCU, "WARNING: suspicious RCU usage"),
    (T.INVALID_WAIT_CONTEXT, "[ BUG: Invalid wait context ]"),
    (T.SPINLOCK, "BUG: spinlock recursion on CPU#0, sh/1"),
    (T.SPINLOCK, "BUG: rwlock bad magic on CPU#0, sh/1, ffff888101234560"),
    (T.SLEEPING_IN_ATOMIC, "BUG: sleeping function called from invalid context at mm/gup.c:12"),
    (T.SLEEPING_IN_ATOMIC, "BUG: assuming atomic context at mm/gup.c:12"),
    (T.SLEEPING_IN_ATOMIC, "BUG: assuming non migratable context at mm/gup.c:12"),
    (T.SCHEDULING_WHILE_ATOMIC, "BUG: scheduling while atomic: swapper/0/0/0x00000100"),
    (T.SCHEDULING_WHILE_ATOMIC, "BUG: scheduling in a non-blocking section: sh/1/1"),
    (T.SCHEDULING_WHILE_ATOMIC, "bad: scheduling from the idle thread!"),
    (T.SCHEDULING_WHILE_ATOMIC, "BUG: workqueue leaked atomic, lock or RCU: kworker/0:1[12]"),
    (T.SCHEDULING_WHILE_ATOMIC, "BUG: workqueue leaked lock or atomic: kworker/0:1/0x00000001/12"),
    (T.PREEMPTIBLE, "BUG: using smp_processor_id() in preemptible [00000000] code: sh/1"),
    (T.PREEMPTIBLE, "BUG: using __this_cpu_add() in preemptible [00000000] code: k/0:1/12"),
    (T.NULL_DEREF, "BUG: kernel NULL pointer dereference, address: 0000000000000008"),
    (T.NULL_DEREF, "BUG: unable to handle kernel NULL pointer dereference at 0000000000000008"),
    (T.NULL_DEREF, "Unable to handle kernel NULL pointer dereference at virtual address 08"),
    (T.PAGE_FAULT, "BUG: unable to handle page fault for address: ffffffffc0de0000"),
    (T.PAGE_FAULT, "BUG: unable to handle kernel paging request at ffffffffc0de0000"),
    (T.PAGE_FAULT, "Unable to handle kernel paging request at virtual address dead000000000122"),
    (T.PAGE_FAULT, "Unable to handle kernel access to user memory outside uaccess "
     "routines at virtual address 0000000000400000"),
    (T.PAGE_FAULT, "sh: Corrupted page table at address 7f2bd8e8d000"),
    (T.GENERAL_PROTECTION, "general protection fault, probably for non-canonical address 0xdead00: "
     "0000 [#1] SMP"),
    (T.GENERAL_PROTECTION, "Oops: segment-related general protection fault: 0018 [#2] PREEMPT"),
    (T.DIVIDE_ERROR, "divide error: 0000 [#1] SMP"),
    (T.INVALID_OPCODE, "Oops: invalid opcode: 0000 [#1] PREEMPT SMP"),
    (T.DOUBLE_FAULT, "PANIC: double fault, error_code: 0x0"),
    (T.DOUBLE_FAULT, "double fault: 0000 [#1] SMP"),
    (T.STACK_OVERFLOW, "BUG: IRQ stack guard page was hit at 00000000a1b2 (stack is 00..00)"),
    (T.STACK_OVERFLOW, "BUG: stack guard page was hit at 00000000a1b2 (stack is 00..00)"),
    (T.STACK_OVERFLOW, "kernel stack overflow (double-fault): 0000 [#1] SMP"),
    (T.STACK_OVERFLOW, "Insufficient stack space to handle exception!"),
    (T.OOPS, "Oops: 0002 [#1] SMP"),
    (T.OOPS, "Oops: Oops: 0002 [#1] PREEMPT SMP"),
    (T.OOPS, "stack segment: 0000 [#1] SMP"),
    (T.OOPS, "int3: 0000 [#1] SMP"),
    (T.INTERNAL_ERROR, "Internal error: Oops: 0000000096000004 [#1] PREEMPT SMP"),
    (T.INTERNAL_ERROR, "Internal error: Oops - Undefined instruction: 0000000002000000 [#1] SMP"),
    (T.INTERNAL_ERROR, "Internal error: SP/PC alignment exception: 000000008a000000 [#1] SMP"),
    (T.UNHANDLED_FAULT, "Unhandled fault: synchronous external abort (0x96000210) at 0xffff8000"),
    (T.UNHANDLED_FAULT, "Unhandled 64-bit el1h sync exception on CPU0, ESR 0x02000000 -- x"),
    (T.UNHANDLED_FAULT, "Bad mode in Error handler detected on CPU0, code 0xbf000002 -- SError"),
    (T.UNHANDLED_FAULT, "SError Interrupt on CPU0, code 0x00000000be000011 -- SError"),
    (T.MSR_ACCESS, "unchecked MSR access error: WRMSR to 0x1 (tried to write 0x0000000000000000) "
     "at rIP: 0xffffffff81061a04 (f+0x4/0x20)"),
    (T.BAD_PAGE_STATE, "BUG: Bad page state in process a b/c  pfn:03e8a"),
    (T.BAD_PAGE_STATE, "BUG: Bad page cache in process sh  pfn:03e8a"),
    (T.BAD_PAGE_STATE, "pagealloc: memory corruption"),
    (T.BAD_PAGE_STATE, "pagealloc: single bit error"),
    (T.BAD_PAGE_MAP, "BUG: Bad page map in process sh  pte:8000000003e8a867 pmd:04d3c067"),
    (T.BAD_RSS, "BUG: Bad rss-counter state mm:00000000a1b2c3d4 type:MM_FILEPAGES val:-1"),
    (T.BAD_RSS, "BUG: non-zero pgtables_bytes on freeing mm: 4096"),
    (T.SLAB, "BUG kmalloc-64 (Tainted: G    B  W         ): Object already free"),
    (T.SLAB, "BUG <unknown> (Not tainted): No slab cache for object 0x00000000a1b2c3d4"),
    (T.SLAB, "[Right Redzone overwritten] 0xffff88800283d321-0xffff88800283d321 @offset=801. "
     "First byte 0x78 instead of 0xcc"),
    (T.MEMORY_LEAK, "unreferenced object 0xffff888101234560 (size 64):"),
    (T.MEMORY_LEAK, "kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)"),
    (T.OUT_OF_MEMORY, "sh invoked oom-killer: gfp_mask=0x1(GFP), order=0, oom_score_adj=0"),
    (T.OUT_OF_MEMORY, "Memory cgroup out of memory: Killed process 9 (sh) total-vm:1kB"),
    (T.RCU_STALL, "rcu: INFO: rcu_preempt self-detected stall on CPU"),
    (T.RCU_STALL, "INFO: rcu_sched self-detected stall on CPU"),
    (T.RCU_STALL, "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:"),
    (T.RCU_STALL, "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-...D } 9 j"),
    (T.RCU_STALL, "INFO: rcu_tasks detected stalls on tasks:"),
    (T.RCU_STALL, "rcu: INFO: rcu_preempt detected stall, but suppressed full report due to x"),
    (T.SOFT_LOCKUP, "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [kworker/1:2:12]"),
    (T.SOFT_LOCKUP, "NMI watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [sh:9]"),
    (T.HARD_LOCKUP, "watchdog: Watchdog detected hard LOCKUP on cpu 1"),
    (T.HARD_LOCKUP, "NMI watchdog: Watchdog detected hard LOCKUP on cpu 1"),
    (T.HARD_LOCKUP, "watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 1"),
    (T.HUNG_TASK, "INFO: task kworker/u8:3:37 blocked for more than 120 seconds."),
    (T.HUNG_TASK, "INFO: task sh:37 blocked in I/O wait for more than 120 seconds."),
    (T.OUT_OF_MEMORY, "vmm: vmalloc error: size 4096, page order 0, failed to allocate pages"),
    (T.OUT_OF_MEMORY, "vmm: page allocation stall for 10 secs: order:0, mode:0xcc0(GFP_KERNEL)"),
    (T.OUT_OF_MEMORY, "percpu: allocation failed, size=64 align=8 atomic=1, no chunk"),
    (T.WARNING, "WARN at mas_validate:42 (1)"),
    (T.WARNING, "eth0: hw csum failure"),
    (T.WARNING, "schedule_timeout: wrong timeout value ffffffffffffff9c"),
    (T.BUG, "NEIGH: BUG, double timer add, state is 8"),
    (T.BUG, "kmemleak: Cannot insert 0xffff888004f1b2c0 into the object search tree"),
    (T.BUG, "kmemleak: Trying to color unknown object at 0xffff888004f1b2c0 as Grey"),
    (T.SLAB, "slab error in verify_redzone_free(): cache `kmalloc-64': double free detected"),
    (T.SLAB, "Slab corruption (Not tainted): kmalloc-64 start=ffff888004f1b2c0, len=64"),
    (T.CFI, "Missing ENDBR: foo+0x0/0x40"),
    (T.OOPS, "Oops: Split lock detected"),
    (T.UBSAN, "kvm [1]: nVHE hyp UBSAN: array index out of bounds at: [<ffff8000>] f+0x2/0x6!"),
    (T.BAD_RSS, "BUG: Bad rss-counter state mm:ffff8880 type:MM_ANONPAGES val:1 Comm:vmm Pid:53"),
    (T.OUT_OF_MEMORY, "kworker/0:1: page allocation failure: order:4, mode:0xcc0(GFP_KERNEL)"),
    (T.BUG, "BUG at mas_validate_gaps:7082 (1)"),
    (T.WORKQUEUE_LOCKUP, "BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 stuck for 4s!"),
    (T.KOBJECT, "kobject: (00000000a1b2c3d4): tried to init an initialized object, x"),
    (T.KOBJECT, "kobject: kobject (00000000a1b2c3d4): tried to init an initialized object, x"),
    (T.KOBJECT, "kobject: kobject 'x' (00000000a1b2c3d4): tried to add an uninitialized object, x"),
    (T.NETDEVICE, "unregister_netdevice: waiting for veth0 to become free. Usage count = 3"),
    (T.IRQ, 'irq 16: nobody cared (try booting with the "irqpoll" option)'),
    (T.IRQ, "irq event 16: bogus return value 5"),
    (T.PANIC, "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b"),
    (T.PANIC, "PANIC: early exception 0x0e IP 10:ffffffff81000000 error 0 cr2 0x0"),
    (T.BUG, "BUG: mempool element poison mismatch"),
    (T.WARNING, "WARNING: Flushing system-wide workqueues will be prohibited in near future."),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "line"), LINES, ids=[line[:50] for _, line in LINES])
def test_the_header_begins_its_kind(kind: T, line: str) -> None:
    found = find_kind(line.encode())
    assert found is not None and found[0].type is kind


def test_every_row_of_the_table_has_a_line_that_it_is_for() -> None:
    used = {id(found[0]) for _, line in LINES if (found := find_kind(line.encode())) is not None}
    assert [kind.pattern.pattern for kind in KINDS if id(kind) not in used] == []


@pytest.mark.parametrize("line", [line for _, line in LINES])
def test_no_header_is_a_stumbling_block(line: str) -> None:
    trace = (
        "CPU: 1 PID: 53 Comm: vmm Not tainted 6.12.117 #1\nCall Trace:\n f+0x1/0x2\n g+0x1/0x2\n"
    )
    find_splats(line.encode())
    for stamp in ("", "[   12.345678] "):
        log = "".join(f"{stamp}{said}\n" for said in (line + "\n" + trace).splitlines())
        assert len(find_splats(log.encode())) == 1
