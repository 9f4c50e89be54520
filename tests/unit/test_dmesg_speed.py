"""The short cuts that make reading fast: they change nothing in what is read."""

from __future__ import annotations

import io
import random
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from test_dmesg_headers import LINES

from harness.dmesg import find_splats, iter_splats, tracker
from harness.dmesg.lines import IN_REPORT, in_report
from harness.dmesg.runs import find_run
from harness.dmesg.table import KINDS, TRIGGERS, find_kind, find_triggers
from tests.bench import logs
from tests.fuzz.grammar import PREFIXES
from tests.fuzz.properties import read_singly

DATA = Path(__file__).parent.parent / "data" / "dmesg"
SAID = [
    line.encode()
    for path in sorted(DATA.glob("*.reports"))
    for line in path.read_text().split("\n")
    if line and not line.startswith(("%%", "# "))
]
# Of all formats, most lines are printk's own.
STYLES = (
    *(prefix.replace(b"%5d", b"   12").replace(b"%d", b"12") + b"%b\n" for prefix in PREFIXES),
    b"[   12.345678][   T99] %b\n",
    b"[   12.345678][    C1] %b\n",
    b"<4>[   12.345679] %b\n",
    b"[   12.345678] %b\r\n",
    b"[   12.345678] \x1b[31m%b\x1b[0m\n",
    b"[   99.345678] %b  \n",
    b"4,1234,99345678,-,caller=C1,flag;%b\n",
    b"May  3 10:11:12 box kernel: [   12.345678][    C1] %b\n",
    b"May  3 10:11:12 box kernel: %b\n",
    b"[Mon Nov  3 10:11:12 2026] [   T99] %b\n",
    b"%b",
)
SPOILERS = (b"\x1b[1m", b"\n", b"\r", b"[   12.345678] ", b" ", b"\0", b"[", b"\xff", b"x" * 3000)


def spoiled(line: bytes, dice: random.Random) -> bytes:
    chance = dice.random()
    at = dice.randrange(len(line) + 1)
    if chance < 0.05:
        return line[:at] + dice.choice(SPOILERS) + line[at:]
    return line[:at] if chance < 0.08 else line


def some_log(dice: random.Random) -> bytes:
    style, mixed = dice.choice(STYLES), dice.random() < 0.5
    at = dice.randrange(len(SAID))
    log = []
    for said in SAID[at : at + dice.randrange(1, 150)]:
        line = dice.choice(SAID) if mixed and dice.random() < 0.2 else said
        style = dice.choice(STYLES) if mixed and dice.random() < 0.1 else style
        log.append(spoiled(style % line, dice))
    return b"".join(log)


@pytest.mark.parametrize("seed", range(20))
def test_reading_whole_runs_of_lines_changes_nothing(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(15):
        log = some_log(dice)
        assert find_splats(log) == read_singly(log)
        console = log.replace(b"\n", b"\r\n")
        assert find_splats(console) == read_singly(console)


@pytest.mark.parametrize("make", [logs.short_reports, logs.long_reports])
def test_a_log_that_is_nothing_but_reports_is_read_the_same(make: Any) -> None:
    log = make(100_000)
    splats = find_splats(log)
    assert len(splats) > 20 and splats == read_singly(log)


@pytest.mark.parametrize("line", [line for _, line in LINES])
def test_every_header_has_a_trigger(line: str) -> None:
    assert any(word in line.encode() for word in TRIGGERS)


def test_all_rows_at_once_find_what_one_by_one_would() -> None:
    for said in [*SAID, *(line.encode() for _, line in LINES)]:
        first = next((kind for kind in KINDS if kind.pattern.match(said)), None)
        found = find_kind(said)
        assert (found[0] if found else None) is first


def test_a_run_has_only_lines_that_look_like_a_report() -> None:
    pattern = re.compile(IN_REPORT)
    for said in SAID:
        if said[0] not in b"-=":
            assert (pattern.match(said + b"\n") is not None) == in_report(said), said


def test_the_search_finds_every_word_wherever_it_is() -> None:
    filler = logs.clean(20_000)
    assert list(find_triggers(filler)) == []
    for word in TRIGGERS:
        for at in (0, 7_000, len(filler)):
            assert at in find_triggers(filler[:at] + word + filler[at:])


def test_one_splat_in_the_middle_of_a_big_log_costs_no_memory() -> None:
    tracemalloc.start()
    splats = list(iter_splats(logs.Stream(40_000_000, logs.one_splat())))  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [splat.type.value for splat in splats] == ["WARNING"]
    assert 19_000_000 < splats[0].start < 23_000_000
    assert peak < 12_000_000


def test_a_splat_is_known_before_the_log_ends() -> None:
    log = logs.one_splat() + logs.clean(3_000_000)
    stream = io.BytesIO(log)
    next(iter_splats(stream))
    assert stream.tell() < len(log) / 2


@pytest.mark.parametrize("spoiler", [b"\x1b[1m", b" [    1.000001] ", b"oo"])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_run_that_has_to_be_read_singly_is_looked_at_once(
    spoiler: bytes, newline: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0

    def counted(*args: Any) -> Any:
        nonlocal looked
        looked += 1
        return find_run(*args)

    monkeypatch.setattr(tracker, "find_run", counted)
    header = b"[    1.000000] BUG: KASAN: use-after-free in f+0x1/0x2\n"
    frame = b"[    1.000000]  foo+0x1/0x2\n"
    log = header + frame * 1000 + frame.replace(b"oo", spoiler) + frame * 1000
    find_splats(log.replace(b"\n", newline))
    assert looked <= 4


@pytest.mark.parametrize(
    "log",
    [
        b"<4>list_add corruption. a\n<4> ?\n f+0x85/0x130\n",
        b"4,1,2345678,-;UBSAN: a in b.c:7:1\n4,1,2345679,-,ca\x1b[1mller=C1,flag; </TASK>\n",
        b"[    1.000000] Insufficient stack space to handle exception!\n"
        b"[    1.000000] pc : f+0x9/0x20[    1.000000] \n",
        b"[1.000000]WARNING: possible recursive locking detected\n[1.000000]<4>/9 is\n",
        b"[1.000000][T1]BUG: KASAN: use-after-free in f\n[1.000000][T1]CPU: 1\n"
        b"[1.000000][T1] <4>/9 is\n",
        b"kern:info : BUG: KASAN: use-after-free in f\n"
        b"kern:info : [Mon Nov  3 10:11:12 2026] /9 is\n",
    ],
)
def test_what_a_fuzzer_found(log: bytes) -> None:
    assert find_splats(log) == read_singly(log)


def test_no_run_is_looked_for_in_blank_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    places = []
    monkeypatch.setattr(
        tracker,
        "find_run",
        lambda block, at, stop: places.append(block[at]) or find_run(block, at, stop),
    )
    find_splats(b"[    1.000000] BUG: KASAN: use-after-free in f\n" + b"\n" * 50 + b" x\n")
    assert b"\n"[0] not in places
