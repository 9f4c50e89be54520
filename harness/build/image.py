"""Guest images: L1's initramfs, made by the kernel tree's own gen_init_cpio; no root needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from harness.build.cache import Cache, key_of
from harness.build.foreign import foreign_root, needed_libraries
from harness.build.tools import cross_prefix, program
from harness.build.workshop import locked_tree
from harness.errors import InfraError, UserError
from harness.model import Arch, Value
from harness.source.base import Base
from harness.source.git import printable
from harness.source.progress import Progress

_RECIPE = 1
_FOLDERS = (
    *("/bin", "/dev", "/etc", "/etc/dropbear", "/lib"),
    *("/proc", "/root", "/root/.ssh", "/run", "/sys", "/tmp"),
)
_PRIVATE = ("/root", "/root/.ssh")
_CONSOLE = "nod /dev/console 0600 0 0 c 5 1"
_CPIO = "initramfs.cpio"
_TOOL = "gen_init_cpio"


class Entry(Value):
    """One file of an image: where, its mode, its bytes."""

    path: str
    mode: int
    content: bytes


class GuestImage:
    """L1's initramfs: busybox, dropbear with its libraries, init, the VMM and the test module."""

    def __init__(
        self, cache: Cache, base: Base, arch: Arch, guest: Path, compiler: str, progress: Progress
    ) -> None:
        self._cache = cache
        self._base = base
        self._arch = arch
        self._guest = guest
        self._compiler = compiler
        self._progress = progress

    def initramfs(self, module: Path) -> Path:
        """The initramfs with the modules (*.ko) of that folder in /lib, from the cache or made."""
        entries = self._entries(module)
        key = key_of(_RECIPE, [(e.path, e.mode, e.content) for e in entries], self._tool_key())

        def make(into: Path) -> None:
            shutil.copy(self._tool(), into / _TOOL)
            folders = dict.fromkeys(_FOLDERS)
            folders |= dict.fromkeys(parent for e in entries for parent in _parents(e.path))
            write_cpio(into / _TOOL, entries, folders, (_CONSOLE,), into / _CPIO)

        return self._cache.entry("image", key, make) / _CPIO

    def _entries(self, module: Path) -> tuple[Entry, ...]:
        init = self._guest / "l1" / "init"
        files = [(f"/lib/{path.name}", 0o644, path) for path in sorted(module.glob("*.ko"))]
        files += [("/init", 0o755, init), ("/bin/vmm", 0o755, self._vmm())]
        libraries: dict[str, Path] = {}
        for name, path, needed in self._programs():
            files.append((f"/bin/{name}", 0o755, path))
            libraries |= needed
        files += [(name, 0o755, path) for name, path in sorted(libraries.items())]
        entries = [Entry(path=name, mode=mode, content=p.read_bytes()) for name, mode, p in files]
        entries += [Entry(path=name, mode=0o644, content=text) for name, text in _USERS.items()]
        return tuple(sorted(entries, key=lambda entry: entry.path))

    def _programs(self) -> Iterator[tuple[str, Path, dict[str, Path]]]:
        """Yield the name of each program, its file, and where L1 has what libraries."""
        if cross_prefix(self._arch):
            root = foreign_root(
                self._cache, self._arch.debian, tuple(_DEBIAN.values()), self._progress
            )
            for name, place in _PLACES.items():
                yield name, root / place, needed_libraries(root, root / place)
            return
        for name, package in _DEBIAN.items():
            path = program(name)
            if path is None:
                raise UserError(
                    f"looking for {name}", "it is not installed", f"apt install {package}"
                )
            yield name, path, {library: Path(library) for library in shared_libraries(path)}

    def _vmm(self) -> Path:
        folder = self._guest / "vmm"
        # What all architectures share, and what is this one's.
        parts = (folder, folder / self._arch.name)
        files = [path for part in parts for path in part.glob("*.[chS]")]
        # The VMM and the module share a header.
        files += (self._guest / "module").glob("*.h")
        inputs = [(str(p.relative_to(self._guest)), p.read_bytes()) for p in sorted(files)]
        key = key_of("vmm", _RECIPE, inputs, self._compiler)
        sources = sorted(
            str(path.relative_to(folder)) for part in parts for path in part.glob("*.[cS]")
        )

        def make(into: Path) -> None:
            self._progress.note("compiling the VMM")
            flags = ("-I.", "-static", "-pthread", "-O2", "-Wall", "-Wextra", "-Werror")
            argv = [f"{cross_prefix(self._arch)}gcc", *flags, "-o", str(into / "vmm"), *sources]
            _run(argv, folder, "compiling the VMM")

        return self._cache.entry("tool", key, make) / "vmm"

    def _tool_key(self) -> str:
        return key_of(_TOOL, _RECIPE, self._base.key, self._compiler)

    def _tool(self) -> Path:
        def make(into: Path) -> None:
            with locked_tree(self._cache, self._base, self._progress) as (folder, _):
                source = folder / "source" / "usr" / f"{_TOOL}.c"
                _run(
                    ["gcc", "-O2", "-o", str(into / _TOOL), str(source)], into, f"compiling {_TOOL}"
                )

        return self._cache.entry("tool", self._tool_key(), make) / _TOOL


