"""Find the complaints in a log of any size, in one pass."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from harness.dmesg.records import MAX_LINE, split_line
from harness.dmesg.splat import Splat
from harness.dmesg.table import TRIGGERS
from harness.dmesg.tracker import Tracker

_CHUNK = 1 << 18
# Control characters are noise to the reader; the table keeps every byte in its place. A carriage
# return ends a line: what overwrites a line on a terminal is another line here.
_NOISE = bytes(
    0x0A if byte == 0x0D else byte if byte >= 0x20 or byte in (0x09, 0x0A, 0x1B) else 0x20
    for byte in range(256)
)


def find_splats(log: bytes) -> tuple[Splat, ...]:
    """The complaints in a log, in the order in which they begin."""
    found = iter_splats(io.BytesIO(log))
    return tuple(sorted(found, key=lambda splat: (splat.start, splat.end)))


def iter_splats(stream: BinaryIO) -> Iterator[Splat]:
    """The complaints in a stream, each as soon as it is over, in constant memory."""
    tracker = Tracker()
    rest = b""
    base = 0
    while data := stream.read(_CHUNK):
        block = rest + data.translate(_NOISE)
        cut = block.rfind(b"\n") + 1
        if not cut and len(block) >= MAX_LINE:
            cut = len(block)  # no line is that long: take it as it is
        rest = block[cut:]
        if cut:
            yield from _scan(tracker, block[:cut], base)
            base += cut
    if rest:
        yield from _scan(tracker, rest, base)
    yield from tracker.close()


def _scan(tracker: Tracker, block: bytes, base: int) -> Iterator[Splat]:
    """Read whole lines. While nothing is being gathered, only lines with a trigger are read."""
    tracker.look(block, base)
    hits: list[int] | None = None
    next_hit = 0
    at = 0
    while at < len(block):
        if tracker.idle:
            if hits is None:
                hits = _hits(block, at)
            while next_hit < len(hits) and hits[next_hit] < at:
                next_hit += 1
            if next_hit == len(hits):
                return
            at = max(at, block.rfind(b"\n", at, hits[next_hit]) + 1)
        stop = block.find(b"\n", at)
        stop = len(block) if stop < 0 else stop
        for begin in range(at, stop, MAX_LINE):
            piece = block[begin : min(stop, begin + MAX_LINE)]
            for record in split_line(piece, base + begin):
                yield from tracker.push(record)
        at = stop + 1


def _hits(block: bytes, at: int) -> list[int]:
    """Where the triggers are, in order."""
    hits = []
    for word in TRIGGERS:
        found = block.find(word, at)
        while found >= 0:
            hits.append(found)
            found = block.find(word, found + len(word))
    hits.sort()
    return hits
