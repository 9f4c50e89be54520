"""Signs of life during long work: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from harness.report.text import line
from harness.source.progress import Progress

HEARTBEAT = 15.0

# A report of progress may not stop the work: whoever reads it may have gone away.
_DEAF = (OSError, ValueError)


def progress(console: Console, every: float = HEARTBEAT) -> AbstractContextManager[Progress]:
    """Return a Progress for this console, to be used from any thread.

    every: seconds between two lines where there is no terminal.
    """
    # FORCE_COLOR makes rich call a CI log a terminal; only the file itself knows.
    tty = console.is_interactive and console.file.isatty()
    return _bar(console) if tty else _heartbeat(console, every)


@contextmanager
def _bar(console: Console) -> Iterator[Progress]:
    bar = Bar(
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        expand=True,
    )
    with bar:
        shown = _Bar(bar)
        try:
            yield shown
        finally:
            shown.finish()


class _Bar:
    """One bar for the current step; a line stays behind of each that is done."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._lock = threading.Lock()
        self._step: _Step | None = None
        self._task = TaskID(0)

    def step(self, label: str, total: int | None) -> None:
        with self._lock, suppress(*_DEAF):
            self._finish()
            self._step = _Step(label, total)
            self._task = self._bar.add_task(self._step.label, total=total)

    def advance(self, n: int) -> None:
        with self._lock, suppress(*_DEAF):
            if self._step is not None:
                self._step.done += n
                self._bar.advance(self._task, n)

    def note(self, text: str) -> None:
        with suppress(*_DEAF):
            self._bar.console.print(Text(line(text, 1000)), highlight=False)

    def finish(self) -> None:
        with self._lock, suppress(*_DEAF):
            self._finish()

    def _finish(self) -> None:
        if self._step is not None:
            self._bar.remove_task(self._task)
            said = Text(f"{_clock(self._step.started)}  {self._step}", style="dim")
            self._bar.console.print(said, highlight=False, no_wrap=True, overflow="ellipsis")
            self._step = None


@contextmanager
def _heartbeat(console: Console, every: float) -> Iterator[Progress]:
    shown = _Heartbeat(console)
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(every):
            shown.beat(every)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield shown
    finally:
        stop.set()
        thread.join()


class _Heartbeat:
    """Plain lines, each with the time since the work began."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._began = self._last = time.monotonic()
        self._step: _Step | None = None

    def step(self, label: str, total: int | None) -> None:
        with self._lock:
            self._step = _Step(label, total)
            self._say(str(self._step))

    def advance(self, n: int) -> None:
        with self._lock:
            if self._step is not None:
                self._step.done += n

    def note(self, text: str) -> None:
        with self._lock:
            self._say(line(text, 1000))

    def beat(self, every: float) -> None:
        """Say where the step is, unless a line was said just now."""
        with self._lock:
            if self._step is not None and time.monotonic() - self._last > every / 2:
                self._say(f"{self._step}, {_clock(self._step.started)}")

    def _say(self, text: str) -> None:
        with suppress(*_DEAF):
            self._last = time.monotonic()
            # Not through rich, which ends the process if nobody reads any more.
            said = f"[{_clock(self._began):>7}] {text}\n"
            encoding = self._console.encoding
            self._console.file.write(said.encode(encoding, "replace").decode(encoding))
            self._console.file.flush()


class _Step:
    """What is being done, and how far it is."""

    def __init__(self, label: str, total: int | None) -> None:
        self.label = line(label, 100)
        self.total = total
        self.done = 0
        self.started = time.monotonic()

    def __str__(self) -> str:
        if self.total is None:
            return f"{self.label}: {self.done}" if self.done else self.label
        return f"{self.label}: {self.done}/{self.total}"


def _clock(since: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - since), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
