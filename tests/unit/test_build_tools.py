"""What the machine lacks is listed, with the package that brings it."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from harness import lifetime
from harness.build.make import Make, first_errors, toolchain
from harness.build.tools import cross_prefix, missing_tools, packages
from harness.errors import UserError
from harness.machine.arches import find_arch
from harness.source.progress import Silent

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
    assert not any("noref-cc" in argument for argument in plain.arguments)
    assert any("CC=noref-cc " in argument for argument in usual.arguments)


def test_a_clang_takes_the_place_of_gcc_for_the_kernel_alone(bare: Path) -> None:
    for tool, version in (("clang-99", "clang 99.1"), ("ld", "GNU ld 1"), ("gcc", "gcc 1")):
        (bare / tool).write_text(f"#!/bin/sh\necho {version}\n")
        (bare / tool).chmod(0o755)
    tools = toolchain(ARCH, "clang-99")
    assert tools.version == "clang 99.1; GNU ld 1"
    assert {"CC=clang-99", "HOSTCC=gcc"} <= set(tools.arguments)


def test_a_clang_that_is_not_there_is_named_with_its_package(bare: Path) -> None:
    with pytest.raises(UserError) as raised:
        toolchain(ARCH, "clang-99")
    assert "clang-99" in raised.value.tried and raised.value.do == "apt install clang-99"


# Each makes an object of what is in the file data; kernel/configs.c is one of the second kind.
TAKES_IN = {
    "piggy.S": '.incbin "data"\n',
    "configs.c": 'asm(".incbin \\"data\\"");\n',
    "usual.c": '#include "data"\n',
}


@pytest.mark.skipif(shutil.which("ccache") is None, reason="ccache is not installed")
@pytest.mark.parametrize("name", TAKES_IN)
def test_an_object_is_that_of_the_files_as_they_are_whatever_ccache_has(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCACHE_DIR", str(tmp_path / "ccache"))
    (tmp_path / name).write_text(TAKES_IN[name])
    (tmp_path / "Makefile").write_text(f".PHONY: o\no:\n\t$(CC) -MMD -c -o o {name}\n")
    objects = []
    with lifetime.locked(tmp_path / "lock", lambda: None) as lock:
        make = Make(tmp_path, tmp_path, ARCH, toolchain(ARCH), lock)
        for number in ("1", "2", "1"):
            (tmp_path / "data").write_text(f"int number = {number};\n")
            assert make.run(["o"], tmp_path / "log", Silent()) == (0, 0), (
                tmp_path / "log"
            ).read_text()
            objects.append((tmp_path / "o").read_bytes())
    assert objects[0] == objects[2] != objects[1]


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
