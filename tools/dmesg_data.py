"""Make real kernels complain, and keep what they say as test data for the log reader.

For a base it builds the kernels of tools/complain/*.config, boots each, and runs every trigger
of tools/complain/triggers.toml, each on a pristine L1.  The raw bytes of the console go to
tests/data/dmesg/real/VERSION-VARIANT/NAME.log (VERSION-VARIANT-arm64 for arm64), with a header of
`# ` lines that says what the log must contain: by what was done to the kernel, not by what any
reader found.  See docs/dmesg-data.md.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from rich.console import Console

from harness import lifetime
from harness.build import kconfig
from harness.build.cache import Cache, default_folder
from harness.build.kernel import FailedKernel, build_kernels
from harness.build.workshop import locked_tree
from harness.errors import InfraError, NorefError
from harness.machine.accel import choose_accel
from harness.machine.arches import ARCHES, find_arch
from harness.machine.l1 import END_MARK, L1Failed, Saved, restore, save, wait_for_mark
from harness.machine.qemu import Spec
from harness.model import Arch, BuiltKernel, Mode, Value
from harness.report.progress import progress
from harness.source.base import Base, find_base
from harness.source.progress import Progress

ROOT = Path(__file__).resolve().parents[1]
COMPLAIN = ROOT / "tools" / "complain"
DATA = ROOT / "tests" / "data" / "dmesg" / "real"
VARIANTS = ("kasan", "plain", "kcsan", "kmsan", "cfi", "tags")
# What gcc doesn't have: the name of the compiler that does, for KMSAN 14 or later, for CFI 16.
CLANG = {"kmsan": "clang-19", "cfi": "clang-19"}
# Variants that an architecture alone has.
_ONLY_ON = {"kmsan": "x86_64", "tags": "arm64"}

BOOT_TIMEOUT = 300.0
TRIGGER_TIMEOUT = 180.0
# KASAN's shadow and quarantine, and what the out-of-memory trigger needs to fill.
MEMORY = 1024
# Longer logs are cut at a line: thousands of sleeping tasks teach a reader nothing new.
LIMIT = 96 << 10

_APPEND = (
    "ignore_loglevel",
    "panic=-1",
    # On 7.3 the configuration has an option of its own for whether it is on by default.
    "hardened_usercopy=1",
    # L1 boots slowly under emulation: its workers aren't stuck before they are asked to be.
    "workqueue.watchdog_thresh=120",
)
_MORE = {"plain": ("page_poison=1",)}
_MODE = Mode(name="complain", options=(), facts=(), why="no cell runs: the kernel shall complain")

# The kernel at EL1: at EL2 it uses the hypervisor's timer, which QEMU 7.2 doesn't restore. A CPU
# that was idle when L1 was saved then sleeps on, and the watchdogs see that.
_ARCH_MORE = {"x86_64": (), "arm64": ("kvm-arm.mode=nvhe",)}
_FOLDERS = {
    "lkdtm": "/sys/kernel/debug/provoke-crash/DIRECT",
    "complain": "/sys/kernel/debug/complain/trigger",
}


class _Dated(Value):
    """What some kernels have: from `since` on, and before `until`, where these are said."""

    since: str = ""
    until: str = ""

    def has(self, version: tuple[int, ...]) -> bool:
        """Whether the kernel of that version is one of them."""
        return (not self.since or version >= _number(self.since)) and (
            not self.until or version < _number(self.until)
        )


class Aftermath(_Dated, kw_only=True):
    """One entry `brk` of triggers.toml: what follows where a task of arm64 dies of a BRK."""

    expect: tuple[str, ...]


class Trigger(_Dated, kw_only=True):
    """One entry of triggers.toml.

    name: of the log.  lkdtm, complain: what to write into their file; before, after: shell around
    that; expect: `TYPE | title` and, where they are known, ` | function | file`, in the order of
    the log.  kasan, plain: what differs in that variant; brk: the variants in which arm64's task
    dies of a BRK; also: what follows of that later on.  since, until: the kernels that can do it;
    arches: the architectures.  why: how that follows from what was done.
    """

    name: str
    why: str
    lkdtm: str = ""
    complain: str = ""
    before: str = ""
    after: str = ""
    expect: tuple[str, ...] = ()
    kasan: tuple[str, ...] | None = None
    plain: tuple[str, ...] | None = None
    brk: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    variants: tuple[str, ...] = ("kasan", "plain")
    arches: tuple[str, ...] = tuple(ARCHES)

    def expected(self, variant: str) -> tuple[str, ...]:
        special = {"kasan": self.kasan, "plain": self.plain}.get(variant)
        return (self.expect if special is None else special) + self.also

    def command(self) -> str:
        """The line of shell that does it. Another shell does the deed: it may die of it, and takes
        with it what its stack still knows."""
        deed = ""
        for how, name in (("lkdtm", self.lkdtm), ("complain", self.complain)):
            if name:
                deed = f"(echo {name} > {_FOLDERS[how]})"
        if self.also:
            deed += "; sleep 1"
        return "; ".join(part for part in (self.before, deed, self.after) if part)


def triggers(base: Base, variant: str, arch: Arch) -> list[Trigger]:
    """The triggers for a base, variant and architecture: one for a name."""
    text = tomllib.loads((COMPLAIN / "triggers.toml").read_text())
    table = msgspec.convert(text["trigger"], tuple[Trigger, ...])
    aftermaths = msgspec.convert(text["brk"], tuple[Aftermath, ...])
    version = _number(base.version)
    after = next(aftermath.expect for aftermath in aftermaths if aftermath.has(version))
    return [
        msgspec.structs.replace(
            trigger, also=after if arch.name == "arm64" and variant in trigger.brk else ()
        )
        for trigger in table
        if variant in trigger.variants and arch.name in trigger.arches and trigger.has(version)
    ]


def variants(arch: str) -> tuple[str, ...]:
    """Those that there are for an architecture."""
    return tuple(variant for variant in VARIANTS if _ONLY_ON.get(variant, arch) == arch)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def folder_name(base: Base, variant: str, arch: Arch) -> str:
    """Where the logs of a kernel are: the first architecture's names have none in them."""
    version = ".".join(map(str, _number(base.version)))
    return f"{version}-{variant}" if arch.name == "x86_64" else f"{version}-{variant}-{arch.name}"


