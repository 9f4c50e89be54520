"""What stands before and after a report makes no difference to it."""

from __future__ import annotations

import pytest

from harness.dmesg import Splat, SplatType, find_splats
from tests.fuzz.properties import read_singly

# Without an end marker, as most reports are
SLEEPING = """\
BUG: sleeping function called from invalid context at kernel/locking/mutex.c:585
in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 53, name: vmm
CPU: 1 UID: 0 PID: 53 Comm: vmm Not tainted 6.12.117 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x5d/0x80
 __might_resched+0x1a1/0x2b0
 foo_ioctl+0x30/0x80
 do_syscall_64+0x60/0x90
 </TASK>
"""
REFCOUNT = """\
------------[ cut here ]------------
refcount_t: underflow; use-after-free.
WARNING: CPU: 1 PID: 53 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110
Modules linked in:
CPU: 1 UID: 0 PID: 53 Comm: vmm Not tainted 6.12.117 #1
RIP: 0010:refcount_warn_saturate+0xba/0x110
Call Trace:
 <TASK>
 put_foo+0x14/0x30
 </TASK>
---[ end trace 0000000000000000 ]---
"""
SOMETHING = """\
BUG: foo: something is wrong
CPU: 1 UID: 0 PID: 53 Comm: vmm Not tainted 6.12.117 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x5d/0x80
 check_foo+0x14/0x30
 </TASK>
"""
REDZONE = """\
[Right Redzone overwritten] 0xffff888004f1b2c0-0xffff888004f1b2c3 @offset=704. First byte 0x0
=============================================================================
BUG kmalloc-64 (Not tainted): Object corrupt
-----------------------------------------------------------------------------
CPU: 1 UID: 0 PID: 53 Comm: vmm Not tainted 6.13.0 #1
Call Trace:
 <TASK>
 check_bytes_and_report+0x14/0x30
 free_foo+0x14/0x30
 </TASK>
"""
OOPS = """\
BUG: kernel NULL pointer dereference, address: 0000000000000008
#PF: supervisor read access in kernel mode
Oops: Oops: 0000 [#1] PREEMPT SMP
CPU: 2 UID: 0 PID: 77 Comm: bash Not tainted 6.12.117 #1
RIP: 0010:foo_read+0x12/0x40
Call Trace:
 <TASK>
 vfs_read+0x10/0x20
 </TASK>
"""
END = "---[ end trace 0000000000000000 ]---\n"
PANIC = "Kernel panic - not syncing: "
BANNER = "Linux version 6.12.117 (noref@noref) (gcc 12.2.0) #1 SMP\n"


def console(text: str, start: float = 10.0, caller: str = "") -> bytes:
    lines = text.removesuffix("\n").split("\n")
    stamps = (f"[{start + number / 10000:12.6f}]" for number in range(len(lines)))
    return "".join(f"{s}{caller} {line}\n" for s, line in zip(stamps, lines, strict=True)).encode()


def gist(splat: Splat) -> tuple[str, str, int]:
    return splat.type.value, splat.title, splat.text.count("\n")


@pytest.mark.parametrize("pause", [1.0, 90.0])
@pytest.mark.parametrize("between", [0, 4])
@pytest.mark.parametrize("report", [REFCOUNT, SOMETHING, REDZONE, OOPS])
def test_a_report_without_an_end_takes_nothing_of_the_next(
    report: str, between: int, pause: float
) -> None:
    foreign = console("eth0: link becomes ready\n" * between) if between else b""
    log = console(SLEEPING) + foreign + console(report, 10 + pause)
    first, second = find_splats(log)
    assert gist(first) == gist(find_splats(console(SLEEPING))[0])
    assert gist(second) == gist(find_splats(console(report))[0])
    assert log[second.start :].split(b"] ", 1)[1].startswith(report[:20].encode())


def test_what_a_warning_was_given_to_say_may_call_itself_a_bug() -> None:
    text = REFCOUNT.replace("refcount_t: underflow; use-after-free.", "BUG: Dentry still in use")
    (splat,) = find_splats(console(text))
    assert splat.start == 0 and "Dentry" in splat.text


