"""Words that reports share, and the one way in which foreign text gets into them.

Evidence, splats and notes hold what a guest said: any characters, any length.  `line` and
`block` make bounded, printable text of it, without terminal escapes, characters that XML can't
hold, or those that turn the reading direction.  What escapes markup is each format's business.
"""

from __future__ import annotations

import shlex

from harness.dmesg import clean_text
from harness.model import Cell, Finding, Standing
from harness.run.boot import BOOT

LINE_LIMIT = 240


def line(text: str, limit: int = LINE_LIMIT) -> str:
    """Return one printable line of at most `limit` characters, `…` at its end if cut."""
    words = " ".join(_clean(text, limit + 1).split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


def block(text: str, limit: int) -> str:
    """Return printable lines of at most `limit` characters in all."""
    cleaned = _clean(text, limit + 1).strip("\n")
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + "…"


def _clean(text: str, limit: int) -> str:
    data = text[: 8 * limit + 1024].encode("utf-8", "replace")
    return "".join(
        char if char in "\n\t" or char.isprintable() else "\ufffd"
        for char in clean_text(data, limit)
    )


def command(cell: Cell, options: str = "") -> str:
    """Return the command line that runs that cell again; options: those that chose its kernel."""
    more = f" {line(options, 1000)}" if options else ""
    if cell.scenario == BOOT.name:
        # What the boot itself said is no cell that could run by itself.
        return (
            f"noref shell --kernel {shlex.quote(line(cell.kernel))} --mode {line(cell.mode)}{more}"
        )
    return f"noref run {shlex.quote(line(str(cell)))}{more}"


def standing(what: Standing) -> str:
    """Return a standing in words, a loss so that it is seen in a page without colour."""
    return "LOST" if what is Standing.lost else what.value


def place(cell: Cell) -> str:
    """Name what the cell did, and on which memory."""
    return line(f"{cell.scenario} on {cell.backing} by {cell.mapping}")


def claim(finding: Finding) -> str:
    """Say what a finding says, but not why."""
    words = "holds" if finding.standing is Standing.holds else f"is {standing(finding.standing)}"
    return f"{finding.prop.value} of {line(finding.memory)} memory {words}"


def duration(seconds: float) -> str:
    """Return wall time as a person says it: `0.4 s`, `57 s`, `8 min 32 s`, `1 h 02 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def count(number: int, one: str, many: str = "") -> str:
    """Return `1 finding`, `2 findings`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
