"""The same reports as other programs and other kernels' consoles show them."""

from __future__ import annotations

import pytest

from harness.dmesg import Splat, find_splats
from harness.dmesg.frames import plain_source

REPORT = (
    "==================================================================",
    "BUG: KASAN: slab-out-of-bounds in kmalloc_oob_right+0x190/0x3b8",
    "Write of size 1 at addr ffff888003a0b473 by task kunit_try_catch/191",
    "",
    "CPU: 1 UID: 0 PID: 191 Comm: kunit_try_catch Not tainted 6.12.1 #1",
    "Call Trace:",
    " <TASK>",
    " dump_stack_lvl+0x55/0x90",
    " kasan_report+0xd5/0x120",
    " __asan_report_store1_noabort+0x17/0x30",
    " kmalloc_oob_right+0x190/0x3b8",
    " kunit_try_run_case+0x98/0x120",
    " kthread+0x22c/0x254",
    " </TASK>",
    "==================================================================",
)
PREFIXES = (
    "Jun 01 12:00:01.123456 host kernel: ",
    "2026-06-01T12:00:01+0200 host kernel: ",
    "2026-06-01T12:00:01,123456+02:00 ",
    "kern  :warn  : [Mon Jun  1 12:00:01 2026] ",
    "[   12.000001 <    0.000012>] ",
    "[  +0.000012] ",
    "[  +0.000012] [  T191] ",
    "06-01 12:00:01.123     0     0 E         : ",
    "06-01 12:00:01.123     0     0 W KERNEL  : [   12.000001] ",
    "06-01 12:00:01.123  root     0     0 W kernel  : ",
    "[   12.000001] <4>",
    "[   12.000001] c1    191 ",
    "<4>[   12.000001] (1)[191:kunit_try_catch]",
    "<4>[   12.000001]  (1)[191:kunit_try_catch]",
    "<4>[   12.000001] -(1)[191:kunit_try_catch]",
    "[   12.000001] [1: kunit_try_catch:  191] ",
    "2026-06-01T12:00:01.123456 [   12.000001] ",
    "12:00:01 <4>[   12.000001] ",
    # journalctl -o short-monotonic, short-full, short-unix
    "[   12.000001] host kernel: ",
    "Mon 2026-06-01 12:00:01 UTC host kernel: ",
    "1780315201.123456 host kernel: ",
    "2026-06-01 12:00:01.123456 host kernel: ",
    "Jun 01 12:00:01 host kernel[1]: ",
    # quoted in a mail
    "> ",
    "> > ",
    "> [   12.000001][  T191] ",
)


def only(lines: list[str]) -> Splat:
    (splat,) = find_splats("".join(f"{line}\n" for line in lines).encode())
    return splat


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_stands_before_the_text_makes_no_difference(prefix: str) -> None:
    splat = only([prefix + line for line in REPORT])
    assert splat.title == "KASAN: slab-out-of-bounds Write in kmalloc_oob_right"
    assert splat.trace[-2:] == ("kunit_try_run_case", "kthread")


@pytest.mark.parametrize("minute", ["[Jun13 12:00] ", "[Jun 1 12:00] "])
@pytest.mark.parametrize("at", range(len(REPORT)))
def test_each_minute_may_have_its_own_prefix(minute: str, at: int) -> None:
    """As `dmesg --human` does."""
    lines = ["[  +0.000012] " + line for line in REPORT]
    lines[at] = minute + REPORT[at]
    splat = only(lines)
    assert splat.title == "KASAN: slab-out-of-bounds Write in kmalloc_oob_right"
    assert splat.trace[-2:] == ("kunit_try_run_case", "kthread")


@pytest.mark.parametrize("strange", range(1, 4))
@pytest.mark.parametrize("at", range(2, len(REPORT) - 1))
@pytest.mark.parametrize("prefix", ["", "[   12.000001] "])
def test_lines_of_others_in_the_middle_make_no_difference(
    prefix: str, at: int, strange: int
) -> None:
    lines = list(REPORT)
    lines[at:at] = ["usb 1-1: new high-speed USB device number 5 using dummy_hcd"] * strange
    splat = only([prefix + line for line in lines])
    assert splat.title == "KASAN: slab-out-of-bounds Write in kmalloc_oob_right"
    assert splat.trace == tuple(line.split("+")[0].strip() for line in REPORT if "+0x" in line)[1:]


