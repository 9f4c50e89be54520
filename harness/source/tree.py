"""Our copy of a base, and bringing it to a state of a series by writing only what differs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from harness.errors import UserError
from harness.model import Value


class File(Value):
    """One file of a source tree: content (a symbolic link's is its target) and what git tracks."""

    content: bytes
    executable: bool = False
    link: bool = False


class _Kept(Value):
    path: str
    file: File | None


class Tree:
    """Our copy of a base in folder/source, with the pristine files that we changed in folder/kept.

    A file is kept before it is first written, so that a sync which is killed half-way loses
    nothing: the next one sees the same pristine files and compares every byte again.  The caller
    holds the tree's lock.
    """

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self._kept = folder / "kept"

    def pristine(self, path: str) -> File | None:
        """Read a file as the base has it, whatever state the tree is in; None: not there."""
        try:
            data = self._kept_file(path).read_bytes()
        except FileNotFoundError:
            return read_file(self.source, path)
        return msgspec.msgpack.decode(data, type=_Kept).file

    def sync(self, overlay: Mapping[str, File | None]) -> tuple[str, ...]:
        """Make the tree the base plus overlay; return the paths whose content changed.

        Other files keep their modification time: kbuild rebuilds what depends on a change only.
        """
        self._keep(overlay)
        wanted = {kept.path: kept.file for kept in self._all_kept()} | dict(overlay)
        changed = [path for path, file in sorted(wanted.items()) if self._write(path, file)]
        return tuple(changed)

    def _keep(self, paths: Mapping[str, File | None]) -> None:
        self._kept.mkdir(exist_ok=True)
        for path in paths:
            target = self._kept_file(path)
            if not target.exists():
                kept = _Kept(path=path, file=read_file(self.source, path))
                half = target.with_suffix(".half")
                with half.open("wb") as file:
                    file.write(msgspec.msgpack.encode(kept))
                    file.flush()
                    os.fsync(file.fileno())
                half.rename(target)

    def _all_kept(self) -> Iterator[_Kept]:
        for file in sorted(self._kept.glob("*.kept")):
            yield msgspec.msgpack.decode(file.read_bytes(), type=_Kept)

    def _kept_file(self, path: str) -> Path:
        name = hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()
        return self._kept / f"{name}.kept"

    def _write(self, path: str, file: File | None) -> bool:
        if read_file(self.source, path) == file:
            return False
        target = self.source / path
        # Never written through: a link in the tree may point anywhere.
        target.unlink(missing_ok=True)
        if file is not None:
            write_file(self.source, path, file)
        return True


def read_file(root: Path, path: str) -> File | None:
    """Read a file below root; None if it is not there, UserError if path leads out of root."""
    target = _below(root, path)
    if target.is_symlink():
        return File(content=os.fsencode(target.readlink()), link=True)
    try:
        return File(content=target.read_bytes(), executable=os.access(target, os.X_OK))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError as error:
        raise UserError(f"patching {path}", "the base has a folder of that name") from error


def write_file(root: Path, path: str, file: File) -> None:
    """Write a file below root where nothing is yet."""
    target = _below(root, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.link:
        target.symlink_to(os.fsdecode(file.content))
    else:
        target.write_bytes(file.content)
        target.chmod(0o755 if file.executable else 0o644)


def _below(root: Path, path: str) -> Path:
    """Join root and path, if that stays inside: no `..`, no `.git`, no way through a link."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or {"..", ".git"} & set(parts):
        raise UserError(f"patching {path!r}", "this path leads out of the source tree")
    folder = root
    for part in parts[:-1]:
        folder = folder / part
        if folder.is_symlink():
            raise UserError(f"patching {path!r}", f"{part} is a symbolic link, not a folder")
    return folder / parts[-1]
