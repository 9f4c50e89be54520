"""Frames to source lines: on a program with debug information, as a vmlinux is one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness.build.kernel import BuildRecord
from harness.build.vmlinux import Vmlinux
from harness.dmesg import find_splats
from harness.dmesg.symbols import PrintedFrame, SymbolTable, printed_frames
from harness.dmesg_command import Sources
from harness.errors import UserError
from harness.source.series import read_series

SOURCE = """\
volatile int sink;
static inline __attribute__((always_inline)) void innermost(int n)
{
	sink = n / sink;
}
__attribute__((noinline)) void guilty(int n)
{
	innermost(n);
	sink = 1;
}
__attribute__((noinline)) int caller(int n)
{
	guilty(n + 1);
	return sink;
}
int main(void)
{
	return caller(1);
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program") / "arch/x86/kvm"
    folder.mkdir(parents=True)
    (folder / "guilty.c").write_text(SOURCE)
    subprocess.run(
        ["gcc", "-g", "-O2", "-fno-omit-frame-pointer", "-o", "vmlinux", str(folder / "guilty.c")],
        cwd=folder,
        check=True,
    )
    return folder / "vmlinux"


def size(program: Path, name: str) -> tuple[int, int]:
    """Where a function begins, and how far the next symbol is."""
    nm = subprocess.run(["nm", "-n", program], capture_output=True, text=True, check=True).stdout
    starts = [int(line.split()[0], 16) for line in nm.splitlines() if len(line.split()) == 3]
    (at,) = (int(line.split()[0], 16) for line in nm.splitlines() if line.endswith(f" {name}"))
    return at, min(start for start in starts if start > at) - at


def offset_of(program: Path, name: str, instruction: str, after: bool) -> int:
    """Where in a function an instruction is, or where it ends."""
    text = subprocess.run(
        ["objdump", "-d", f"--disassemble={name}", program],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = [line for line in text.splitlines() if re.match(r"\s+[0-9a-f]+:\t", line)]
    at = next(n for n, line in enumerate(lines) if instruction in line)
    return int(lines[at + after].split(":")[0], 16) - size(program, name)[0]


def report(program: Path) -> str:
    fault = offset_of(program, "guilty", "idiv", False)
    back = offset_of(program, "caller", "call", True)
    return (
        f"RIP: 0010:guilty+{fault:#x}/{size(program, 'guilty')[1]:#x}\n"
        "Call Trace:\n"
        f" ? caller+0x1/{size(program, 'caller')[1]:#x}\n"
        f" caller+{back:#x}/{size(program, 'caller')[1]:#x}\n"
        " noref_fault+0x1/0x2 [noref]\n"
    )


def test_frames_become_source_lines_with_inlined_callers(program: Path) -> None:
    places = Vmlinux(program).places(report(program))
    assert [(p.function, p.source, p.line, p.inline) for p in places] == [
        ("innermost", "arch/x86/kvm/guilty.c", 4, True),
        ("guilty", "arch/x86/kvm/guilty.c", 8, False),
        ("caller", "arch/x86/kvm/guilty.c", 13, False),
    ]


def test_function_of_another_size_is_of_another_kernel(program: Path) -> None:
    assert Vmlinux(program).places("RIP: 0010:guilty+0x1/0x7fff\n") == ()


def test_functions_of_one_name_are_told_apart_by_their_size() -> None:
    table = SymbolTable("0000000000001000 t f\n0000000000001010 t f\n0000000000001030 T end\n")
    assert table.address(PrintedFrame("f", 4, 0x20, False)) == 0x1014
    assert table.address(PrintedFrame("f", 4, 0x10, True)) == 0x1003
    assert table.address(PrintedFrame("f", 4, 0x11, True)) is None


def test_guesses_and_modules_are_left_out() -> None:
    text = " ? a+0x1/0x2\n b+0x1/0x2 [kvm]\n c+0x1/0x2\n"
    assert [frame.name for frame in printed_frames(text)] == ["c"]


def test_file_that_is_no_vmlinux_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_text("not an ELF file")
    with pytest.raises(UserError, match="vmlinux of the kernel that wrote the log"):
        Vmlinux(tmp_path / "vmlinux").places("RIP: 0010:guilty+0x1/0x7\n")


def series(folder: Path, again: bool = False) -> Path:
    """A series that adds the whole program; again: a second patch changes the line at fault."""
    head = "From: noref project <noref@noref.invalid>\nSubject: [PATCH] guilty\n\nWhy.\n---\n"
    file = "arch/x86/kvm/guilty.c"
    lines = SOURCE.splitlines()
    added = "".join(f"+{line}\n" for line in lines)
    (folder / "one.patch").write_text(
        f"{head}diff --git a/{file} b/{file}\nnew file mode 100644\n"
        f"--- /dev/null\n+++ b/{file}\n@@ -0,0 +1,{len(lines)} @@\n{added}"
    )
    (folder / "two.patch").write_text(
        f"{head}diff --git a/{file} b/{file}\n--- a/{file}\n+++ b/{file}\n@@ -3,3 +3,3 @@\n"
        f" {lines[2]}\n-{lines[3]}\n+\tsink = 7;\n {lines[4]}\n"
    )
    (folder / "series").write_text("one.patch\ntwo.patch\n" if again else "one.patch\n")
    return folder


def log(program: Path) -> str:
    head = (
        "------------[ cut here ]------------\n"
        "WARNING: CPU: 0 PID: 1 at arch/x86/kvm/guilty.c:4 guilty+0x1/0x2\n"
        "CPU: 0 PID: 1 Comm: vmm Not tainted 6.12.117 #1\n"
    )
    return head + report(program) + "---[ end trace 0000000000000000 ]---\n"


def test_command_names_the_patch_that_a_frame_is_from(program: Path, tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text(log(program))
    arguments = ["--vmlinux", str(program), "--series", str(series(tmp_path)), str(file)]
    command = [sys.executable, "-m", "harness.cli", "dmesg"]
    plain = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert "innermost arch/x86/kvm/guilty.c:4 [inline]  ← patch 1" in plain.stdout
    found = subprocess.run([*command, "--json", *arguments], capture_output=True, check=False)
    (splat,) = json.loads(found.stdout)["splats"]
    assert splat["frames"][0] == {
        "function": "innermost",
        "source": "arch/x86/kvm/guilty.c",
        "line": 4,
        "inline": True,
        "patch": 1,
    }


@pytest.mark.parametrize(("built", "owner"), [(None, 2), (1, 1), (2, 2)])
def test_patches_count_as_far_as_the_kernel_has_them(
    program: Path, tmp_path: Path, built: int | None, owner: int
) -> None:
    folder = series(tmp_path, again=True)
    vmlinux = tmp_path / "vmlinux"
    vmlinux.write_bytes(program.read_bytes())
    if built is not None:
        record(vmlinux, tuple(patch.digest for patch in read_series(str(folder)).patches)[:built])
    (splat,) = find_splats(log(program).encode())
    frames = Sources(vmlinux, str(folder)).frames(splat)
    assert frames is not None
    assert [(frame.line, frame.patch) for frame in frames] == [(4, owner), (8, 1), (13, 1)]


def test_kernel_of_another_series_is_the_users_error(program: Path, tmp_path: Path) -> None:
    record(tmp_path / "vmlinux", ("0" * 64,))
    with pytest.raises(UserError, match="are not the first of"):
        Sources(tmp_path / "vmlinux", str(series(tmp_path)))


def record(vmlinux: Path, patches: tuple[str, ...]) -> None:
    """What the build cache has beside a vmlinux."""
    built = BuildRecord(
        key="k",
        base="6.12.117",
        base_key="b",
        patches=patches,
        arch="x86_64",
        compiler="gcc",
        release="6.12.117",
        objects=1,
        seconds=1.0,
    )
    vmlinux.with_name("build.json").write_bytes(msgspec.json.encode(built))
