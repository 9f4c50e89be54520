"""The build cache: whatever is built is named by the hash of what made it.

CACHE/tmp/            half-made entries, which go with the run that makes them
CACHE/KIND/KEY/       finished entries: complete, never changed
CACHE/tree/BASE/      our copy of a base and its object trees, under a lock (kernel.py)
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from harness import lifetime
from harness.errors import InfraError, UserError
from harness.source.unpack import full_disk


def default_folder() -> Path:
    """NOREF_CACHE, else `noref` in the user's cache folder."""
    if named := os.environ.get("NOREF_CACHE"):
        return Path(named).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "noref"


def key_of(*parts: object) -> str:
    """Hash what makes an entry: text, numbers, bytes, and tuples or lists of them."""
    return hashlib.sha256(msgspec.msgpack.encode(parts)).hexdigest()[:32]


class Cache:
    """A folder of finished entries, shared by any number of runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tmp = folder / "tmp"
        if re.search(r"[\s:]", str(folder)):
            raise UserError(
                f"using the build cache {folder}",
                "kbuild can't work in a folder whose path has a space or a colon",
                "name another folder with NOREF_CACHE",
            )
        try:
            self.tmp.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"making the build cache {folder}",
                str(error.strerror),
                "name another folder with NOREF_CACHE",
            ) from error

    def find(self, kind: str, key: str) -> Path | None:
        """The folder of a finished entry, or None."""
        path = self.folder / kind / key
        return path if path.is_dir() else None

    def entry(self, kind: str, key: str, make: Callable[[Path], None]) -> Path:
        """The folder of an entry; if it isn't there, make fills it, unseen until it is complete.

        make gets an empty folder on the same file system, which ends with this process unless
        make returns.  Where two runs make the same entry, the first one's stays.
        """
        if found := self.find(kind, key):
            return found
        final = self.folder / kind / key
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with lifetime.scratch(self.tmp) as scratch:
                half = scratch / "entry"
                half.mkdir()
                make(half)
                _flush(half)
                _rename(half, final)
        except OSError as error:
            tried = f"storing a {kind} in the build cache {self.folder}"
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise full_disk(tried, self.folder) from error
            raise InfraError(tried, str(error), "check the folder") from error
        return final


def _rename(half: Path, final: Path) -> None:
    try:
        half.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _flush(folder: Path) -> None:
    """Put files on the disk before the rename that shows them: a power cut is a kill too."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
