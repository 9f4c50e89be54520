"""How long work tells that it is alive; the command line renders it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told what is going on; must return at once and never raise."""

    def step(self, label: str, total: int | None) -> None:
        """A new step begins; total: how many advances are expected, None where nobody knows."""

    def advance(self, n: int) -> None:
        """n more parts of the current step are done."""

    def note(self, text: str) -> None:
        """One line for the reader, in the middle of a step."""


class Silent:
    """A Progress that tells nobody."""

    def step(self, label: str, total: int | None) -> None:
        """Say nothing."""

    def advance(self, n: int) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""
