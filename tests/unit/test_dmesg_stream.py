"""Several CPUs, broken lines, cut-off logs, hostile bytes, big logs."""

from __future__ import annotations

import io
import itertools
import time
import tracemalloc
from collections.abc import Callable

import pytest

from harness.dmesg import SplatType, find_splats, iter_splats


def warning(function: str, pid: int, cpu: int = 0) -> list[str]:
    return [
        "------------[ cut here ]------------",
        f"WARNING: CPU: {cpu} PID: {pid} at mm/{function}.c:593 {function}+0x107/0x1b0",
        "Modules linked in:",
        f"CPU: {cpu} UID: 0 PID: {pid} Comm: task{pid} Not tainted 6.12.117 #1",
        f"RIP: 0010:{function}+0x107/0x1b0",
        "Call Trace:",
        " <TASK>",
        f" caller_of_{function}+0x14/0x90",
        " ? guess+0x14/0x90",
        f" outer_{function}+0x14/0x90",
        " </TASK>",
        "---[ end trace 0000000000000000 ]---",
    ]


def stamp(lines: list[str], start: float = 12.5, caller: str = "") -> list[str]:
    field = f"[{caller:>6}]" if caller else ""
    return [f"[{start + at / 1e6:12.6f}]{field} {text}\n" for at, text in enumerate(lines)]


def joined(*parts: list[str]) -> bytes:
    return "".join("".join(part) for part in parts).encode()


FILLER = stamp(["usb 1-1: new high-speed USB device"] * 50, start=20.0)


def test_the_caller_field_keeps_interleaved_cpus_apart() -> None:
    one = stamp(warning("first_bug", 53, 0), caller="T53")
    two = stamp(warning("second_bug", 54, 1), caller="C1")
    mixed = [line for pair in zip(one, two, strict=True) for line in pair]
    first, second = find_splats(joined(mixed))
    assert (first.title, second.title) == ("WARNING in first_bug", "WARNING in second_bug")
    assert first.trace == ("caller_of_first_bug", "outer_first_bug")
    assert second.trace == ("caller_of_second_bug", "outer_second_bug")
    assert "second" not in first.text and not first.corrupted and not second.corrupted
    assert (first.task, first.pid, first.cpu) == ("task53", 53, 0)


def test_the_nmi_backtrace_of_a_stalled_cpu_joins_the_stall() -> None:
    stall = stamp(
        [
            "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
            "rcu: \t1-....: (1 GPs behind) idle=1a2c/1/0x4000000000000000 softirq=1/1 fqs=5250",
            "rcu: \t(detected by 0, t=21002 jiffies, g=1001, q=34 ncpus=2)",
            "Sending NMI from CPU 0 to CPUs 1:",
        ],
        caller="C0",
    )
    answer = stamp(
        [
            "NMI backtrace for cpu 1",
            "CPU: 1 UID: 0 PID: 9 Comm: sh Not tainted 6.12.1 #1",
            "RIP: 0010:spinner+0x12/0x30",
            "Call Trace:",
            " <TASK>",
            " outer_loop+0x12/0x30",
            " </TASK>",
        ],
        start=12.6,
        caller="C1",
    )
    (splat,) = find_splats(joined(stall, answer))
    assert splat.title == "INFO: rcu detected stall in spinner"
    assert (splat.task, splat.cpu, splat.corrupted) == ("sh", 1, False)


def test_two_reports_in_a_row_of_one_caller_are_two() -> None:
    log = joined(stamp(warning("a_bug", 1)), stamp(warning("b_bug", 1), start=13.0))
    assert [s.function for s in find_splats(log)] == ["a_bug", "b_bug"]


def test_the_same_text_replayed_is_one_splat() -> None:
    log = joined(stamp(warning("a_bug", 1)), FILLER)
    assert len(find_splats(log + log)) == 1


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("unregister_netdevice: waiting for {} to become free. Usage count = 2", "lo"),
        ("BUG: Bad rss-counter state mm:{} type:MM_ANONPAGES val:2", "00000000e6f0fbd1"),
    ],
)
def test_what_is_said_again_of_the_same_thing_is_one_complaint(line: str, other: str) -> None:
    first, last = line.format("first"), line.format(other)
    log = joined(
        *(stamp([text], start=12.0 + 10 * at) for at, text in enumerate((first, first, last)))
    )
    one, two = find_splats(log)
    assert one.title == two.title and one.text.count("first") == 2 and other in two.text


def test_the_same_bug_twice_is_two_splats() -> None:
    log = joined(stamp(warning("a_bug", 1)), stamp(warning("a_bug", 1), start=13.0))
    assert len(find_splats(log)) == 2


