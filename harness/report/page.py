"""A terminal, or a log, that is given text only."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

# What rich takes for the width of what is no terminal is too narrow for the table, and a log
# has no width.
_LOG_WIDTH = 100
_ASCII = str.maketrans(
    {"–": "-", "→": ">", "…": "~", "×": "x", "✓": "+", "✗": "x", "·": ".", "\ufffd": "?"}
)


class Page:
    """A console that is given text only, never markup."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tty = console.is_terminal
        self._ascii = not console.encoding.lower().startswith("utf")
        self.width = console.width if self._tty else max(console.width, _LOG_WIDTH)

    def say(self, text: Text, indent: int = 0, hang: int = 0) -> None:
        """Print prose: wrapped with a hanging indent on a terminal, one line in a log."""
        room = self.width - indent - hang
        wrap = self._tty and len(text) > self.width - indent and room > 20
        parts = text.wrap(self._console, room) if wrap else [text]
        for number, part in enumerate(parts):
            left = indent + (hang if number else 0)
            part.rstrip()
            self.lines([Text(" " * left).append_text(part)])

    def raw(self, text: str) -> None:
        """Print what may be copied: never wrapped by us."""
        self.lines([Text(text, style="dim")])

    def gap(self) -> None:
        self.lines([Text()])

    def lines(self, lines: Iterable[Text]) -> None:
        for text in lines:
            if self._ascii:
                text.plain = text.plain.translate(_ASCII).encode("ascii", "replace").decode()
            self._console.print(text, soft_wrap=True, highlight=False)
