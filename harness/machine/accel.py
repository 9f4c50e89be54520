"""The choice between KVM and emulation for L1.

/dev/kvm alone says little: a host whose CPU offers neither SVM nor VMX (a container host, another
hypervisor's guest), or whose vendor module has nesting off, runs VMs that have no KVM of their
own.  L1 needs one.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from harness.model import Arch, Value

_KVM_CHECK_EXTENSION = 0xAE03


class Accel(Value):
    """name: QEMU's accelerator, `kvm` or `tcg`; why: the reason, in one line."""

    name: str
    why: str


def choose_accel(arch: Arch, root: Path = Path("/"), host: str | None = None) -> Accel:
    """Choose KVM where L1 really gets hardware virtualization from it, else emulation.

    root, host: where /dev, /proc and /sys are, and the host's machine name, for tests.
    """
    host = host or os.uname().machine
    if host != arch.host:
        return Accel(name="tcg", why=f"emulated: the host is {host}, L1 is {arch.name}")
    kvm = root / "dev/kvm"
    if not kvm.exists():
        return Accel(name="tcg", why="emulated: there is no /dev/kvm")
    if not os.access(kvm, os.R_OK | os.W_OK):
        return Accel(name="tcg", why="emulated: /dev/kvm can't be opened by this user")
    if arch.nested_extension:
        return _by_extension(kvm, arch.nested_extension)
    return _by_flags(arch, root)


def _by_flags(arch: Arch, root: Path) -> Accel:
    """Ask the vendor module of what the CPU has."""
    flags = _cpu_flags(root / "proc/cpuinfo")
    for flag, module in arch.nested:
        if flag not in flags:
            continue
        nested = root / "sys/module" / module / "parameters/nested"
        value = nested.read_text().strip() if nested.exists() else "not there"
        if value in ("1", "Y"):
            return Accel(name="kvm", why=f"KVM: the host has {flag}, and {module}.nested is on")
        return Accel(
            name="tcg", why=f"emulated: the host has {flag}, but {module}.nested is {value}"
        )
    wanted = " nor ".join(flag for flag, _ in arch.nested)
    return Accel(name="tcg", why=f"emulated: there is a /dev/kvm, but the CPU has neither {wanted}")


def _by_extension(kvm: Path, extension: int) -> Accel:
    """Ask KVM itself whether its guests can have a KVM of their own."""
    try:
        with kvm.open("rb") as file:
            offered = fcntl.ioctl(file, _KVM_CHECK_EXTENSION, extension)
    except OSError as error:
        return Accel(name="tcg", why=f"emulated: /dev/kvm gives no answer ({error})")
    if offered > 0:
        return Accel(name="kvm", why="KVM: it offers nested virtualization")
    return Accel(name="tcg", why="emulated: there is a /dev/kvm, without nested virtualization")


def _cpu_flags(cpuinfo: Path) -> set[str]:
    for line in cpuinfo.read_text(errors="replace").splitlines():
        if line.startswith(("flags", "Features")):
            return set(line.partition(":")[2].split())
    return set()
