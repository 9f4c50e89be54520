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
    0x0A if byte == 0x0D else byte if byte >= 0x20 or byte in (0x07, 0x09, 0x0A, 0x1B) else 0x20
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
            _scan(tracker, block[:cut], base)
            base += cut
            yield from _taken(tracker)
    if rest:
        _scan(tracker, rest, base)
    tracker.close()
    yield from _taken(tracker)


def _taken(tracker: Tracker) -> list[Splat]:
    done, tracker.done = tracker.done, []
    return done


def _scan(tracker: Tracker, block: bytes, base: int) -> None:
    """Read whole lines. While nothing is being gathered, only lines with a trigger are read."""
    tracker.look(block, base)
    hits = [*_hits(block), len(block)]
    next_hit = at = 0
    while at < len(block):
        while hits[next_hit] < at:
            next_hit += 1
        hit = hits[next_hit]
        if tracker.idle:
            if hit == len(block):
                return
            at = max(at, block.rfind(b"\n", at, hit) + 1)
        stop = block.find(b"\n", at)
        stop = len(block) if stop < 0 else stop
        if stop > at:
            hot = hit < stop
            for begin in range(at, stop, MAX_LINE):
                piece = block[begin : min(stop, begin + MAX_LINE)]
                for record in split_line(piece, base + begin):
                    tracker.push(record, hot)
        at = stop + 1


def _hits(block: bytes) -> list[int]:
    """Where the triggers are, in order."""
    hits = []
    for word in TRIGGERS:
        found = block.find(word)
        while found >= 0:
            hits.append(found)
            found = block.find(word, found + len(word))
    hits.sort()
    return hits
