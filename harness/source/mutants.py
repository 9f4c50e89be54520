"""Reading mutants: seeded bugs, each one small patch on top of a whole series (docs/mutants.md)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.model import Patch, Series, Value
from harness.source.series import read_patch

# What a cell's text form and a file name can hold; a number would name a step of the series.
_NAME = re.compile(r"(?!\d+$)[A-Za-z0-9][A-Za-z0-9._-]*")
_ENVELOPE = re.compile(rb"\AFrom .*\n")


class Mutant(Value):
    """One seeded bug.

    series: on top of which series, empty if the patch doesn't say; suspects: the scenarios that
    are expected to kill it; arch: the one architecture where it is a bug, empty if any.
    """

    name: str
    path: Path
    patch: Patch
    series: str
    suspects: tuple[str, ...]
    arch: str = ""

    def on(self, series: Series) -> Series:
        """Return the series with the bug on top of it."""
        patch = msgspec.structs.replace(self.patch, number=len(series.patches) + 1)
        return msgspec.structs.replace(series, patches=(*series.patches, patch), mutant=self.name)


def read_mutants(folder: Path, names: Sequence[str], series: Sequence[str]) -> list[Mutant]:
    """Read the mutants of a folder and its sub-folders, those of these names or else all.

    names: file names without .patch, or paths; series: names that a sub-folder may have to say
    on top of which series its mutants are.  UserError if one can't be read or is not there.
    """
    if not folder.is_dir():
        raise _bad(folder, "there is no such folder", "name one with --dir")
    paths = sorted(folder.rglob("*.patch"))
    chosen = [_find(name, paths) for name in names] if names else paths
    if not chosen:
        raise _bad(folder, "there is no *.patch in it", "name another folder with --dir")
    return [_read(path, series) for path in dict.fromkeys(chosen)]


def read_mutant(path: Path) -> Mutant:
    """Read one mutant by the path of its file."""
    return _read(path, ())


def _find(name: str, paths: Sequence[Path]) -> Path:
    found = [path for path in paths if name in (path.stem, path.name)]
    if not found and Path(name).is_file():
        return Path(name)
    if len(found) != 1:
        came = f"{len(found)} have that name" if found else "there is none"
        known = ", ".join(path.stem for path in paths)
        raise UserError(f"looking up the mutant {name!r}", came, f"use a path, or of: {known}")
    return found[0]


def _read(path: Path, series: Sequence[str]) -> Mutant:
    if not _NAME.fullmatch(path.stem):
        raise _bad(path, "letters, digits and -._ make a mutant's name, but no number alone")
    try:
        data = path.read_bytes()
        patch = read_patch(path, 1, path.name)
    except OSError as error:
        raise _bad(path, str(error)) from error
    header: Message = message_from_bytes(_ENVELOPE.sub(b"", data))
    suspects = re.split(r"[,\s]+", str(header.get("Suspect", "")).strip())
    folder = path.parent.name
    return Mutant(
        name=path.stem,
        path=path.resolve(),
        patch=patch,
        series=str(header.get("Series", folder if folder in series else "")).strip(),
        suspects=tuple(name for name in suspects if name),
        arch=str(header.get("Arch", "")).strip(),
    )


def _bad(path: Path, why: str, do: str = "see docs/mutants.md") -> UserError:
    return UserError(f"reading the mutant {path}", why, do)