@pytest.mark.parametrize("much", [4, 30, 44, 59, -1])
@pytest.mark.parametrize("caller", ["", "[  T191] "])
def test_a_header_that_a_console_cut_and_printed_again_is_one(caller: str, much: int) -> None:
    """As nbcon_emit_next_record() does, where a console is taken over in the middle of a line."""
    prefix = f"[   12.000001] {caller}"
    cut = [prefix + REPORT[1][:much], "** replaying previous printk message **"]
    lines = [prefix + REPORT[0], *cut, *(prefix + line for line in REPORT[1:])]
    splat = only(lines)
    assert splat.title == "KASAN: slab-out-of-bounds Write in kmalloc_oob_right"
    assert not splat.corrupted


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("../lib/x.c", "lib/x.c"),
        ("arch/x86/kvm/../../../virt/kvm/kvm_main.c", "virt/kvm/kvm_main.c"),
        ("/b/linux-6.12/arch/x86/kvm/../../../virt/kvm/kvm_main.c", "virt/kvm/kvm_main.c"),
        ("./include/linux/mm.h", "include/linux/mm.h"),
        ("/build/linux-6.12/drivers/misc/x.c", "drivers/misc/x.c"),
        ("/usr/src/kernel/arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/mmu/mmu.c"),
        ("/home/me/kernel/kernel/sched/core.c", "kernel/sched/core.c"),
        ("/home/me/kernel/net/core/dev.c", "net/core/dev.c"),
        ("/build/linux/arch/x86/kernel/traps.c", "arch/x86/kernel/traps.c"),
        ("/build/out-of-tree/x.c", "/build/out-of-tree/x.c"),
    ],
)
def test_a_path_begins_at_the_top_of_the_tree(path: str, source: str) -> None:
    assert plain_source(path) == source


def test_what_slub_found_overwritten_stands_before_its_report() -> None:
    splat = only(
        [
            "[Right Redzone overwritten] 0xff321-0xff321 @offset=801. First byte 0x78 not 0xcc",
            "=" * 77,
            "BUG kmalloc-96 (Tainted: G           O      ): Object corrupt",
            "-" * 77,
            "",
            "Slab 0xff40 objects=18 used=7 fp=0xff3a0 flags=0x200(workingset|section=0|zone=0)",
            "CPU: 1 UID: 0 PID: 54 Comm: sh Tainted: G           O       6.12.1 #1",
            "Call Trace:",
            " <TASK>",
            " dump_stack_lvl+0x5d/0x80",
            " check_bytes_and_report.cold+0x5f/0x8d",
            " check_object+0x1be/0x3a0",
            " free_to_partial_list+0x1c8/0x5c0",
            " put_buffer+0x21/0x40",
            " </TASK>",
        ]
    )
    assert splat.title == "BUG: slab kmalloc-96: Right Redzone overwritten in put_buffer"
    assert not splat.corrupted


def test_where_every_frame_is_a_guess_the_first_is_taken() -> None:
    splat = only(
        [
            "BUG: unable to handle page fault for address: 00007f034b301000",
            "#PF: supervisor instruction fetch in kernel mode",
            "Oops: Oops: 0011 [#1] SMP",
            "CPU: 1 UID: 0 PID: 54 Comm: sh Not tainted 6.12.1 #1",
            "RIP: 0010:0x7f034b301000",
            "Call Trace:",
            " <TASK>",
            " ? __die+0x23/0x70",
            " ? asm_exc_page_fault+0x26/0x30",
            " ? jump_there+0xae/0xe0",
            " ? vfs_write+0xeb/0x310",
            " </TASK>",
            "---[ end trace 0000000000000000 ]---",
        ]
    )
    assert (splat.function, splat.trace) == ("jump_there", ())


def test_two_reports_of_one_moment_are_two() -> None:
    def warning(function: str) -> list[str]:
        return [
            "------------[ cut here ]------------",
            f"WARNING: CPU: 0 PID: 1 at mm/x.c:1 {function}+0x1/0x2",
            "Call Trace:",
            f" caller_of_{function}+0x1/0x2",
            "---[ end trace 0000000000000000 ]---",
        ]

    log = "".join(f"[    0.750784] {text}\n" for text in [*warning("one_it"), *warning("two_it")])
    assert [splat.function for splat in find_splats(log.encode())] == ["one_it", "two_it"]
    assert len(find_splats((log + log).encode())) == 2
