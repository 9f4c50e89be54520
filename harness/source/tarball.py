"""Looking into a kernel tarball: the hash of its content, and the top Makefile within."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.model import Value

# File suffix, and how tar(1) is told.  Python's tarfile knows no zstd before 3.14.
COMPRESSION = {"xz": "--xz", "gz": "--gzip", "zst": "--zstd", "bz2": "--bzip2", "tar": ""}
_CHUNK = 1 << 20


class Content(Value):
    """What a tarball holds; strip: how many folders of its names stand above the tree."""

    sha256: str
    strip: int
    makefile: str


def look_into(path: Path, memo: Path | None = None) -> Content:
    """Read a kernel tarball's content, or what memo remembers of the same path, size and time."""
    status = path.stat()
    identity = f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"
    name = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()
    remembered = memo / f"{name}.json" if memo is not None else None
    if remembered is not None:
        try:
            return msgspec.json.decode(remembered.read_bytes(), type=Content)
        except (FileNotFoundError, msgspec.DecodeError):
            pass  # Nothing remembered, or cut short by a power cut: read the tarball.
    strip, makefile = _top_makefile(path)
    content = Content(sha256=_sha256(path), strip=strip, makefile=makefile)
    if remembered is not None:
        remembered.parent.mkdir(parents=True, exist_ok=True)
        half = remembered.with_suffix(f".{hashlib.sha256(content.sha256.encode()).hexdigest()[:8]}")
        half.write_bytes(msgspec.json.encode(content))
        half.replace(remembered)
    return content


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _top_makefile(path: Path) -> tuple[int, str]:
    """Find the Makefile that gives a VERSION, at the top or one folder below it."""
    argv = ["zstd", "--decompress", "--stdout", "--quiet", "--", str(path)]
    if path.suffix == ".zst":
        try:
            child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        except FileNotFoundError as error:
            raise UserError(
                f"reading the base {path}", "there is no zstd to unpack it", "apt install zstd"
            ) from error
        with child:
            try:
                return _search(tarfile.open(fileobj=child.stdout, mode="r|"), path)
            except tarfile.TarError as error:
                raise _unreadable(path, error) from error
            finally:
                child.kill()
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r|*") as archive:
            return _search(archive, path)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise _unreadable(path, error) from error


def _search(archive: tarfile.TarFile, path: Path) -> tuple[int, str]:
    for member in archive:
        parts = [part for part in member.name.split("/") if part != "."]
        if member.isfile() and len(parts) <= 2 and parts[-1] == "Makefile":
            file = archive.extractfile(member)
            text = file.read(_CHUNK).decode(errors="replace") if file is not None else ""
            if "\nPATCHLEVEL" in text:
                return member.name.count("/"), text
    raise UserError(
        f"reading the base {path}",
        "this is not a kernel tarball: no top Makefile in it gives a VERSION and PATCHLEVEL",
        "give a kernel source tree, a git checkout or a tarball",
    )


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(
        f"reading the base {path}", f"the tarball can't be read: {error}", "fetch it again"
    )
