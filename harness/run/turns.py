"""Which scenarios may run at a time: most side by side, some alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Condition


class Turns:
    """Lets threads wait for their turn.

    alone: the names of what is to have nothing beside it; that goes before what can be shared.
    """

    def __init__(self, alone: Sequence[str]) -> None:
        self._names = alone
        self._waiting = 0
        self._running: list[bool] = []
        self._news = Condition()

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Wait until this may run, and keep others waiting accordingly until the body has run."""
        alone = name in self._names
        with self._news:
            self._waiting += alone
            self._news.wait_for(lambda: self._may_run(alone))
            self._waiting -= alone
            self._running.append(alone)
        try:
            yield
        finally:
            with self._news:
                self._running.remove(alone)
                self._news.notify_all()

    def _may_run(self, alone: bool) -> bool:
        if alone:
            return not self._running
        return not self._waiting and True not in self._running
