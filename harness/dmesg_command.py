"""`noref dmesg`: what a kernel log complains of.  A log may be of any size: it is a stream."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from harness.build.kernel import BuildRecord
from harness.build.vmlinux import Vmlinux
from harness.dmesg import Splat, SplatType, clean_text, iter_splats
from harness.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USER, UserError
from harness.model import Patch
from harness.source.lines import line_owners
from harness.source.series import read_series

_STDIN = "-"
# As a shell has it for a command that SIGPIPE ended
_EXIT_UNHEARD = 141


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


class FrameLine(msgspec.Struct, frozen=True):
    """A source line on the stack, with --vmlinux; patch: the one of --series that added it."""

    function: str
    source: str
    line: int | None
    inline: bool
    patch: int | None


class Resolved(Finding, frozen=True):
    """A splat as `--json --vmlinux` shows it."""

    frames: tuple[FrameLine, ...]


class Sources:
    """What is known of the kernel that wrote the log: its vmlinux, and the series on it."""

    def __init__(self, vmlinux: Path | None, series: str | None) -> None:
        self._vmlinux = Vmlinux(vmlinux) if vmlinux else None
        self._owners = line_owners(_patches(series, vmlinux)) if series and vmlinux else {}

    def frames(self, splat: Splat) -> tuple[FrameLine, ...] | None:
        """The stack of a splat in source lines, innermost first; None without a vmlinux."""
        if self._vmlinux is None:
            return None
        return tuple(
            FrameLine(
                function=place.function,
                source=place.source,
                line=place.line,
                inline=place.inline,
                patch=self._owners.get(place.source, {}).get(place.line or 0),
            )
            for place in self._vmlinux.places(splat.text)
        )


def _patches(series: str, vmlinux: Path) -> tuple[Patch, ...]:
    """The patches of the series that are in the kernel: all, unless build.json says how many."""
    patches = read_series(series).patches
    try:
        record = msgspec.json.decode((vmlinux.parent / "build.json").read_bytes(), type=BuildRecord)
    except FileNotFoundError:
        return patches
    built = patches[: len(record.patches)]
    if tuple(patch.digest for patch in built) != record.patches:
        raise UserError(
            f"naming the patches of {vmlinux}",
            f"the patches in it ({len(record.patches)}) are not the first of {series}",
            "name the series that it was built with, as it was then",
        )
    return built


class _Unreadable(Exception):
    """A log can't be read; error: why."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        self.why = error.strerror or type(error).__name__


class _Json:
    """An object for each file, on a line of its own, written bit by bit."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.found = False

    def begin(self, name: str) -> None:
        self._write(b'{"file":' + msgspec.json.encode(name) + b',"splats":[')
        self._between = b""

    def splat(self, splat: Splat) -> None:
        shown = finding(splat)
        frames = self._sources.frames(splat)
        if frames is not None:
            shown = Resolved(**msgspec.structs.asdict(shown), frames=frames)
        self._write(self._between + msgspec.json.encode(shown))
        self._between = b","

    def end(self, count: int) -> None:
        self._write(b"]}\n")

    @staticmethod
    def _write(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


class _Plain:
    """For people: a title, and below it what else is known."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.found = False

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
        for frame in self._sources.frames(splat) or ():
            inline = " [inline]" if frame.inline else ""
            patch = f"  ← patch {frame.patch}" if frame.patch is not None else ""
            place = f"{frame.source}:{frame.line or '?'}"
            click.echo("    " + _printable(f"{frame.function} {place}{inline}{patch}"))

    def end(self, count: int) -> None:
        found = f"{count or 'no'} splat{'s' if count != 1 else ''}"
        click.echo(f"{_printable(self._name)}: {found}")


def _printable(text: str) -> str:
    """The text without what could fool a terminal, such as marks that reverse its direction."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO | RawIOBase]:
    # Unbuffered: the reader takes big blocks, and a pipe's lines should be seen at once.
    if file == _STDIN:
        if sys.stdin is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        yield getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
    else:
        with Path(file).open("rb", buffering=0) as stream:
            yield stream


def _splats(file: str) -> Iterator[Splat | None]:
    """Yield None once the file turns out to be one that can be read, then its splats."""
    try:
        with _opened(file) as stream:
            stream.read(0)  # a folder fails here
            yield None
            yield from iter_splats(stream)
    except OSError as error:
        raise _Unreadable(error) from error


def _read(file: str, out: _Json | _Plain) -> None:
    """Show a file's splats."""
    splats = _splats(file)
    next(splats)
    out.begin(clean_text(os.fsencode(file), 4096))
    count = 0
    try:
        for splat in filter(None, splats):
            count += 1
            out.found = True
            out.splat(splat)
    finally:
        out.end(count)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each FILE.")
@click.option(
    "--vmlinux",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The kernel that wrote the logs, with debug information: frames become source lines.",
)
@click.option("--series", help="With --vmlinux: the series on it, to name the patch of a line.")
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(allow_dash=True))
def dmesg(files: tuple[str, ...], as_json: bool, vmlinux: Path | None, series: str | None) -> int:
    """Find every kernel complaint in each FILE, or in standard input: WARNING, BUG, oops,
    lockdep, KASAN, stall, panic and so on.

    Exit status: 1 where there is a splat, 0 where there is none, 2 where a FILE can't be read.
    """
    status = EXIT_OK
    if series and not vmlinux:
        raise click.UsageError("--series says which patch a source line is from: add --vmlinux")
    if sys.stdout is None:
        raise UserError("showing what is in the logs", "standard output is closed", "open it")
    sources = Sources(vmlinux, series)
    out = _Json(sources) if as_json else _Plain(sources)
    try:
        for file in files or (_STDIN,):
            try:
                _read(file, out)
            except _Unreadable as error:
                name = _printable(clean_text(os.fsencode(file), 4096))
                click.echo(f"noref: reading the log {name}: {error.why}", err=True)
                status = EXIT_USER
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = status or (EXIT_OK if out.found else _EXIT_UNHEARD)
    return status or (EXIT_FINDINGS if out.found else EXIT_OK)