@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize("frames", [1500, 1990, 2200, 5000])
def test_a_long_report_is_still_one(frames: int, stamped: bool) -> None:
    text = OOPS.replace(" vfs_read+0x10/0x20\n", " vfs_read+0x10/0x20\n" * frames) + END
    log = console(text) if stamped else text.encode()
    (splat,) = find_splats(log)
    assert (splat.function, splat.task, splat.corrupted) == ("foo_read", "bash", False)
    assert (splat,) == read_singly(log)


def test_a_report_that_expires_at_a_line_of_its_own_comes_out_once() -> None:
    mine = console(OOPS + "foreign\n" * 13, caller="[   T77]")
    others = console("nothing\n" * 5000, 10.5, "[   T99]").split(b"\n")
    for count in range(2015, 2035):
        log = mine + b"\n".join(others[:count]) + b"\n" + console("one\n" * 9, 11, "[   T77]")
        assert len(find_splats(log)) == 1, count


@pytest.mark.parametrize("much", [1, 900])
@pytest.mark.parametrize(
    "reason",
    ["Fatal exception", "Oopsed too often (kernel.oops_limit is 1)", "kernel: panic_on_warn set"],
)
def test_a_panic_belongs_to_what_it_is_the_end_of(reason: str, much: int) -> None:
    registers = "RAX: 0000000000000000 RBX: 0000000000000000 RCX: 0000000000000000\n" * much
    died = OOPS + registers + END + PANIC + reason + f"\n---[ end {PANIC}{reason} ]---\n"
    (splat,) = find_splats(console(died) + console(BANNER, 0.0))
    assert splat.type.value == "NULL_DEREF" and splat.fatal


def test_a_stuck_workqueue_may_panic() -> None:
    text = "BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 43s!\n"
    (splat,) = find_splats(console(text + PANIC + "workqueue: stall lasted 43s"))
    assert splat.type.value == "WORKQUEUE_LOCKUP" and splat.fatal


@pytest.mark.parametrize("what", ["", "Command line: quiet elfcorehdr=0x63000000\n"])
def test_a_kernel_that_starts_in_the_middle_of_an_oops_is_its_end(what: str) -> None:
    (splat,) = find_splats(console(BANNER, 0) + console(OOPS) + console(BANNER + what, 0.0))
    assert splat.type.value == "NULL_DEREF" and splat.fatal


def test_a_kernel_that_was_loaded_for_a_crash_is_no_reboot() -> None:
    crash = BANNER + "Command line: quiet elfcorehdr=0x63000000\n" + "foo\n" * 500
    assert find_splats(console(BANNER + "foo\n", 1) + console("foo\n" * 500) + console(crash)) == ()


@pytest.mark.parametrize("said", ["fsck took [0.123456] s", "it is [    1.234567] now"])
def test_numbers_like_a_timestamp_in_mid_line_are_none(said: str) -> None:
    log = f"booting\n{said}\n{OOPS}{END}".encode()
    (splat,) = find_splats(log)
    assert splat.function == "foo_read"


@pytest.mark.parametrize("asked", ["sysrq: Show backtrace of all active CPUs", "FAULT_INJECTION: "])
@pytest.mark.parametrize("said", ["WARNING: this is not supported", "BUG: firmware says hi"])
def test_a_trace_that_somebody_asked_for_is_no_evidence(said: str, asked: str) -> None:
    trace = SOMETHING.split("\n", 1)[1]
    assert find_splats(console(f"{said}\n{asked}\n{trace}")) == ()
    assert len(find_splats(console(f"{said}\n{trace}"))) == 1


