"""Programs for L1 of another architecture than this machine's: Debian's own packages for it.

apt gets a place of its own for its lists and packages, so that this machine's stays as it is: no
architecture is added to it, nothing is installed, and no root is needed.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness import lifetime
from harness.build.cache import Cache, key_of
from harness.build.tools import program
from harness.errors import InfraError, UserError
from harness.source.git import printable
from harness.source.progress import Progress

_RECIPE = 1


def foreign_root(cache: Cache, debian: str, packages: Sequence[str], progress: Progress) -> Path:
    """Return a folder with Debian's packages unpacked, with all that they depend on.

    debian: the name that Debian has for the architecture.  UserError if there is no apt;
    InfraError if apt can't get them.
    """

    def make(into: Path) -> None:
        for tool in ("apt-get", "dpkg-deb"):
            if program(tool) is None:
                raise UserError(
                    f"getting {', '.join(packages)} for {debian}",
                    f"there is no {tool} on this machine",
                    "install apt and dpkg, and name a Debian mirror in apt's sources",
                )
        progress.note(f"getting {', '.join(packages)} for {debian}")
        place = into / "apt"
        for name in ("lists/partial", "cache/archives/partial"):
            (place / name).mkdir(parents=True)
        (place / "status").touch()
        settings = {
            "APT::Architecture": debian,
            "APT::Architectures::": debian,
            "APT::Sandbox::User": "",
            "Dir::State::Lists": place / "lists",
            "Dir::State::status": place / "status",
            "Dir::Cache": place / "cache",
            "Debug::NoLocking": "1",
        }
        apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in settings.items())]
        _run([*apt, "update"])
        _run([*apt, "-y", "--no-install-recommends", "--download-only", "install", *packages])
        for package in sorted((place / "cache/archives").glob("*.deb")):
            _run(["dpkg-deb", "-x", str(package), str(into)])
        shutil.rmtree(place)

    return cache.entry("foreign", key_of(_RECIPE, debian, list(packages)), make)


def needed_libraries(root: Path, path: Path) -> dict[str, Path]:
    """Return the loader and the libraries that a program below root needs: where L1 has them."""
    found: dict[str, Path] = {}
    left = [path]
    while left:
        for name in _needs(left.pop()):
            if name in found:
                continue
            found[name] = file = _find(root, name)
            left.append(file)
    return {f"/{file.relative_to(root)}": file for file in found.values()}


def _needs(path: Path) -> list[str]:
    """Read the names of an ELF file's loader and libraries; none if it is static."""
    text = _run(["readelf", "-dlW", str(path)])
    return re.findall(r"(?:\(NEEDED\).*\[|program interpreter: /\S*/)([^/\]]+)\]", text)


def _find(root: Path, name: str) -> Path:
    for pattern in ("lib", "lib/*-linux-gnu", "usr/lib/*-linux-gnu"):
        for file in root.glob(f"{pattern}/{name}"):
            return file
    raise InfraError(
        f"looking for {name} below {root}", "it is not there", "delete the folder, and run it again"
    )


def _run(argv: list[str]) -> str:
    child = lifetime.spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        said, errors = child.communicate()
    finally:
        lifetime.stop(child)
    if child.returncode:
        words = printable(errors.decode(errors="replace")).strip().splitlines()
        raise InfraError(
            f"running {argv[0]}",
            "; ".join(words[-3:]) or f"exit status {child.returncode}",
            f"run it by hand: {shlex.join(argv)}",
        )
    return said.decode(errors="replace")
