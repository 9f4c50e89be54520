"""What kernel logs are made of, for tests that put logs together as no kernel would."""

from __future__ import annotations

import random
from pathlib import Path

DATA = Path(__file__).parents[1] / "data" / "dmesg"


def _reports() -> list[tuple[bytes, ...]]:
    texts = [path.read_bytes() for path in sorted(DATA.rglob("*.reports"))]
    parts = [part for text in texts for part in text.split(b"\n%% ")[1:]]
    return [tuple(part.split(b"\n")[1:]) for part in parts]


# The reports of the unit tests, as their lines without prefixes.
REPORTS = _reports()
# Each line once: for whoever takes one by chance, rare lines are as likely as common ones.
LINES = sorted({line for report in REPORTS for line in report if line})
# Before a line; a %d is a time, of which the microseconds are always the same.
PREFIXES = (
    b"",
    b"[%5d.345678] ",
    b"[%5d.345678][   T99] ",
    b"[%5d.345678][    C1] ",
    b"[%5d.345678] [    C0] ",
    b"<4>[%5d.345678] ",
    b"<4>",
    b"4,12,%d345678,-;",
    b"4,12,%d345678,-,caller=T99;",
    b"kern  :warn  : [%5d.345678] ",
    b"Nov  3 10:11:12 box kernel: [%5d.345678] ",
    b"2026-11-03T10:11:12.345678+00:00 box kernel: ",
    b"[Mon Nov  3 10:11:12 2026] ",
)
ENDS = (b"\n", b"\n", b"\n", b"\r\n", b"", b" \n", b"\n\n")
# What else a console may carry, and what a reader may trip over.
JUNK = (
    b"\x1b[31m",
    b"\x1b[",
    b"\x1b]0;title\x07",
    b"\x1b]",
    b"\x1bP",
    b"\x9b31m",
    b"\xc2\x9b31m",
    b"\0",
    b"\x7f",
    b"\xff\xfe",
    b"\xe2\x80\xae",
    b"\r",
    b"\n",
    b"[",
    b"[    1.000000] ",
    b"[    1.000000",
    b"<4>",
    b" [#1]",
    b": ",
    b"WARNING: ",
    b"BUG: ",
    b"BUG: KASAN: use-after-free in x+0x1/0x2\n",
    b"[    1.000000] Kernel panic - not syncing: kernel: panic_on_warn set\n",
    b"[    1.000000] Kernel panic - not syncing: Fatal exception\n",
    b"Kernel panic - not syncing: ",
    b"[    1.000000] Oops: 0000 [#1] SMP\n",
    b"[    1.000000] Linux version 6.12\n",
    b"[    1.000000] reboot: Restarting system\n",
    b"[    1.000000] rcu: INFO: rcu_sched self-detected stall on CPU\n",
    b"NMI backtrace for cpu 1\n",
    b"[    1.000000] usb 1-1: new high-speed USB device\n",
    b"WARNING: [a] b:1 at c+0x1, CPU#1: d/e/2\n",
    b"Call Trace:\n",
    b" f+0x1/0x2 a/b.c:1 [inline]\n",
    b" f (a/b.c:1)\n",
    b"x" * 3000,
    b"y" * 9000,
    b" " * 100,
)


def some_prefix(dice: random.Random) -> bytes:
    """A line's beginning, at a time that the next one's is likely to be near."""
    prefix = dice.choice(PREFIXES)
    when = dice.choice((12, 12, 12, 13, 14, 50, 0, 99999))
    return prefix % when if b"%" in prefix else prefix


def mutated(log: bytes, dice: random.Random) -> bytes:
    """The log with one thing changed in the way in which consoles change logs."""
    lines = log.splitlines(keepends=True) or [b""]
    at = dice.randrange(len(lines))
    line = lines[at]
    cut = dice.randrange(len(line) + 1)
    match dice.randrange(9):
        case 0:  # lost
            del lines[at : at + dice.randrange(1, 4)]
        case 1:  # cut, and glued to the next
            lines[at] = line[:cut]
        case 2:  # something else in the middle
            lines[at] = line[:cut] + dice.choice(JUNK) + line[cut:]
        case 3:  # a line of another report
            lines.insert(at, some_prefix(dice) + dice.choice(LINES) + dice.choice(ENDS))
        case 4:  # a whole report
            prefix, end = some_prefix(dice), dice.choice(ENDS)
            lines[at:at] = [prefix + said + end for said in dice.choice(REPORTS)]
        case 5:  # printed again
            lines += lines[at : at + dice.randrange(1, 30)]
        case 6:  # another prefix from here on
            prefix = some_prefix(dice)
            rest = [old.rpartition(b"] ")[2] for old in lines[at : at + dice.randrange(1, 30)]]
            lines[at : at + len(rest)] = [prefix + said for said in rest]
        case 7:  # two CPUs at a time
            other = [some_prefix(dice) + said + b"\n" for said in dice.choice(REPORTS)]
            mixed = [line for pair in zip(lines[at:], other, strict=False) for line in pair]
            lines[at : at + len(mixed) // 2] = mixed
        case _:  # the same again and again
            lines[at:at] = [line] * dice.randrange(2, 40)
    return b"".join(lines)
