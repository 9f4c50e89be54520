"""Frames to source lines: on a program with debug information, as a vmlinux is one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.build.vmlinux import Vmlinux
from harness.dmesg.symbols import PrintedFrame, SymbolTable, printed_frames
from harness.errors import UserError

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


def test_command_names_the_patch_that_a_frame_is_from(program: Path, tmp_path: Path) -> None:
    added = "".join(f"+{line}\n" for line in SOURCE.splitlines())
    count = len(SOURCE.splitlines())
    (tmp_path / "series").write_text("one.patch\n")
    (tmp_path / "one.patch").write_text(
        "From: noref project <noref@noref.invalid>\nSubject: [PATCH] add guilty\n\nWhy.\n---\n"
        "diff --git a/arch/x86/kvm/guilty.c b/arch/x86/kvm/guilty.c\nnew file mode 100644\n"
        f"--- /dev/null\n+++ b/arch/x86/kvm/guilty.c\n@@ -0,0 +1,{count} @@\n{added}"
    )
    head = (
        "------------[ cut here ]------------\n"
        "WARNING: CPU: 0 PID: 1 at arch/x86/kvm/guilty.c:4 guilty+0x1/0x2\n"
        "CPU: 0 PID: 1 Comm: vmm Not tainted 6.12.117 #1\n"
    )
    log = tmp_path / "log"
    log.write_text(head + report(program) + "---[ end trace 0000000000000000 ]---\n")
    arguments = ["--vmlinux", str(program), "--series", str(tmp_path), str(log)]
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
