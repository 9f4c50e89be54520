"""Progress: a bar where somebody watches, lines where a log is kept, and never an exception."""

from __future__ import annotations

import io
import re
import threading
import time

import pytest
from rich.console import Console

from harness.report.progress import progress


def still(text: str) -> list[str]:
    """Return the lines with every clock set to zero: a busy machine may take a second."""
    return re.sub(r"\d:\d\d:\d\d", "0:00:00", text).splitlines()


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_at_each_step_and_each_note() -> None:
    file = io.StringIO()
    with progress(Console(file=file, width=40)) as shown:
        shown.step("building base", 970)
        shown.advance(3)
        shown.note("emulated: there is no /dev/kvm, which is [bold]a pity[/bold]")
        shown.step("booting", None)
    assert still(file.getvalue()) == [
        "[0:00:00] building base: 0/970",
        "[0:00:00] emulated: there is no /dev/kvm, which is [bold]a pity[/bold]",
        "[0:00:00] booting",
    ]


def test_a_log_has_a_heartbeat_also_while_nothing_advances() -> None:
    file = io.StringIO()
    with progress(Console(file=file), every=0.1) as shown:
        shown.step("building", 970)
        shown.advance(412)
        time.sleep(0.55)
    beats = still(file.getvalue())[1:]
    assert 1 <= len(beats) <= 5
    assert set(beats) == {"[0:00:00] building: 412/970, 0:00:00"}


def test_many_advances_make_no_more_lines() -> None:
    file = io.StringIO()
    with progress(Console(file=file)) as shown:
        shown.step("running", 1000)
        for _ in range(1000):
            shown.advance(1)
    assert len(file.getvalue().splitlines()) == 1


def test_force_color_makes_no_terminal_of_a_log() -> None:
    file = io.StringIO()
    with progress(Console(file=file, force_terminal=True, no_color=True)) as shown:
        shown.step("building", 2)
    assert still(file.getvalue()) == ["[0:00:00] building: 0/2"]


def test_a_terminal_gets_a_bar_with_notes_above_and_a_line_for_each_step_done() -> None:
    file = Tty()
    console = Console(file=file, width=80, force_terminal=True, no_color=True)
    with progress(console) as shown:
        shown.step("building base", 2)
        shown.note("[bold]note")
        shown.advance(2)
        shown.step("running [x]", None)
        shown.advance(1)
    text = file.getvalue()
    assert "[bold]note" in text
    assert "building base: 2/2" in text
    assert "running [x]: 1" in text
    assert "━" in text


@pytest.mark.parametrize("kind", [Tty, io.StringIO])
def test_two_threads_lose_no_advance(kind: type[io.StringIO]) -> None:
    file = kind()
    console = Console(file=file, width=80, force_terminal=kind is Tty, no_color=True)
    with progress(console, every=0.05) as shown:
        shown.step("running", 4000)

        def work() -> None:
            for _ in range(2000):
                shown.advance(1)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(0.2)
    assert "4000/4000" in file.getvalue()


def test_a_reader_who_went_away_stops_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with progress(Console(file=Gone())) as shown:
        shown.step("building", 2)
        shown.advance(1)
        shown.note("x")