# --- building -----------------------------------------------------------------------------------


def build(
    base: Base, variant: str, arch: Arch, cache: Cache, scratch: Path, progress: Progress
) -> BuiltKernel:
    """Build the variant's kernel and the module complain, from the cache where it is there."""
    fragment = scratch / f"{variant}.config"
    fragment.write_text(_known(base, variant, arch, cache, progress))
    guest = scratch / f"guest-{variant}"
    _make_guest(guest)
    compiler = CLANG.get(variant, "")
    for kernel in build_kernels(
        base, None, arch, cache, guest, progress, fragment=fragment, clang=compiler
    ):
        if isinstance(kernel, FailedKernel):
            raise kernel.error
        return kernel
    raise AssertionError("no kernel")


def _known(base: Base, variant: str, arch: Arch, cache: Cache, progress: Progress) -> str:
    """The variant's options, without those that this base has never heard of."""
    version = ".".join(map(str, _number(base.version)))
    names = ("common", variant, f"{variant}-{version}", arch.name, f"{variant}-{arch.name}")
    names = (*names, f"{arch.name}-{version}")
    paths = [COMPLAIN / f"{name}.config" for name in names]
    text = "\n".join(path.read_text() for path in paths if path.exists())

    def make(into: Path) -> None:
        found: set[str] = set()
        with locked_tree(cache, base, progress) as (folder, _):
            for path in (folder / "source").rglob("Kconfig*"):
                if path.is_file():
                    lines = path.read_text(errors="replace")
                    found |= set(re.findall(r"^\s*(?:menu)?config (\w+)", lines, re.MULTILINE))
        (into / "names").write_text("\n".join(sorted(found)))

    known = set((cache.entry("options", base.key, make) / "names").read_text().split())
    asked = kconfig.options(text)
    unknown = sorted(name for name in asked if name.removeprefix("CONFIG_") not in known)
    asked = {name: value for name, value in asked.items() if name not in unknown}
    if unknown:
        progress.note(f"{base.version} doesn't have {', '.join(unknown)}")
    return "".join(f"{name}={value}\n" for name, value in asked.items())


