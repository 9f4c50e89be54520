"""Building the kernels of a series: the base, and the base plus the first k patches."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from harness import lifetime
from harness.build import kconfig, workshop
from harness.build.cache import Cache, key_of
from harness.build.image import GuestImage
from harness.build.make import Toolchain, toolchain
from harness.build.workshop import BuildFailed, OptionsUnmet, Workshop
from harness.errors import InfraError, KernelError, UserError
from harness.model import Arch, BuiltKernel, Series, Value
from harness.source.apply import Overlay, overlays
from harness.source.base import Base
from harness.source.progress import Progress

# Raised by hand when this room makes other kernels from the same input.
_RECIPE = 2


class FailedKernel(Value):
    """A kernel of a series that could not be built: a finding, which ends nothing else."""

    label: str
    patches: int
    error: KernelError


class BuildRecord(Value):
    """What a kernel was made from, and how it went: build.json beside the image."""

    key: str
    base: str
    base_key: str
    patches: tuple[str, ...]
    arch: str
    compiler: str
    release: str
    objects: int
    seconds: float


def build_kernels(
    base: Base,
    series: Series | None,
    arch: Arch,
    cache: Cache,
    guest: Path,
    progress: Progress,
    *,
    steps: Sequence[int] | None = None,
    fragment: Path | None = None,
    clang: str = "",
) -> Iterator[BuiltKernel | FailedKernel]:
    """Give the base plus the first k patches for each k of steps, each when it is built.

    steps: the base and every patch if None.  guest: the folder guest-images; fragment: the user's
    own options; clang: the name of the compiler, if it shall not be gcc.
    What the cache has is not built.  A patch that doesn't build gives a FailedKernel, and the
    later kernels are built all the same.  UserError if a patch doesn't apply (before anything is
    built) or an option of the fragments takes no effect on the base; InfraError if the test
    module doesn't build for the base.  The calling thread must live as long as the iterator is
    used: make ends with the thread that started it.
    """
    count = len(series.patches) if series is not None else 0
    chosen = range(count + 1) if steps is None else steps
    tools = toolchain(arch, clang)
    line = _Line(base, series, max(chosen), arch, tools, cache, guest, progress, fragment)
    for k in chosen:
        yield line.kernel(k)


class _Line:
    """The kernels of one base and series, for one arch and config."""

    def __init__(
        self,
        base: Base,
        series: Series | None,
        count: int,
        arch: Arch,
        tools: Toolchain,
        cache: Cache,
        guest: Path,
        progress: Progress,
        fragment: Path | None,
    ) -> None:
        self._base = base
        self._series = series
        self._count = count
        self._arch = arch
        self._cache = cache
        self._progress = progress
        self._parts = kconfig.fragments(arch, fragment)
        self._tools = tools
        self._module = guest / "module"
        self._image = GuestImage(cache, base, arch, guest, self._tools.version, progress)
        self._overlays: tuple[Overlay, ...] = ()

    def kernel(self, k: int) -> BuiltKernel | FailedKernel:
        label = self._series.label(k) if self._series is not None else "base"
        key = self._key(k)
        module_key = key_of(key, sources_digest(self._module))
        kernel = self._cache.find("kernel", key)
        module = self._cache.find("module", module_key)
        if kernel is None or module is None:
            try:
                with self._opened() as shop:
                    kernel = self._build(shop, k, key, label)
                    module = self._build_module(shop, k, module_key, label, kernel)
            except BuildFailed as failure:
                return FailedKernel(label=label, patches=k, error=self._blame(k, label, failure))
        record = msgspec.json.decode((kernel / "build.json").read_bytes(), type=BuildRecord)
        return BuiltKernel(
            label=label,
            patches=k,
            key=key,
            release=record.release,
            base=self._base.version,
            arch=self._arch.name,
            image=kernel / Path(self._arch.image).name,
            config=kernel / "config",
            modules=tuple(sorted(module.glob("*.ko"))),
            initramfs=self._image.initramfs(module),
        )

    def _key(self, k: int) -> str:
        patches = self._patches(k)
        config = kconfig.merged(self._parts)
        return key_of(
            _RECIPE, self._base.key, patches, config, self._tools.version, self._arch.name
        )

    def _patches(self, k: int) -> tuple[str, ...]:
        patches = self._series.patches[:k] if self._series is not None else ()
        return tuple(patch.digest for patch in patches)

    def _opened(self) -> AbstractContextManager[Workshop]:
        return workshop.opened(
            self._cache, self._base, self._arch, self._parts, self._tools, self._progress
        )

    def _overlay(self, shop: Workshop, k: int) -> Overlay:
        """All of them at the first call: a series that doesn't apply must not cost a build."""
        if not self._overlays:
            self._overlays = (
                overlays(shop.tree.pristine, self._series, self._count) if self._series else ({},)
            )
        return self._overlays[k]

    def _build(self, shop: Workshop, k: int, key: str, label: str) -> Path:
        def make(into: Path) -> None:
            begun = time.monotonic()
            log = self._log(f"kernel-{key}")
            image = Path(self._arch.image)
            targets = (image.name, "modules", "modules_prepare")
            built = shop.build(self._overlay(shop, k), targets, log, label, self._progress)
            shutil.copyfile(shop.objects / image, into / image.name)
            shutil.copyfile(shop.objects / ".config", into / "config")
            shutil.copyfile(shop.objects / "Module.symvers", into / "Module.symvers")
            if "CONFIG_DEBUG_INFO=y\n" in (into / "config").read_text():
                shutil.copyfile(shop.objects / "vmlinux", into / "vmlinux")
            shutil.copyfile(log, into / "build.log")
            record = BuildRecord(
                key=key,
                base=self._base.version,
                base_key=self._base.key,
                patches=self._patches(k),
                arch=self._arch.name,
                compiler=self._tools.version,
                release=(shop.objects / "include/config/kernel.release").read_text().strip(),
                objects=built,
                seconds=round(time.monotonic() - begun, 1),
            )
            (into / "build.json").write_bytes(msgspec.json.format(msgspec.json.encode(record)))

        return self._cache.entry("kernel", key, make)

    def _build_module(self, shop: Workshop, k: int, key: str, label: str, kernel: Path) -> Path:
        def make(into: Path) -> None:
            log = self._log(f"module-{key}")
            # kbuild writes beside the sources: never into the project's folder.
            with lifetime.scratch(self._cache.tmp) as scratch:
                sources = scratch / "module"
                shutil.copytree(self._module, sources)
                symbols = kernel / "Module.symvers"
                try:
                    shop.build_module(
                        self._overlay(shop, k), symbols, sources, log, label, self._progress
                    )
                except BuildFailed as failure:
                    if k == 0:
                        raise InfraError(
                            f"building the test module for the base {self._base.version}",
                            failure.why,
                            "the module must be made to fit this base",
                            log,
                        ) from failure
                    raise
                for module in sources.glob("*.ko"):
                    shutil.copyfile(module, into / module.name)

        return self._cache.entry("module", key, make)

    def _log(self, name: str) -> Path:
        return self._cache.folder / "log" / f"{name}.log"

    def _blame(self, k: int, label: str, failure: BuildFailed) -> KernelError:
        if k == 0 and isinstance(failure, OptionsUnmet):
            raise UserError(
                f"configuring the base {self._base.version}",
                failure.why,
                "add what they depend on to the fragment, or take them out",
                failure.log,
            ) from failure
        if k == 0 or self._series is None:
            tried = f"building the base {self._base.version}, without patches"
            do = "choose a base and a fragment that build together"
        else:
            patch = self._series.patches[k - 1]
            tried = f"building {label}, whose last patch is {patch.name} (“{patch.subject}”)"
            do = "repair the patch: a series must build at each patch"
        return KernelError(tried, failure.why, do, failure.log)


def sources_digest(folder: Path) -> str:
    """Hash the names and contents of all files below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return key_of(*((str(path.relative_to(folder)), path.read_bytes()) for path in files))
