"""What building and running needs from the machine, and which Debian package has it."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.model import Arch, Value
from harness.source.base import DEBIAN_SOURCE
from harness.source.tarball import COMPRESSION


class Missing(Value):
    """A program or file that is not there, and the Debian package that brings it.

    optional: it only saves time.
    """

    what: str
    package: str
    optional: bool = False


# Programs by the package that has them in Debian 12.
_PROGRAMS = (
    ("make", "make"),
    ("gcc", "gcc"),
    ("ld", "binutils"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("tar", "tar"),
    ("xz", "xz-utils"),
    ("bzip2", "bzip2"),
    ("zstd", "zstd"),
    ("git", "git"),
    ("setpriv", "util-linux"),
    ("busybox", "busybox-static"),
    ("dropbear", "dropbear-bin"),
    ("dropbearkey", "dropbear-bin"),
    ("ccache", "ccache"),
)
_OPTIONAL = {"ccache"}
_FILES = (
    # A static VMM needs libc.a, a kernel's host programs libc's headers.
    ("stdlib.h", "libc6-dev"),
    # objtool reads and writes ELF files.
    ("gelf.h", "libelf-dev"),
)
_QEMU = {"qemu-system-x86_64": "qemu-system-x86", "qemu-system-aarch64": "qemu-system-arm"}
# dropbear lies in sbin, which is not on every user's PATH.
_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


def missing_tools(arch: Arch, debian_version: str | None = None) -> tuple[Missing, ...]:
    """List what this machine lacks, in the order in which it would be needed.

    debian_version: also Debian's kernel source of that version, when it is the base.
    """
    return tuple(_missing(arch, debian_version))


def packages(missing: tuple[Missing, ...]) -> tuple[str, ...]:
    """The packages to install, each once."""
    return tuple(dict.fromkeys(entry.package for entry in missing))


def program(name: str) -> Path | None:
    """Find a program on PATH or where Debian puts those for root."""
    found = shutil.which(name) or shutil.which(name, path=":".join(_PATH))
    return Path(found) if found else None


def cross_prefix(arch: Arch) -> str:
    """What the compiler's name begins with: nothing where the machine is of that arch itself."""
    return "" if platform.machine() == arch.host else arch.cross


def _missing(arch: Arch, debian_version: str | None) -> Iterator[Missing]:
    for name, package in _PROGRAMS:
        if program(name) is None:
            yield Missing(what=name, package=package, optional=name in _OPTIONAL)
    if program(arch.qemu) is None:
        yield Missing(what=arch.qemu, package=_QEMU.get(arch.qemu, "qemu-system"))
    cross = cross_prefix(arch)
    if cross:
        # apt and dpkg get what else runs in L1.
        compiler = f"gcc-{cross.replace('_', '-').removesuffix('-')}"
        for name, package in ((f"{cross}gcc", compiler), ("apt-get", "apt"), ("dpkg-deb", "dpkg")):
            if program(name) is None:
                yield Missing(what=name, package=package)
        # For the VMM: a cross compiler comes without a libc.
        libc = Path("/usr", cross.removesuffix("-"), "include/stdlib.h")
        if not libc.exists():
            yield Missing(what=str(libc), package=f"libc6-dev-{arch.debian}-cross")
    for header, package in _FILES:
        if not Path("/usr/include", header).exists():
            yield Missing(what=header, package=package)
    name = f"linux-source-{debian_version}"
    tarballs = [DEBIAN_SOURCE / f"{name}.tar.{suffix}" for suffix in COMPRESSION]
    if debian_version is not None and not any(tarball.exists() for tarball in tarballs):
        yield Missing(what=str(tarballs[0]), package=name)
