"""What looks like a complaint and is none."""

from __future__ import annotations

import pytest

from harness.dmesg import find_splats


def kernel(*lines: str, start: float = 1.0, caller: str = "") -> bytes:
    """Lines as the kernel's console has them."""
    caller = f"[{caller:>6}]" if caller else ""
    return "".join(f"[{start:12.6f}]{caller} {line}\n" for line in lines).encode()


CHATTER = (
    "Speculative Return Stack Overflow: WARNING: See https://kernel.org/doc/html/latest/admin-guide",
    "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on",
    "kvm: user requested TSC rate below hardware speed",
    "[Firmware Bug]: TSC ADJUST: CPU0: -1 force to 0",
    "[Firmware Warn]: HEST: Duplicated hardware error source ID: 0.",
    "ACPI BIOS Warning (bug): Incorrect checksum in table [DSDT]",
    "ACPI BIOS Error (bug): Could not resolve symbol [\\_SB.PCI0], AE_NOT_FOUND",
    "INFO: lockdep is turned off.",
    "Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar",
    "BUG: looks like one, but brings no stack",
    "WARNING: this driver is old",
    "rcu: INFO: nothing of note",
    "Kernel panic is not what this says",
    "UBSAN: not enabled",
    "debug_warn_on: WARNING: at nothing",
    "kmemleak: Kernel memory leak detector initialized (mem pool available: 15852)",
    "kmemleak: Automatic memory scanning thread started",
    "kasan: KernelAddressSanitizer initialized",
    "kfence: initialized - using 2097152 bytes for 255 objects",
    "x86/mm: Checked W+X mappings: passed, no W+X pages found.",
    "systemd[1]: WARNING: CPU: 0 PID: 1 at nowhere.c:1 nothing+0x1/0x2",
    "printk: console [ttyS0] enabled",
    "Command line: console=ttyS0 oops=panic panic_on_warn=1 hung_task_panic=1",
    "audit: type=1400 msg='BUG: unable to handle page fault for address: 1'",
    "traps: trap[99] general protection fault ip:401136 sp:7ffd error:0 in trap[401000+1000]",
    "cat[99]: segfault at 0 ip 0000000000401136 sp 00007ffd error 4 in cat[401000+1000]",
    "Out of memory (oom_kill_allocating_task) is only a setting",
    "OOM killer enabled.",
    "NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.",
    "lkdtm: No crash points registered, enable through debugfs",
    "reboot: Power down",
)


@pytest.mark.parametrize("text", CHATTER)
@pytest.mark.parametrize("style", ["[    1.500790] {}\n", "[    1.500790][    T1] {}\n", "{}\n"])
def test_chatter_is_no_splat(text: str, style: str) -> None:
    around = style.format("NET: Registered PF_INET protocol family")
    assert find_splats((around + style.format(text) + around * 40).encode()) == ()


def test_a_stack_dump_that_somebody_asked_for_is_no_splat() -> None:
    log = kernel(
        "sysrq: Show Blocked State",
        "task:kworker/0:1     state:D stack:0     pid:9     tgid:9     ppid:2 flags:0x00004000",
        "Call Trace:",
        " <TASK>",
        " __schedule+0x3c1/0xbc0",
        " </TASK>",
        "sysrq: Show backtrace of all active CPUs",
        "NMI backtrace for cpu 0",
        "CPU: 0 UID: 0 PID: 1 Comm: sh Not tainted 6.12.1 #1",
        "Call Trace:",
        " <TASK>",
        " dump_stack_lvl+0x5d/0x80",
        " nmi_cpu_backtrace+0xc2/0xf0",
        " __handle_sysrq+0x9c/0x170",
        " </TASK>",
        "sysrq: Show Locks Held",
        "",
        "Showing all locks held in the system:",
        "1 lock held by sh/1:",
        " #0: ffff888101234560 (sb_writers#6){.+.+}-{0:0}, at: ksys_write+0x68/0xe0",
        "=============================================",
    )
    assert find_splats(log) == ()


def test_what_userspace_prints_on_the_console_is_no_splat() -> None:
    log = (
        kernel("Run /init as init process")
        + b"WARNING: CPU: 0 PID: 1 at mm/x.c:1 copied_from_a_web_page+0x1/0x2\n"
        + b"Call Trace:\n copied_from_a_web_page+0x1/0x2\n---[ end trace 0 ]---\n"
        + b"BUG: KASAN: use-after-free in quoted+0x1/0x2\n"
        + kernel("random: crng init done") * 30
    )
    assert find_splats(log) == ()


def test_an_orderly_reboot_is_no_splat() -> None:
    boot = kernel("Linux version 6.12.1 (gcc) #1 SMP", start=0.0) + kernel("smp: up", start=0.25)
    assert find_splats(boot + kernel("reboot: Restarting system", start=9.0) + boot) == ()


def test_a_boot_that_is_printed_again_is_no_reboot() -> None:
    boot = kernel("Linux version 6.12.1 (gcc) #1 SMP", start=0.0)
    boot += b"".join(kernel(f"step {at}", start=0.1 * at) for at in range(1, 20))
    assert find_splats(boot + boot) == ()


def test_an_empty_log_has_no_splat() -> None:
    assert find_splats(b"") == ()
    assert find_splats(b"\n\n\r\n\0\0") == ()