def test_a_lock_held_at_exit_has_not_the_stack_of_a_fault_injected_then() -> None:
    text = """\
================================================
WARNING: lock held when returning to user space!
6.12.117 #1 Not tainted
------------------------------------------------
vmm/53 is leaving the kernel with locks still held!
1 lock held by vmm/53:
 #0: ffff888004f1b2c0 (&foo->lock){+.+.}-{4:4}, at: foo_ioctl+0x30/0x80
FAULT_INJECTION: forcing a failure.
"""
    (splat,) = find_splats(console(text + SOMETHING.split("\n", 1)[1]))
    assert splat.function == "foo_ioctl"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CPU1 detected unsupported configuration", "CPU3 detected unsupported configuration"),
        ("object (____ptrval____) is bad", "object (____ptrval____) is bad"),
        ("object 0xffff888004f1b2c0 is bad", "object (____ptrval____) is bad"),
    ],
)
def test_titles_are_the_same_in_every_run(one: str, other: str) -> None:
    titles = {find_splats(console(PANIC + text))[0].title for text in (one, other)}
    assert len(titles) == 1 and "ptrval" not in titles.pop()


def test_a_race_is_titled_by_names_as_in_the_source() -> None:
    header = "BUG: KCSAN: data-race in foo.isra.0 / bar.constprop.0\n"
    (splat,) = find_splats(
        console(header + "\nread to 0x1 of 4 bytes by task 1 on cpu 0:\n f+0x1/0x2\n")
    )
    assert splat.title == "KCSAN: data-race in foo / bar"


@pytest.mark.parametrize(
    "task",
    [
        "task:foo             state:R  running task     stack:    0 pid:  123 ppid:     1",
        "task:foo             state:R  running task     stack:0     pid:123   ppid:654321",
        "task:foo             state:D stack:    0 ppid:654321 pid:  123",
    ],
)
def test_a_task_that_stalls_is_not_its_parent(task: str) -> None:
    stall = f"""\
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: \tTasks blocked on level-0 rcu_node (CPUs 0-1): P123/1:b..l
{task} flags:0x00004000
Call Trace:
 <TASK>
 foo_loop+0x14/0x30
 </TASK>
"""
    (splat,) = find_splats(console(stall))
    assert (splat.task, splat.pid, splat.function) == ("foo", 123, "foo_loop")


@pytest.mark.parametrize(
    "note",
    [
        "WARNING: can't access registers at entry_SYSCALL_64_after_hwframe+0x77/0x7f",
        "WARNING: kernel stack regs at 00000000a1b2c3d4 in sh:1 has bad 'bp' value 0",
        "WARNING: stack recursion on stack type 5",
        "INFO: NMI handler (perf_event_nmi_handler) took too long to run: 1.234 msecs",
        "perf: interrupt took too long (2514 > 2500), lowering kernel.perf_event_max_sample_rate",
    ],
)
@pytest.mark.parametrize("report", [SLEEPING, REFCOUNT, OOPS + END])
def test_a_note_in_the_middle_of_a_trace_changes_nothing(report: str, note: str) -> None:
    frame = next(line for line in report.split("\n") if line.startswith((" do_", " put_", " vfs_")))
    (whole,) = find_splats(console(report))
    for noted in (f"{frame}\n{note}", f"{note}\n{frame}"):
        (splat,) = find_splats(console(report.replace(frame, noted)))
        assert (splat.title, splat.trace) == (whole.title, whole.trace)
        assert splat.corrupted is False


def test_a_bug_at_el2_has_its_own_place_and_trace() -> None:
    text = """\
kvm [1]: nVHE hyp BUG at: arch/arm64/kvm/hyp/nvhe/mem_protect.c:123!
kvm [1]: nVHE call trace:
kvm [1]:  [<ffff800080e01234>] __kvm_nvhe_hyp_panic+0xb4/0xf8
kvm [1]:  [<ffff800080e05678>] __kvm_nvhe_foo+0x24/0x60
kvm [1]: ---[ end nVHE call trace ]---
Kernel panic - not syncing: HYP panic:
CPU: 1 PID: 53 Comm: vmm Not tainted 6.12.117 #1
Call trace:
 nvhe_hyp_panic_handler+0x1e4/0x1f0
 kvm_arm_vcpu_enter_exit+0x60/0x98
"""
    (splat,) = find_splats(console(text))
    assert (splat.source, splat.line) == ("arch/arm64/kvm/hyp/nvhe/mem_protect.c", 123)
    assert splat.trace == ("__kvm_nvhe_hyp_panic", "__kvm_nvhe_foo") and splat.fatal