@pytest.mark.parametrize("digit", [3, 4])
def test_a_digit_of_the_time_that_the_wire_lost_does_not_end_a_report(digit: int) -> None:
    lines = stamp(warning("a_bug", 1), start=3781.5)
    lines[6] = lines[6][:digit] + lines[6][digit + 1 :]
    (splat,) = find_splats(joined(lines, FILLER))
    assert splat.trace == ("caller_of_a_bug", "outer_a_bug") and not splat.corrupted


@pytest.mark.parametrize("kept", range(2, 12))
def test_a_report_that_the_log_cuts_off_is_corrupted(kept: int) -> None:
    (splat,) = find_splats(joined(stamp(warning("a_bug", 1)[:kept])))
    assert splat.title == "WARNING in a_bug"
    assert splat.corrupted


def test_a_report_without_its_trace_is_corrupted() -> None:
    lines = [text for text in warning("a_bug", 1) if "_a_bug" not in text]
    (splat,) = find_splats(joined(stamp(lines), FILLER))
    assert (splat.trace, splat.corrupted) == ((), True)


def test_panic_on_warn_belongs_to_its_warning() -> None:
    lines = [
        *warning("a_bug", 1)[:-1],
        "Kernel panic - not syncing: kernel: panic_on_warn set ...",
        "CPU: 0 UID: 0 PID: 1 Comm: task1 Not tainted 6.12.117 #1",
        "Call Trace:",
        " <TASK>",
        " panic+0x118/0x2f0",
        " </TASK>",
        "Kernel Offset: disabled",
        "---[ end Kernel panic - not syncing: kernel: panic_on_warn set ... ]---",
    ]
    (splat,) = find_splats(joined(stamp(lines)))
    assert (splat.type, splat.fatal, splat.corrupted) == (SplatType.WARNING, True, False)
    assert splat.trace == ("caller_of_a_bug", "outer_a_bug")
    assert "---[ end Kernel panic" in splat.text


def test_killing_init_belongs_to_the_oops_that_killed_it() -> None:
    lines = [
        "BUG: kernel NULL pointer dereference, address: 0000000000000008",
        "Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI",
        "CPU: 0 UID: 0 PID: 1 Comm: init Not tainted 6.12.1 #1",
        "RIP: 0010:read_thing+0x9/0x20",
        "Call Trace:",
        " <TASK>",
        " vfs_read+0x9f/0x330",
        " </TASK>",
        "---[ end trace 0000000000000000 ]---",
        "RIP: 0010:read_thing+0x9/0x20",
        "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009",
        "---[ end Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009 ]---",
    ]
    (splat,) = find_splats(joined(stamp(lines)))
    assert (splat.type, splat.fatal) == (SplatType.NULL_DEREF, True)


def test_a_reboot_that_nobody_asked_for_is_a_splat() -> None:
    boot = stamp(["Linux version 6.12.1 (gcc) #1 SMP"], start=0.0)
    one = [stamp([f"step {at}"], start=0.1 * at)[0] for at in range(1, 20)]
    two = [stamp([f"step {at}"], start=0.1 * at + 0.003)[0] for at in range(1, 20)]
    (splat,) = find_splats(joined(boot, one, boot, two))
    assert (splat.type, splat.title) == (SplatType.REBOOT, "unexpected kernel reboot")


def test_a_reboot_in_a_log_that_begins_when_the_machine_has_long_run_is_a_splat() -> None:
    (splat,) = find_splats(joined(stamp(["link up"] * 3, start=911.0), booting(0.0, 30)))
    assert splat.type is SplatType.REBOOT
    in_order = stamp(["link up", "reboot: Restarting system"], start=911.0)
    assert find_splats(joined(in_order, booting(0.0, 30))) == ()


@pytest.mark.parametrize("life", ["executing program", "2022/06/14 11:20:04 executing program 3:"])
def test_a_reboot_under_a_fuzzer_is_a_splat(life: str) -> None:
    life += "\n"
    bios = ["SeaBIOS (version 1.16.2)\n", "Booting from Hard Disk 0...\n"]
    (splat,) = find_splats(joined([life, *bios], booting(0.0, 30)))
    assert splat.type is SplatType.REBOOT
    assert find_splats(joined(bios, booting(0.0, 30), [life])) == ()


@pytest.mark.parametrize(
    "line", ["# dmesg", "# qemu-system-x86_64 -nographic\nSeaBIOS (version 1.16.2)", ""]
)
def test_a_banner_that_somebody_printed_or_a_guests_is_no_reboot(line: str) -> None:
    assert find_splats(joined(["debian login: root\n", line + "\n"], booting(0.0, 30))) == ()


def test_a_device_is_waited_for_once_in_each_boot() -> None:
    lines = ["unregister_netdevice: waiting for lo to become free. Usage count = 2"]
    end = stamp(["reboot: Restarting system"], start=101.0)
    once, again = stamp(lines, start=100.0), stamp(lines, start=105.0)
    assert len(find_splats(joined(once, end, booting(0.0, 30), again, FILLER))) == 2


