"""Making our own copy of a base: the user's tree is read, never written."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from harness import lifetime
from harness.errors import InfraError, UserError
from harness.source.base import Base, Kind, git_files, not_a_kernel, tree_files
from harness.source.git import printable
from harness.source.progress import Progress
from harness.source.tarball import COMPRESSION

_CHUNK = 1 << 20


def unpack(base: Base, into: Path, progress: Progress) -> None:
    """Copy the base to the new folder into, which appears whole or not at all.

    It is made in a temporary folder beside (same file system) and renamed.  If another run was
    quicker, its copy stays.  UserError if the disk is full or the base is no kernel.
    """
    try:
        with lifetime.scratch(into.parent / "tmp") as scratch:
            tree = scratch / "tree"
            tree.mkdir()
            if base.kind is Kind.tarball:
                _extract(base, tree, progress)
            else:
                names = git_files(base.path) if base.kind is Kind.git else tree_files(base.path)
                _copy(base.path, list(names), tree, progress)
            if not (tree / "Makefile").is_file() or not (tree / "Kbuild").is_file():
                raise not_a_kernel(base.path, "there is no top Makefile or Kbuild")
            _settle(tree, into)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full_disk(f"copying the base {base.path} to {into}", into) from error
        raise InfraError(f"copying the base {base.path} to {into}", str(error)) from error


def full_disk(tried: str, where: Path) -> UserError:
    """The error for a disk that is full: a base needs 1.6 GB, an object tree 0.3 GB more."""
    return UserError(
        tried,
        f"the disk that holds {where} is full",
        "make room (3 GB are plenty), or name a cache on another disk with NOREF_CACHE",
    )


def _settle(tree: Path, into: Path) -> None:
    # A rename can reach the disk before the data does; after a power cut the tree would be there,
    # its files empty.
    subprocess.run(["sync", "--file-system", "--", str(tree)], check=True)
    try:
        tree.rename(into)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _extract(base: Base, tree: Path, progress: Progress) -> None:
    progress.step(f"unpacking {base.path.name}", base.path.stat().st_size)
    argv = [
        "tar",
        "--extract",
        COMPRESSION[base.path.suffix.lstrip(".")],
        "--file=-",
        f"--strip-components={base.strip}",
        # As root, tar would keep owner and mode: a tree that we can't write, or others can.
        "--no-same-owner",
        "--no-same-permissions",
        f"--directory={tree}",
    ]
    # In memory: on a full disk there would be no room for the complaint.
    with base.path.open("rb") as archive, os.fdopen(os.memfd_create("tar"), "w+b") as errors:
        child = lifetime.spawn(
            [argument for argument in argv if argument],
            stdin=subprocess.PIPE,
            stdout=errors,
            stderr=errors,
        )
        try:
            assert child.stdin is not None
            _feed(archive, child.stdin, progress)
            status = child.wait()
        finally:
            lifetime.stop(child)
        if status:
            errors.seek(0)
            _explain(base, printable(errors.read(1 << 20).decode(errors="replace")))


def _feed(archive: IO[bytes], pipe: IO[bytes], progress: Progress) -> None:
    try:
        while chunk := archive.read(_CHUNK):
            pipe.write(chunk)
            progress.advance(len(chunk))
        pipe.close()
    except BrokenPipeError:
        pass  # tar gave up: its exit status and its message say why.


def _explain(base: Base, message: str) -> None:
    if os.strerror(errno.ENOSPC) in message or os.strerror(errno.EDQUOT) in message:
        raise OSError(errno.ENOSPC, message)
    lines = "; ".join(message.splitlines()[:3]) or "tar failed without a message"
    raise UserError(f"unpacking the base {base.path}", lines, "fetch the tarball again")


def _copy(source: Path, names: Iterable[str], tree: Path, progress: Progress) -> None:
    names = list(names)
    progress.step(f"copying {source}", len(names))
    for name in names:
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target, follow_symlinks=False)
        if not target.is_symlink():
            # Content and the executable bit are the tree; owners and other modes are the user's.
            target.chmod(0o755 if os.access(source / name, os.X_OK) else 0o644)
        progress.advance(1)
    _remove_products(source, tree)


def _remove_products(source: Path, tree: Path) -> None:
    """Remove what a build in the user's tree generated and only kbuild knows by name.

    Objects were not copied, but a generated C file would be found by VPATH before the right one
    in the object tree.
    """
    built = {folder.parent.parent.name for folder in source.glob("arch/*/include/generated")}
    if not built and not (source / ".config").exists():
        return
    for arch in sorted(built) or [""]:
        argv = ["make", "--silent", f"--directory={tree}", "mrproper"]
        child = lifetime.spawn(
            argv + ([f"ARCH={arch}"] if arch else []),
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        message = child.communicate()[1].decode(errors="replace")
        if child.returncode:
            raise UserError(
                f"cleaning our copy of {source} (make mrproper ARCH={arch})",
                printable(message).strip(),
                "run make mrproper in your tree",
            )
