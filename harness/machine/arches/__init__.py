"""The architectures that L1 can have: one file each, found by name."""

from __future__ import annotations

from harness.errors import UserError
from harness.machine.arches import arm64, x86_64
from harness.model import Arch

ARCHES = {arch.name: arch for arch in (x86_64.ARCH, arm64.ARCH)}


def arch_of_mode(mode: str) -> Arch | None:
    """Return the architecture that has a mode of that name, if one has."""
    return next((a for a in ARCHES.values() if mode in [m.name for m in a.modes]), None)


def find_arch(name: str) -> Arch:
    """Return the architecture of that name; UserError if there is none."""
    if name not in ARCHES:
        raise UserError(
            f"looking up the architecture {name!r}",
            "there is no such architecture here",
            f"use one of: {', '.join(ARCHES)}",
        )
    return ARCHES[name]