def test_a_kernel_whose_clock_does_not_begin_at_nought_boots_once() -> None:
    lines = ["Booting Linux on physical CPU 0x0", "Linux version 6.12.1 (gcc) #1 SMP", "KASLR"]
    assert find_splats(joined(stamp(lines, start=3773.5))) == ()


def booting(start: float, steps: int) -> list[str]:
    """A kernel's first lines, one each tenth of a second."""
    banner = stamp(["Linux version 6.12.1 (gcc) #1 SMP"], start=0.0)
    return banner + [
        stamp([f"step {at} {start}"], start=0.1 * at + start)[0] for at in range(1, steps)
    ]


def test_a_guest_that_boots_while_its_host_goes_on_is_no_reboot() -> None:
    guest = booting(0.001, 60)
    guest[40:40] = stamp(["kvm: still here"], start=106.0)
    assert find_splats(joined(booting(0.0, 30), guest, stamp(["more"] * 40, start=107.0))) == ()


def test_a_guest_that_ends_before_its_host_goes_on_is_no_reboot() -> None:
    for end in ("reboot: Power down", "reboot: Restarting system"):
        guest = booting(0.001, 60) + stamp([end], start=7.0)
        host = stamp(["more"] * 40, start=107.0)
        assert find_splats(joined(booting(0.0, 30), guest, host, guest, host)) == ()


def test_a_reboot_that_ends_in_order_is_a_splat_still() -> None:
    (splat,) = find_splats(
        joined(booting(0.0, 30), booting(0.001, 900), stamp(["reboot: Power down"], start=99.0))
    )
    assert splat.type is SplatType.REBOOT


def test_a_reboot_after_a_panic_is_expected() -> None:
    boot = stamp(["Linux version 6.12.1 (gcc) #1 SMP"], start=0.0)
    panic = stamp(["Kernel panic - not syncing: sysrq triggered crash", "Rebooting in 1 seconds.."])
    later = stamp(["step"], start=0.7)
    (splat,) = find_splats(joined(boot, panic, boot, later))
    assert splat.type is SplatType.PANIC


def test_noise_before_a_header_does_not_hide_it() -> None:
    lines = stamp(["BUG: KASAN: use-after-free in a_bug+0x1/0x2", "Call Trace:", " a_bug+0x1/0x2"])
    noisy = lines[0].replace("] BUG", "] \N{REPLACEMENT CHARACTER}BUG")
    (splat,) = find_splats(joined([noisy, *lines[1:]]))
    assert (splat.type, splat.function) == (SplatType.KASAN, "a_bug")


def test_records_glued_to_other_text_are_found() -> None:
    lines = stamp(warning("a_bug", 1))
    log = b"login: root\x1b[6n# " + joined(lines[:1]).rstrip(b"\n") + joined(lines[1:])
    (splat,) = find_splats(log)
    assert splat.start == log.index(b"[   12.5")
    assert splat.title == "WARNING in a_bug" and not splat.corrupted


def test_escapes_and_carriage_returns_leave_the_text_clean() -> None:
    log = joined([f"\x1b[33m{line[:-1]}\x1b[0m\x1b]0;title\x07\r\n" for line in warning("b", 1)])
    (splat,) = find_splats(joined(FILLER[:1]) + log.replace(b"\x1b[33m", b"[   12.500000] "))
    assert "\x1b" not in splat.text and "\r" not in splat.text and "title" not in splat.text
    assert splat.title == "WARNING in b"


def test_a_task_name_may_hold_slashes_and_spaces() -> None:
    lines = ["WARNING: a/b.c:1 at f+0x1/0x2, CPU#3: k/u 8:1/x y/712", " f+0x1/0x2"]
    (splat,) = find_splats(joined(stamp(lines)))
    assert (splat.task, splat.pid, splat.cpu) == ("k/u 8:1/x y", 712, 3)


def test_a_very_long_line_hides_nothing_after_it() -> None:
    log = b"x" * 300_000 + b"\n" + joined(stamp(warning("a_bug", 1)))
    (splat,) = find_splats(log)
    assert splat.title == "WARNING in a_bug"
    assert len(splat.text) < 10_000


def test_an_endless_report_has_bounded_text() -> None:
    lines = warning("a_bug", 1)[:-1] + [f" more_{at}+0x1/0x20" for at in range(20_000)]
    (splat,) = find_splats(joined(stamp(lines)))
    assert len(splat.text) <= 64 * 1024


