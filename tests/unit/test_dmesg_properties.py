"""What is true of the splats of any log, however broken."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.dmesg import clean_text, find_splats
from tests.fuzz.grammar import ENDS, JUNK, LINES, PREFIXES, REPORTS, mutated
from tests.fuzz.properties import checked, gist, read_in_chunks

MANY = settings(max_examples=150, deadline=None)
JUNKS = st.sampled_from(JUNK)
SAID = st.one_of(st.sampled_from(LINES), JUNKS, st.binary(max_size=40))
RAW = st.tuples(st.sampled_from(PREFIXES), SAID, st.sampled_from(ENDS))
DICE = st.integers(0, 2**32).map(random.Random)


def at_time(when: int, prefix: bytes) -> bytes:
    return prefix % when if b"%" in prefix else prefix


@st.composite
def broken_lines(draw: st.DrawFn) -> bytes:
    """Lines, each with a prefix and an end of its own."""
    lines = draw(st.lists(RAW, max_size=40))
    return b"".join(at_time(12, prefix) + said + end for prefix, said, end in lines)


@st.composite
def broken_reports(draw: st.DrawFn) -> bytes:
    """Whole reports, and then some of what consoles do to them."""
    dice = draw(DICE)
    prefix, end = at_time(12, dice.choice(PREFIXES)), dice.choice(ENDS)
    reports = dice.choices(REPORTS, k=dice.randrange(1, 4))
    log = b"".join(prefix + line + end for report in reports for line in report)
    for _ in range(dice.randrange(12)):
        # One line, repeated each time, would be all of the memory that there is.
        log = mutated(log, dice)[:50_000]
    return log


LOGS = st.one_of(broken_lines(), broken_reports())


@MANY
@given(st.binary(max_size=2000))
def test_any_bytes_are_a_log(log: bytes) -> None:
    checked(log)


@settings(MANY, max_examples=400)
@given(LOGS)
def test_any_mixture_of_lines_gives_places_and_clean_texts(log: bytes) -> None:
    checked(log)


@MANY
@given(LOGS, st.integers(1, 400))
@example(b"[    1.000000] BUG: KASAN: use-after-free in f+0x1/0x2\r\n", 55)
@example(b"4,12,12345678,-;[    1.000000] Linux version 6.12\n\n[   12.345678] ^\n", 1)
def test_how_a_stream_is_cut_makes_no_difference(log: bytes, size: int) -> None:
    assert read_in_chunks(log, size) == find_splats(log)


@MANY
@given(LOGS)
def test_carriage_returns_make_no_difference(log: bytes) -> None:
    assert gist(find_splats(log.replace(b"\n", b"\r\n"))) == gist(find_splats(log))


@MANY
@given(st.lists(RAW, max_size=40))
def test_the_time_makes_no_difference(lines: list[tuple[bytes, bytes, bytes]]) -> None:
    def log(when: int) -> bytes:
        return b"".join(at_time(when, prefix) + said + end for prefix, said, end in lines)

    # Only of lines that have their own times: in JUNK are some more.
    lines = [line for line in lines if b".00000" not in line[1]]
    assert gist(find_splats(log(12))) == gist(find_splats(log(54321)))


@MANY
@given(DICE, st.sampled_from(PREFIXES), st.sampled_from(PREFIXES))
def test_the_format_makes_no_difference(dice: random.Random, one: bytes, two: bytes) -> None:
    reports = dice.sample(REPORTS, k=dice.randrange(1, 4))
    # Each at a time of its own: the same line at the same time is a line that is replayed.
    lines = [(when, line) for when, report in enumerate(reports, 12) for line in report]

    def log(prefix: bytes) -> bytes:
        return b"".join(at_time(when, prefix) + line + b"\n" for when, line in lines)

    assert gist(find_splats(log(one))) == gist(find_splats(log(two)))


@given(st.binary(max_size=300), st.integers(-1, 200))
def test_clean_text_is_printable_and_bounded(data: bytes, limit: int) -> None:
    text = clean_text(data, limit)
    assert len(text) <= max(limit, 0)
    assert all(char.isprintable() or char in "\n\t" or ord(char) > 0x9F for char in text)


@pytest.mark.parametrize("junk", JUNK)
def test_what_a_reader_may_trip_over_is_harmless_in_every_place(junk: bytes) -> None:
    report = b"".join(b"[   12.345678] " + line + b"\n" for line in REPORTS[0])
    for at in range(0, len(report), 7):
        checked(report[:at] + junk + report[at:])


@pytest.mark.parametrize("size", [1, 1000, 8191, 8193, 20_000])
def test_a_line_without_end_is_cut_at_the_same_places_however_it_is_read(size: int) -> None:
    log = b"".join(b"[   12.345678] " + line for line in REPORTS[0]) * 30
    assert len(log) > 20_000
    assert read_in_chunks(log, size) == find_splats(log) != ()


def test_a_tab_in_a_task_is_a_space() -> None:
    (splat,) = find_splats(b"a\tb invoked oom-killer: x\n f+0x1/0x2\n")
    assert splat.task == "a b"


def test_a_number_that_is_none_of_the_kernels_is_left_out() -> None:
    huge = b"9" * 30
    line = b"WARNING: CPU: %b PID: %b at a.c:%b f+0x1/0x2\n f+0x1/0x2\n" % (huge, huge, huge)
    (splat,) = find_splats(line)
    assert (splat.pid, splat.cpu, splat.line) == (None, None, None)
    checked(line)