_DEBIAN = {"busybox": "busybox-static", "dropbear": "dropbear-bin"}
_PLACES = {"busybox": "bin/busybox", "dropbear": "usr/sbin/dropbear"}
_USERS = {
    "/etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
    "/etc/group": b"root:x:0:\n",
}


def append_files(initramfs: Path, files: Mapping[str, tuple[int, bytes]], into: Path) -> None:
    """Write the initramfs to the file into, with files (path: mode, content) laid over it.

    For what belongs to one run, as its SSH key.  initramfs: one that initramfs() gave.
    """
    entries = [Entry(path=p, mode=mode, content=data) for p, (mode, data) in files.items()]
    folders = {parent for entry in entries for parent in _parents(entry.path)}
    with tempfile.TemporaryDirectory(prefix="cpio-", dir=into.parent) as name:
        extra = Path(name) / "run.cpio"
        write_cpio(initramfs.parent / _TOOL, entries, sorted(folders - set(_FOLDERS)), (), extra)
        # The kernel unpacks one archive after the other; gen_init_cpio pads each to 512 bytes.
        with into.open("wb") as out:
            for part in (initramfs, extra):
                with part.open("rb") as file:
                    shutil.copyfileobj(file, out)


def write_cpio(
    tool: Path,
    entries: Iterable[Entry],
    folders: Iterable[str],
    lines: Iterable[str],
    into: Path,
) -> None:
    """Make a newc archive with gen_init_cpio; lines: further ones of its list.

    The same entries give the same bytes, whenever it is made.
    """
    with tempfile.TemporaryDirectory(prefix="list-", dir=into.parent) as name:
        folder = Path(name)
        listing = [
            f"dir {path} {'0700' if path in _PRIVATE else '0755'} 0 0" for path in sorted(folders)
        ]
        for number, entry in enumerate(entries):
            if not re.fullmatch(r"(/[\w.+@-]+)+", entry.path):
                raise ValueError(f"gen_init_cpio can't read the path {entry.path!r}")
            # Named by number: the list's format knows no quoting.  The time is that of the file.
            (folder / str(number)).write_bytes(entry.content)
            os.utime(folder / str(number), (0, 0))
            listing.append(f"file {entry.path} {number} {entry.mode:04o} 0 0")
        (folder / "list").write_text("\n".join((*listing, *lines)) + "\n")
        into.write_bytes(_run([str(tool), "-t", "0", "list"], folder, "making an initramfs"))


def _parents(path: str) -> tuple[str, ...]:
    return tuple(str(parent) for parent in PurePosixPath(path).parents if parent.name)


def shared_libraries(path: Path) -> tuple[str, ...]:
    """The shared libraries and the loader that a program needs; none if it is static."""
    result = subprocess.run(["ldd", str(path)], capture_output=True, check=False)
    found = re.findall(r"(?:=> |^\s+)(/\S+) \(0x", result.stdout.decode(), re.MULTILINE)
    return tuple(sorted(set(found)))


def _run(argv: list[str], cwd: Path, tried: str) -> bytes:
    result = subprocess.run(argv, cwd=cwd, capture_output=True, check=False)
    if result.returncode:
        lines = printable(result.stderr.decode(errors="replace")).splitlines()
        came = "\n".join(lines[:8]) or f"exit status {result.returncode}"
        raise InfraError(f"{tried} ({argv[0]})", came, "repair the sources under guest-images")
    return result.stdout
