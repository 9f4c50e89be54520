"""What the machine lacks is listed, with the package that brings it."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from harness.build.make import first_errors, toolchain
from harness.build.tools import cross_prefix, missing_tools, packages
from harness.machine.arches import find_arch

ARCH = find_arch("x86_64")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing but what is put into the folder."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("harness.build.tools._PATH", (str(tmp_path),))
    monkeypatch.setattr("harness.build.tools.DEBIAN_SOURCE", tmp_path)
    return tmp_path


def test_every_missing_program_and_its_package_is_listed(bare: Path) -> None:
    missing = missing_tools(ARCH, "6.12")
    assert {"make", "flex", "dropbear", "qemu-system-x86_64"} <= {entry.what for entry in missing}
    named = packages(missing)
    assert {"dropbear-bin", "busybox-static", "qemu-system-x86", "linux-source-6.12"} <= set(named)
    assert len(set(named)) == len(named)


def test_what_is_there_is_not_listed(bare: Path) -> None:
    (bare / "flex").symlink_to(shutil.which("true", path="/usr/bin:/bin") or "/bin/true")
    (bare / "linux-source-6.12.tar.zst").touch()
    assert not {"flex", "linux-source-6.12"} & set(packages(missing_tools(ARCH, "6.12")))


def test_a_base_of_the_users_own_needs_no_source_package(bare: Path) -> None:
    assert not any("linux-source" in name for name in packages(missing_tools(ARCH)))


def test_only_what_saves_time_is_optional(bare: Path) -> None:
    assert [entry.what for entry in missing_tools(ARCH) if entry.optional] == ["ccache"]


def test_another_arch_needs_its_cross_compiler(bare: Path) -> None:
    other = msgspec.structs.replace(
        ARCH, host="riscv64", debian="riscv64", cross="riscv64-linux-gnu-"
    )
    assert cross_prefix(other) == "riscv64-linux-gnu-"
    needed = {"gcc-riscv64-linux-gnu", "libc6-dev-riscv64-cross", "apt", "dpkg"}
    assert needed <= set(packages(missing_tools(other)))


def test_ccache_changes_how_the_compiler_is_called_but_not_its_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without(name: str) -> Path | None:
        found = shutil.which(name)
        return Path(found) if found and name != "ccache" else None

    plain, usual = (
        (monkeypatch.setattr("harness.build.make.program", find), toolchain(ARCH))[1]
        for find in (without, lambda name: without(name) or Path("/usr/bin/ccache"))
    )
    assert plain.version == usual.version and "gcc" in plain.version
    assert not any("ccache" in argument for argument in plain.arguments)
    assert any("CC=ccache " in argument for argument in usual.arguments)


@pytest.mark.parametrize(
    ("log", "first"),
    [
        ("  CC a.o\na.c:3:1: error: no\nmake: *** [x] Error 1\n", "a.c:3:1: error: no"),
        ("a.c:3: fatal error: x.h: No such file\n", "a.c:3: fatal error: x.h: No such file"),
        ("ld: a.o: undefined reference to `f'\n", "ld: a.o: undefined reference to `f'"),
        ('ERROR: modpost: "f" [x.ko] undefined!\n', 'ERROR: modpost: "f" [x.ko] undefined!'),
        ("make[2]: *** No rule to make target 'x'.\n", "make[2]: *** No rule to make target 'x'."),
        ("nothing known\n", "nothing known"),
        ("\x1b[31mx.c:1:1: error: red\n", "\ufffd[31mx.c:1:1: error: red"),
    ],
)
def test_the_first_error_of_a_log_is_found(tmp_path: Path, log: str, first: str) -> None:
    (tmp_path / "log").write_text(log)
    assert first_errors(tmp_path / "log").splitlines()[0] == first
