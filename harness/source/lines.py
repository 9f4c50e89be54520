"""Which patch of a series a source line comes from, by the patches alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from harness.model import Patch

_FILE = re.compile(r"^diff --git .*$|^--- .*$|^\+\+\+ (?P<path>\S+).*$")
_HUNK = re.compile(r"^@@ -(?P<old>\d+)(?:,(?P<olds>\d+))? \+(?P<new>\d+)(?:,(?P<news>\d+))? @@")


class _Hunk(NamedTuple):
    """old, new: where it begins; lines: its body, by the first character of each line."""

    old: int
    new: int
    lines: str


def line_owners(patches: Iterable[Patch]) -> Mapping[str, Mapping[int, int]]:
    """Return, for each file as the last patch leaves it, the patch number of each added line."""
    owners: dict[str, dict[int, int]] = {}
    for patch in patches:
        for path, hunks in _hunks(patch.diff.decode("utf-8", "replace")):
            owners[path] = _moved(owners.get(path, {}), hunks, patch.number)
    return owners


def _moved(owners: Mapping[int, int], hunks: Iterable[_Hunk], number: int) -> dict[int, int]:
    """Follow the owned lines of a file through a patch, and add the patch's own."""
    moved: dict[int, int] = {}
    shift, done = 0, 0
    for hunk in hunks:
        # A hunk that removes or adds nothing on a side names the line before it.
        old = hunk.old if " " in hunk.lines or "-" in hunk.lines else hunk.old + 1
        moved |= {line + shift: who for line, who in owners.items() if done < line < old}
        new = old + shift
        for kind in hunk.lines:
            if kind == "+":
                moved[new] = number
            elif kind == " " and old in owners:
                moved[new] = owners[old]
            old += kind in " -"
            new += kind in " +"
        shift, done = new - old, old - 1
    return moved | {line + shift: who for line, who in owners.items() if line > done}


def _hunks(diff: str) -> Iterator[tuple[str, list[_Hunk]]]:
    """Yield each file of a diff by its new name, with its hunks."""
    path, hunks = "", list[_Hunk]()
    lines = iter(diff.splitlines())
    for line in lines:
        if match := _HUNK.match(line):
            olds, news = (int(match[side] or 1) for side in ("olds", "news"))
            body = []
            while olds > 0 or news > 0:
                kind = (next(lines, "") or " ")[0]
                if kind not in " +-":
                    continue
                olds -= kind in " -"
                news -= kind in " +"
                body.append(kind)
            hunks.append(_Hunk(int(match["old"]), int(match["new"]), "".join(body)))
        elif match := _FILE.match(line):
            if hunks:
                yield path, hunks
                hunks = []
            if match["path"]:
                path = match["path"].partition("/")[2]
    if hunks:
        yield path, hunks
