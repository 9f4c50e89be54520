"""One base's copy of the source and its object trees: where kernels and modules are built.

CACHE/tree/BASE.lock          held by the run that builds, and by its compilers
CACHE/tree/BASE/source/       our copy, at any state of any series
CACHE/tree/BASE/kept/         the pristine files that patches changed (source/tree.py)
CACHE/tree/BASE/obj/CONFIG/   an object tree per arch and config, at any state too
CACHE/tree/BASE/obj/CONFIG.running   there while make runs
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import lifetime
from harness.build.cache import Cache, key_of
from harness.build.kconfig import Fragment, merged, unmet
from harness.build.make import FULL_BUILD_HINT, Make, Toolchain, first_errors
from harness.model import Arch
from harness.source.apply import Overlay
from harness.source.base import Base
from harness.source.progress import Progress
from harness.source.tree import Tree
from harness.source.unpack import unpack

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Workshop:
    """A locked source tree with one object tree; get one from opened()."""

    def __init__(self, tree: Tree, make: Make, parts: tuple[Fragment, ...], counts: Path) -> None:
        self.tree = tree
        self.objects = make.objects
        self._make = make
        self._parts = parts
        self._running = self.objects.with_name(self.objects.name + ".running")
        self._prepared: Overlay | None = None
        self._complete = self.objects.with_name(self.objects.name + ".complete")
        self._counted = counts / self.objects.name

    def build(
        self, overlay: Overlay, targets: tuple[str, ...], log: Path, label: str, progress: Progress
    ) -> int:
        """Bring the trees to base plus overlay and make the targets; return the objects built.

        BuildFailed if they don't build, or if an option of the fragments doesn't take effect.
        """
        with self._working(overlay, log):
            empty = not (self.objects / ".config").exists()
            # Nobody knows how many objects a change makes kbuild build.
            total = None if self._complete.exists() else self._expected()
            progress.step(f"building {label}", total)
            self._configure(log, progress)
            built = self._run(targets, log, progress)
            if empty:
                self._counted.parent.mkdir(exist_ok=True)
                self._counted.write_text(str(built))
            self._complete.touch()
            self._prepared = overlay
        return built

    def build_module(
        self,
        overlay: Overlay,
        symbols: Path,
        sources: Path,
        log: Path,
        label: str,
        progress: Progress,
    ) -> None:
        """Make the module in the folder sources for the kernel base plus overlay.

        symbols: that kernel's Module.symvers.  The object tree may be at another kernel's state:
        then its headers and tools are brought up to date, not the kernel.
        """
        with self._working(overlay, log):
            progress.step(f"building the test module for {label}", None)
            if self._prepared is not overlay:
                self._configure(log, progress)
                self._run(("modules_prepare",), log, progress)
            exported = self.objects / "Module.symvers"
            borrowed = not exported.exists() or exported.read_bytes() != symbols.read_bytes()
            if borrowed:
                shutil.copyfile(symbols, exported)
            try:
                # A WARN names the file as the compiler got it: not by the path of a scratch copy.
                flags = f"KCFLAGS=-fmacro-prefix-map={sources}/="
                self._run((f"M={sources}", flags, "modules"), log, progress)
            finally:
                if borrowed:
                    # kbuild would take it for this tree's own; without one it makes it anew.
                    exported.unlink()

    @contextmanager
    def _working(self, overlay: Overlay, log: Path) -> Iterator[None]:
        """Bring the source to base plus overlay, and mark the objects while make runs."""
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        self.tree.sync(overlay)
        self._distrust()
        self._running.write_text(_BOOT_ID.read_text())
        try:
            yield
        except BuildFailed:
            # make ended by itself and deleted what it had half made.  Any other error leaves
            # the mark: nobody may trust those objects.
            self._running.unlink()
            raise
        self._running.unlink()

    def _configure(self, log: Path, progress: Progress) -> None:
        """Make the .config anew: a patch may add options.  kbuild sees whether it changed."""
        asked = self.objects.with_name(self.objects.name + ".config")
        asked.write_text(merged(self._parts))
        self._run((f"KCONFIG_ALLCONFIG={asked}", "allnoconfig"), log, progress)
        missing = unmet(self._parts, (self.objects / ".config").read_text())
        if missing:
            lines = "\n".join(f"    {entry}" for entry in missing)
            raise OptionsUnmet(log, f"{len(missing)} options did not take effect:\n{lines}")

    def _run(self, arguments: tuple[str, ...], log: Path, progress: Progress) -> int:
        status, built = self._make.run(arguments, log, progress)
        if status:
            raise BuildFailed(log, first_errors(log))
        return built

    def _expected(self) -> int:
        try:
            return int(self._counted.read_text())
        except (FileNotFoundError, ValueError):
            return FULL_BUILD_HINT

    def _distrust(self) -> None:
        """Drop what a build that was killed may have left half-written."""
        self.objects.mkdir(parents=True, exist_ok=True)
        try:
            begun = self._running.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if self._running.read_text() != _BOOT_ID.read_text():
            # The machine went down meanwhile: what was on the disk by then, nobody knows.
            self._complete.unlink(missing_ok=True)
            shutil.rmtree(self.objects)
            self.objects.mkdir()
            return
        drop_newer(self.objects, begun)


class BuildFailed(Exception):
    """The source or its configuration is at fault; why: the first lines that say so."""

    def __init__(self, log: Path, why: str) -> None:
        self.log = log
        self.why = why
        super().__init__(why)


class OptionsUnmet(BuildFailed):
    """kconfig dropped options that the fragments ask for; why names each."""


def drop_newer(folder: Path, since_ns: int) -> None:
    """Delete the files below folder that were written since, objects and dependencies alike.

    That is enough for kconfig's files too: it writes auto.conf last, and anew if .config was.
    """
    for path in list(folder.rglob("*")):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_mtime_ns >= since_ns:
            path.unlink()


@contextmanager
def opened(
    cache: Cache,
    base: Base,
    arch: Arch,
    parts: tuple[Fragment, ...],
    tools: Toolchain,
    progress: Progress,
) -> Iterator[Workshop]:
    """Lock a base's copy, unpacked if need be, and give its workshop for one arch and config.

    Compilers hold the lock too: should this process be killed, the next one waits for the last
    of them before it looks at the objects.
    """
    with locked_tree(cache, base, progress) as (folder, lock):
        key = key_of(arch.name, merged(parts))
        make = Make(folder / "source", folder / "obj" / key, arch, tools, lock)
        yield Workshop(Tree(folder), make, parts, cache.folder / "count")


@contextmanager
def locked_tree(cache: Cache, base: Base, progress: Progress) -> Iterator[tuple[Path, int]]:
    """Lock a base's folder in the cache, our copy in it; give the folder and the lock."""
    folder = cache.folder / "tree" / base.key[:32]
    folder.mkdir(parents=True, exist_ok=True)

    def wait() -> None:
        progress.note("waiting for another run that builds from the same base …")

    with lifetime.locked(folder.with_name(folder.name + ".lock"), wait) as lock:
        if not (folder / "source").exists():
            unpack(base, folder / "source", progress)
        yield folder, lock