def _make_guest(guest: Path) -> None:
    """A folder like guest-images, with the module complain in place of the test module."""
    images = ROOT / "guest-images"
    shutil.copytree(images / "vmm", guest / "vmm")
    (guest / "l1").mkdir()
    shutil.copyfile(COMPLAIN / "init", guest / "l1" / "init")
    (guest / "module").mkdir()
    sources = [*COMPLAIN.glob("*.[ch]"), COMPLAIN / "Kbuild", *(images / "module").glob("*_uapi.h")]
    for path in sources:
        shutil.copyfile(path, guest / "module" / path.name)


# --- provoking ----------------------------------------------------------------------------------


def provoke(saved: Saved, command: str, console: Path) -> str:
    """Run a trigger's command on a pristine L1 and wait for the end; return how it ended."""
    try:
        with restore(saved, console) as l1:
            reply = l1.shell(command, TRIGGER_TIMEOUT)
            wait_for_mark(console)
    except L1Failed as failure:
        return failure.note
    return f"status {reply.status}"


def offered(saved: Saved, console: Path) -> set[str]:
    """What LKDTM and the module have triggers for."""
    with restore(saved, console) as l1:
        reply = l1.shell(f"cat {' '.join(_FOLDERS.values())}", TRIGGER_TIMEOUT)
    return set(reply.output.decode(errors="replace").split())


def keep(
    base: Base, variant: str, kernel: BuiltKernel, trigger: Trigger, log: bytes, folder: Path
) -> None:
    """Write a log with its header."""
    expect = trigger.expected(variant)
    header = [
        f"kernel: {base.version} ({kernel.release}) {kernel.arch}",
        f"variant: {variant} (tools/complain/{variant}.config)",
        f"trigger: {trigger.command() or 'the boot itself'}",
        f"why: {trigger.why}",
        *(f"expect: {line}" for line in expect),
        *([] if expect else ["expect nothing"]),
    ]
    if len(log) > LIMIT:
        cut = log.rfind(b"\n", 0, LIMIT) + 1
        header.append(f"cut: after {cut} of {len(log)} bytes")
        log = log[:cut]
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"# {line}\n" for line in header).encode()
    (folder / f"{trigger.name}.log").write_bytes(text + log)


def anonymous(log: bytes, cache: Cache) -> bytes:
    """The log without this machine's paths: UBSAN prints where the compiler found a file."""
    folder = re.escape(str(cache.folder).encode())
    log = re.sub(folder + rb"/tree/\w+/source/", b"/build/linux/", log)
    return re.sub(folder + rb"/tmp/[^\s:]*/module/", b"/build/complain/", log)


def whole(log: bytes) -> bytes:
    """The log up to the end of the deed: a broken slab may complain later, or not."""
    before, mark, after = log.partition(END_MARK)
    return before + mark + after[: after.find(b"\n") + 1]


def foreign(log: bytes, cache: Cache) -> bytes:
    """A path of this machine in a log, which has no place in test data."""
    for path in (cache.folder, ROOT, Path.home()):
        if path != Path("/root") and str(path).encode() in log:
            return str(path).encode()
    return b""


class Options(Value):
    """What the command line says."""

    arch: str
    version: str
    kernel_src: str | None
    variants: tuple[str, ...]
    only: tuple[str, ...]
    into: Path
    build_only: bool
    workers: int


