"""`noref dmesg`: what a kernel log complains of.  A log may be of any size: it is a stream."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from harness.dmesg import Splat, SplatType, clean_text, iter_splats
from harness.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USER

_STDIN = "-"


class Finding(msgspec.Struct, frozen=True):
    """A splat as `--json` shows it: docs/dmesg.md has the meaning of each field."""

    type: SplatType
    title: str
    function: str
    source: str
    line: int | None
    task: str
    pid: int | None
    cpu: int | None
    corrupted: bool
    fatal: bool
    start: int
    end: int
    trace: tuple[str, ...]


def finding(splat: Splat) -> Finding:
    """The part of a splat that `--json` shows."""
    return Finding(**{name: getattr(splat, name) for name in Finding.__struct_fields__})


class _Json:
    """An object for each file, on a line of its own, written bit by bit."""

    def begin(self, name: str) -> None:
        self._write(b'{"file":' + msgspec.json.encode(name) + b',"splats":[')
        self._between = b""

    def splat(self, splat: Splat) -> None:
        self._write(self._between + msgspec.json.encode(finding(splat)))
        self._between = b","

    def end(self, count: int) -> None:
        self._write(b"]}\n")

    @staticmethod
    def _write(data: bytes) -> None:
        sys.stdout.buffer.write(data)


class _Plain:
    """For people: a title, and below it what else is known."""

    def begin(self, name: str) -> None:
        self._name = name

    def splat(self, splat: Splat) -> None:
        who = f"{splat.task}/{splat.pid}" if splat.pid is not None else splat.task
        facts = [
            splat.type.value,
            f"{splat.source}:{splat.line}" if splat.source else "",
            f"task {who}" if who else "",
            f"CPU {splat.cpu}" if splat.cpu is not None else "",
            f"bytes {splat.start}-{splat.end} of {self._name}",
            "corrupted" if splat.corrupted else "",
            "fatal" if splat.fatal else "",
        ]
        click.secho(_printable(splat.title), bold=True)
        click.echo("  " + _printable(", ".join(filter(None, facts))))

    def end(self, count: int) -> None:
        found = f"{count or 'no'} splat{'s' if count != 1 else ''}"
        click.echo(f"{_printable(self._name)}: {found}")


def _printable(text: str) -> str:
    """The text without what could fool a terminal, such as marks that reverse its direction."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO | FileIO]:
    if file == _STDIN:
        yield sys.stdin.buffer
    else:
        # Unbuffered: the reader takes big blocks, and a pipe's lines should be seen at once.
        with Path(file).open("rb", buffering=0) as stream:
            yield stream


def _read(file: str, out: _Json | _Plain) -> int:
    """Show a file's splats; how many there are."""
    count = 0
    with _opened(file) as stream:
        first = stream.read(0)  # a folder fails here, before anything is shown
        assert first == b""
        out.begin(clean_text(os.fsencode(file), 4096))
        try:
            for splat in iter_splats(stream):
                count += 1
                out.splat(splat)
        finally:
            out.end(count)
    return count


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each FILE.")
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(allow_dash=True))
def dmesg(files: tuple[str, ...], as_json: bool) -> int:
    """Find every kernel complaint in each FILE, or in standard input: WARNING, BUG, oops,
    lockdep, KASAN, stall, panic and so on.

    Exit status: 1 where there is a splat, 0 where there is none, 2 where a FILE can't be read.
    """
    status = EXIT_OK
    out = _Json() if as_json else _Plain()
    try:
        for file in files or (_STDIN,):
            try:
                if _read(file, out) and status == EXIT_OK:
                    status = EXIT_FINDINGS
            except BrokenPipeError:
                raise
            except OSError as error:
                name = _printable(clean_text(os.fsencode(file), 4096))
                why = error.strerror or type(error).__name__
                click.echo(f"noref: reading the log {name}: {why}", err=True)
                status = EXIT_USER
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = status or EXIT_FINDINGS
    return status
