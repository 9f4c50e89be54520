"""A kernel with debug information, asked for the source lines of a report's frames."""

from __future__ import annotations

import subprocess
from functools import cached_property
from pathlib import Path

from harness.build.tools import program
from harness.dmesg.symbols import Place, SymbolTable, printed_frames, read_addr2line
from harness.errors import UserError


class Vmlinux:
    """The vmlinux of the kernel that wrote a log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _symbols(self) -> SymbolTable:
        return SymbolTable(self._ask("nm", "-n", str(self._path)))

    def places(self, text: str) -> tuple[Place, ...]:
        """The source lines on the stack of a report, inlined callers included, innermost first.

        Frames of modules are left out, and of functions that this vmlinux hasn't.  UserError if
        the file is no vmlinux with symbols.
        """
        found = [self._symbols.address(frame) for frame in printed_frames(text)]
        wanted = [address for address in found if address is not None]
        if not wanted:
            return ()
        arguments = ("-a", "-f", "-i", "-e", str(self._path), *map(hex, wanted))
        lines = read_addr2line(self._ask("addr2line", *arguments), wanted)
        return tuple(place for address in wanted for place in lines[address])

    def _ask(self, tool: str, *arguments: str) -> str:
        path = program(tool)
        if path is None:
            raise UserError(f"looking for {tool}", "it is not there", "install binutils")
        done = subprocess.run(
            [path, *arguments], capture_output=True, encoding="utf-8", errors="replace", check=False
        )
        if done.returncode:
            raise UserError(
                f"reading {self._path} with {tool}",
                done.stderr.strip()[:500],
                "name the vmlinux of the kernel that wrote the log",
            )
        return done.stdout