def make(options: Options, cache: Cache, scratch: Path, progress: Progress) -> int:
    """Build, boot, provoke and keep; return how many triggers went wrong."""
    arch = find_arch(options.arch)
    if arch.machine == "pc":
        # Its _PRT is a loop in AML, which takes more than the 30 s that ACPI allows, where KASAN
        # and kmemleak look at every step.
        arch = msgspec.structs.replace(arch, machine="q35")
    accel = choose_accel(arch)
    base = find_base(options.kernel_src, options.version, cache.folder / "tarballs")
    wrong = 0
    for variant in options.variants:
        begun = time.monotonic()
        kernel = build(base, variant, arch, cache, scratch, progress)
        progress.note(f"{base.version}-{variant} built in {time.monotonic() - begun:.0f} s")
        if options.build_only:
            continue
        spec = Spec(
            arch=arch,
            accel=accel,
            kernel=kernel.image,
            initramfs=kernel.initramfs,
            append=(*_APPEND, *_MORE.get(variant, ()), *_ARCH_MORE[arch.name]),
            memory=MEMORY,
        )
        folder = options.into / folder_name(base, variant, arch)
        consoles = scratch / f"consoles-{variant}"
        consoles.mkdir()
        begun = time.monotonic()
        try:
            saved = save(spec, _MODE, consoles, consoles / "boot", BOOT_TIMEOUT)
        except L1Failed as failure:
            last = (consoles / "boot").read_bytes()[-4000:].decode(errors="replace")
            raise InfraError("booting L1", f"{failure}\n{last}") from failure
        progress.note(f"{base.version}-{variant} booted in {time.monotonic() - begun:.1f} s")
        for done in _all(options, base, variant, arch, saved, consoles, progress):
            trigger, ended = done
            log = anonymous((consoles / trigger.name).read_bytes(), cache)
            if path := foreign(log, cache):
                progress.note(f"{trigger.name}: not kept, has {path.decode()} in it")
                wrong += 1
                continue
            if ended.startswith("status") and END_MARK not in log:
                progress.note(f"{trigger.name}: not kept, its log is cut off")
                wrong += 1
                continue
            keep(base, variant, kernel, trigger, whole(log), folder)
            progress.note(f"{trigger.name}: {ended}, {len(log)} bytes")
    return wrong


def _all(
    options: Options,
    base: Base,
    variant: str,
    arch: Arch,
    saved: Saved,
    consoles: Path,
    progress: Progress,
) -> Iterator[tuple[Trigger, str]]:
    """Run all triggers of a variant, some at a time; give each with how it ended."""
    there = offered(saved, consoles / "offered")
    able = []
    for trigger in triggers(base, variant, arch):
        if options.only and trigger.name not in options.only:
            continue
        name = trigger.lkdtm or trigger.complain
        if name and name not in there:
            progress.note(f"{trigger.name}: {base.version} has no trigger {name}")
        elif trigger.name == "boot":
            yield trigger, "booted"
        else:
            able.append(trigger)
    progress.step(f"provoking {len(able)} complaints", len(able))

    # Each restores in a thread of its own, which lives as long as its QEMU.
    def run(trigger: Trigger) -> str:
        return provoke(saved, trigger.command(), consoles / trigger.name)

    with ThreadPoolExecutor(options.workers) as pool:
        for trigger, ended in zip(able, pool.map(run, able), strict=True):
            progress.advance(1)
            yield trigger, ended


def main() -> int:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--arch", default="x86_64", choices=ARCHES)
    parser.add_argument("--base", default="6.12", help="version of Debian's kernel source")
    parser.add_argument("--kernel-src", help="another kernel: a tree, a checkout or a tarball")
    parser.add_argument("--variant", action="append", choices=VARIANTS)
    parser.add_argument("--only", action="append", default=[], help="only this trigger")
    parser.add_argument("--into", type=Path, default=DATA)
    parser.add_argument("--build-only", action="store_true")
    parser.add_argument("-j", type=int, default=2, help="L1s at a time")
    given = parser.parse_args()
    options = Options(
        arch=given.arch,
        version=given.base,
        kernel_src=given.kernel_src,
        variants=tuple(given.variant or variants(given.arch)),
        only=tuple(given.only),
        into=given.into,
        build_only=given.build_only,
        workers=given.j,
    )
    cache = Cache(default_folder())
    with progress(Console(width=100)) as bar, lifetime.scratch(cache.tmp) as scratch:
        return min(make(options, cache, scratch, bar), 1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NorefError as error:
        sys.exit(f"dmesg_data: {error}")