def test_a_hung_task_has_not_the_cpu_of_who_found_it() -> None:
    hung = """\
INFO: task bar:55 blocked for more than 120 seconds.
task:bar             state:D stack:0     pid:55    tgid:55    ppid:1
Call Trace:
 <TASK>
 __schedule+0x3a5/0x8e0
 foo_wait_for_it+0x24/0x60
 </TASK>
Kernel panic - not syncing: hung_task: blocked tasks
CPU: 0 UID: 0 PID: 31 Comm: khungtaskd Not tainted 6.12.117 #1
"""
    (splat,) = find_splats(console(hung))
    assert (splat.task, splat.pid, splat.cpu) == ("bar", 55, None)


@pytest.mark.parametrize(
    "why",
    [
        "VFS: Unable to mount root fs on unknown-block(0,0)",
        "Attempted to kill init! exitcode=0x0000000b",
        "No working init found.  Try passing init= option to kernel.",
    ],
)
def test_nobody_in_the_kernel_is_to_blame_for_what_it_was_given_to_run(why: str) -> None:
    trace = SOMETHING.split("\n", 1)[1]
    (splat,) = find_splats(console(f"{PANIC}{why}\n{trace}"))
    assert splat.function == "" and splat.title.startswith(f"kernel panic: {why[:16]}")
    assert not splat.corrupted


@pytest.mark.parametrize("again", [REFCOUNT, OOPS + END])
def test_a_log_without_times_that_is_printed_again_says_nothing_new(again: str) -> None:
    other = again.replace("0x14/0x30", "0x18/0x30").replace("0x12/0x40", "0x14/0x40")
    assert len(find_splats((again + "usb 1-1: foo\n" + again).encode())) == 1
    assert len(find_splats((again + "usb 1-1: foo\n" + other).encode())) == 2


@pytest.mark.parametrize("lost", [1, 2])
def test_a_count_is_one_also_where_its_message_was_lost(lost: int) -> None:
    (splat,) = find_splats(console(REFCOUNT.split("\n", lost)[lost]))
    assert (splat.type.value, splat.title) == ("REFCOUNT", "WARNING: refcount bug in put_foo")


def test_control_flow_that_went_wrong_may_be_a_panic() -> None:
    text = f"""\
{PANIC}CFI failure (target: foo_dump+0x0/0x4 [foo])
CPU: 0 PID: 77 Comm: kworker/u18:7 Not tainted 5.15.78 #1
Call trace:
 panic+0x1f0/0x3f0
 __cfi_slowpath_diag+0x4/0x48
 foo_call+0x294/0x314 [foo]
"""
    (splat,) = find_splats(console(text))
    assert (splat.type.value, splat.function) == ("CFI", "foo_call") and splat.fatal


def test_what_is_said_of_a_device_every_ten_seconds_is_one_complaint_whoever_speaks_between() -> (
    None
):
    waiting = "unregister_netdevice: waiting for {} to become free. Usage count = 2"
    log = "".join(
        f"[  {second}.000000] {line}\n"
        for second, device in ((100, "lo"), (110, "lo"), (120, "eth0"), (130, "lo"), (190, "lo"))
        for line in (waiting.format(device), *SLEEPING.splitlines())
    )
    titles = [splat.title.partition(" ")[0] for splat in find_splats(log.encode())]
    # the last one after a minute of silence
    assert titles.count("unregister_netdevice:") == 3
    assert titles.count("BUG:") == 5
    # somebody prints the end of the log again, which begins with a line that was not counted
    again = log[log.index("[  110.") :]
    replayed = [s for s in find_splats((log + again).encode()) if s.type is SplatType.NETDEVICE]
    assert len(replayed) == 3