def test_a_stream_is_read_in_constant_memory_and_linear_time() -> None:
    class Endless(io.RawIOBase):
        def __init__(self, size: int) -> None:
            self.left, self.splat = size, joined(stamp(warning("a_bug", 1)))
            self.clean = joined(FILLER) * 100

        def read(self, size: int = -1) -> bytes:
            if self.left <= 0:
                return b""
            self.left -= len(self.clean)
            data, self.splat = self.splat + self.clean, b""
            return data

    tracemalloc.start()
    began = time.perf_counter()
    found = list(iter_splats(Endless(30_000_000)))  # type: ignore[arg-type]
    spent = time.perf_counter() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [splat.title for splat in found] == ["WARNING in a_bug"]
    assert peak < 8_000_000
    assert spent < 20


# What comes again and again, how much of it in MB, and how many MB that may take.
ENDLESS: dict[str, tuple[Callable[[int], bytes], float, float]] = {
    "headers that join": (lambda at: b"[   12.000000] kernel BUG at a.c:1!\n", 1, 0.7),
    "CPUs that answer": (
        lambda at: b"[   12.000000][%6s] NMI backtrace for cpu 1\n" % (b"C%d" % at),
        1,
        0.7,
    ),
    "long lines": (
        lambda at: b"[   12.000000][%6s]  f+0x1/0x2 %b\n" % (b"T%d" % (at % 60), b"x" * 1900),
        16,
        12,
    ),
    "callers": (
        lambda at: b"[   12.000000][%6s] BUG: KFENCE: read in f%d+0x1/0x2\n" % (b"T%d" % at, at),
        0.5,
        5,
    ),
}


@pytest.mark.parametrize(("line", "given", "limit"), ENDLESS.values(), ids=ENDLESS)
def test_an_endless_report_costs_no_memory(
    line: Callable[[int], bytes], given: float, limit: float
) -> None:
    begin = [
        *(b"[   12.000000][%6s] BUG: KFENCE: read in f\n" % (b"T%d" % at) for at in range(60)),
        b"[   12.000000][    C0] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\n",
        b"[   12.000000] list_del corruption. prev->next should be 1\n",
    ]
    lines = itertools.chain(begin, map(line, itertools.count()))

    class Endless(io.RawIOBase):
        left = int(given * 1e6)

        def read(self, size: int = -1) -> bytes:
            data = b"".join(itertools.islice(lines, 50)) if self.left > 0 else b""
            self.left -= len(data)
            return data

    tracemalloc.start()
    for _ in iter_splats(Endless()):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < limit * 1e6


@pytest.mark.parametrize("caller", ["", "[   T12]"])
def test_a_leak_that_userspace_reads_from_kmemleak_is_the_kernels_word(caller: str) -> None:
    leak = (
        "unreferenced object 0xffff888101234560 (size 64):\n"
        '  comm "sh", pid 12, jiffies 4294943254\n'
        "  hex dump (first 32 bytes):\n"
        "    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................\n"
        "  backtrace (crc 45a1f6b0):\n"
        "    [<00000000a1b2c3d4>] __kmalloc_cache_noprof+0x1/0x2\n"
        "    [<00000000a1b2c3d5>] lose_{}+0x1/0x2\n"
        "    [<00000000a1b2c3d6>] caller+0x1/0x2\n\n"
    )
    said = "".join(f"[   12.00000{at}]{caller} usb 1-{at}: new device\n" for at in range(9))
    log = (
        said + "BUG: memory leak\n" + leak.format("one") + "BUG: memory leak\n" + leak.format("two")
    )
    splats = find_splats((log + "$ done\n" + said).encode())
    assert [(s.type.value, s.function) for s in splats] == [
        ("MEMORY_LEAK", "lose_one"),
        ("MEMORY_LEAK", "lose_two"),
    ]
    assert [s.corrupted for s in splats] == [False, False]
    assert all(s.trace[1:] and s.text.endswith("caller+0x1/0x2") for s in splats)


@pytest.mark.parametrize("caller", [b"", b"[   T82]"])
@pytest.mark.parametrize("between", [b"# cat /sys/kernel/debug/kmemleak\n", b"BUG: memory leak\n"])
def test_what_kmemleak_announces_and_userspace_then_reads_is_one_complaint(
    caller: bytes, between: bytes
) -> None:
    log = (
        b"[   12.000000]"
        + caller
        + b" kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)\n"
        + between
        + b"unreferenced object 0xffff888101234560 (size 64):\n"
        b'  comm "sh", pid 12, jiffies 4294943254\n'
        b"  backtrace:\n"
        b"    [<00000000a1b2c3d4>] kmalloc_trace+0x1/0x2\n"
        b"    [<00000000a1b2c3d5>] lose_it+0x1/0x2\n"
    )
    (splat,) = find_splats(log)
    assert (splat.type, splat.function, splat.start) == (SplatType.MEMORY_LEAK, "lose_it", 0)
