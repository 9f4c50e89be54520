"""Finding a base: an unpatched kernel source tree, and the key that names its content."""

from __future__ import annotations

import enum
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.errors import UserError
from harness.model import Value
from harness.source.git import git, said
from harness.source.tarball import COMPRESSION, look_into

DEBIAN_SOURCE = Path("/usr/src")


class Kind(enum.Enum):
    tarball = "tarball"
    tree = "tree"
    git = "git"


class Base(Value):
    """An unpatched kernel source tree.

    version: in full, as `6.12.117`; key: names the content, whatever the path; strip: how many
    folders of a tarball's names stand above the tree.
    """

    kind: Kind
    path: Path
    version: str
    key: str
    strip: int = 0


def find_base(spec: str | None, version: str = "6.12", memo: Path | None = None) -> Base:
    """Find the base that spec names; None means Debian's source package of that version.

    spec: a tarball, a source tree, or a git checkout (with its local changes).  memo: a folder
    that remembers what is in a tarball, so that a second run starts at once.  UserError if it
    is not there or not a kernel.
    """
    path = _debian_tarball(version) if spec is None else Path(spec).expanduser().absolute()
    if path.is_dir():
        return _from_folder(path)
    if not path.exists():
        raise UserError(f"looking for the base {path}", "it is not there", "check KERNEL_SRC")
    if path.suffix.lstrip(".") not in COMPRESSION:
        raise UserError(
            f"reading the base {path}",
            "it is neither a folder nor a tarball (.tar, .tar.xz, .tar.gz, .tar.zst, .tar.bz2)",
            "give a kernel source tree, a git checkout or a tarball",
        )
    content = look_into(path, memo)
    return Base(
        kind=Kind.tarball,
        path=path,
        version=makefile_version(content.makefile, path),
        key=content.sha256,
        strip=content.strip,
    )


def _debian_tarball(version: str) -> Path:
    name = f"linux-source-{version}"
    for suffix in COMPRESSION:
        path = DEBIAN_SOURCE / f"{name}.tar.{suffix}"
        if path.exists():
            return path
    raise UserError(
        f"looking for Debian's kernel source in {DEBIAN_SOURCE}",
        f"there is no {name}.tar.xz",
        f"apt install {name}, or name a tree, git checkout or tarball with KERNEL_SRC",
    )


def makefile_version(makefile: str, where: Path) -> str:
    """Read `6.12.117-rc1` out of the top Makefile of a kernel; UserError if it is none."""
    fields: dict[str, str] = {
        name: value.strip()
        for name, value in re.findall(
            r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *=([^\n]*)$", makefile, re.MULTILINE
        )
    }
    numbers = [fields.get(name, "") for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    if not all(number.isdigit() for number in numbers[:2]):
        raise not_a_kernel(where, "its top Makefile gives no VERSION and PATCHLEVEL")
    return ".".join(filter(None, numbers)) + fields.get("EXTRAVERSION", "")


def not_a_kernel(where: Path, why: str) -> UserError:
    return UserError(
        f"reading the base {where}",
        f"this is not a kernel source tree: {why}",
        "give a kernel source tree, a git checkout or a tarball",
    )


def _from_folder(path: Path) -> Base:
    for name in ("Makefile", "Kbuild"):
        if not (path / name).is_file():
            raise not_a_kernel(path, f"there is no {name}")
    version = makefile_version((path / "Makefile").read_text(errors="replace"), path)
    if (path / ".git").exists():
        return Base(kind=Kind.git, path=path, version=version, key=_git_key(path))
    return Base(kind=Kind.tree, path=path, version=version, key=_tree_key(path))


def _git_key(path: Path) -> str:
    """Name a checkout by its commit and by what differs from it in the working tree."""
    digest = hashlib.sha256()
    digest.update(_ask_git(path, "rev-parse", "HEAD"))
    with tempfile.TemporaryDirectory(prefix="noref-index-") as folder:
        index = Path(folder) / "index"
        shutil.copy(
            path / os.fsdecode(_ask_git(path, "rev-parse", "--git-path", "index"))[:-1], index
        )
        digest.update(_ask_git(path, *_DIFF, index=index))
    for name in _ask_git(path, "ls-files", "-z", "--others", "--exclude-standard").split(b"\0"):
        if name:
            file = path / os.fsdecode(name)
            content = os.fsencode(file.readlink()) if file.is_symlink() else file.read_bytes()
            digest.update(name + b"\0" + hashlib.sha256(content).digest())
            digest.update(b"x" if os.access(file, os.X_OK) else b"-")
    return digest.hexdigest()


def git_files(path: Path) -> list[str]:
    """List what makes up a checkout: tracked files that are there, and new ones not ignored."""
    names = _ask_git(path, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    found = {os.fsdecode(name) for name in names.split(b"\0") if name}
    return sorted(name for name in found if (path / name).is_symlink() or (path / name).is_file())


_DIFF = ("diff", "HEAD", "--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color")


def _ask_git(path: Path, *arguments: str, index: Path | None = None) -> bytes:
    result = git(*arguments, cwd=path, repository=True, index=index)
    if result.returncode:
        raise UserError(
            f"asking git about the base {path} (git {' '.join(arguments)})",
            said(result),
            "give a plain source tree, or repair the checkout",
        )
    return result.stdout


def _tree_key(path: Path) -> str:
    digest = hashlib.sha256()
    for name in tree_files(path):
        status = (path / name).lstat()
        line = f"{name}\0{status.st_size} {status.st_mtime_ns} {status.st_mode:o}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def tree_files(path: Path) -> Iterator[str]:
    """List what makes up a plain tree, without what git or a build in the tree left there."""
    return _files_below(str(path), "")


def _files_below(folder: str, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            generated = entry.name in {"config", "generated"} and _HEADERS.fullmatch(prefix)
            if not generated and entry.name not in {".git", "__pycache__"}:
                yield from _files_below(entry.path, f"{prefix}{entry.name}/")
        # No file of Linux itself has such a name (checked on 6.12).  In a worktree .git is a file.
        elif entry.name == ".git" or _PRODUCTS.fullmatch(entry.name):
            continue
        elif entry.is_symlink() or entry.is_file():
            yield prefix + entry.name


# tools/include/generated is part of Linux.
_HEADERS = re.compile(r"(arch/[^/]+/)?include/")
_PRODUCTS = re.compile(r".*\.(o|ko|a|cmd|mod|order|symvers|dtb|gcno|gcda)|\.config(\.old)?|vmlinux")
