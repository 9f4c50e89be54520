"""Find the complaints in a log of any size, in one pass."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from harness.dmesg.records import MAX_LINE
from harness.dmesg.splat import Splat
from harness.dmesg.table import find_triggers
from harness.dmesg.tracker import Tracker

_CHUNK = 1 << 18
_MAX_WAITING = 256
# Control characters are noise to the reader; the table keeps every byte in its place. A carriage
# return ends a line: what overwrites a line on a terminal is another line here.
_NOISE = bytes(
    0x0A if byte == 0x0D else byte if byte >= 0x20 or byte in (0x07, 0x09, 0x0A, 0x1B) else 0x20
    for byte in range(256)
)


def find_splats(log: bytes) -> tuple[Splat, ...]:
    """The complaints in a log, in the order in which they begin."""
    return tuple(sorted(iter_splats(io.BytesIO(log)), key=_place))


def iter_splats(stream: BinaryIO | io.RawIOBase) -> Iterator[Splat]:
    """The complaints in a stream in constant memory, each as soon as it is over and none that
    began before it can still come: in the order in which they begin, but for a storm of them
    during a report that doesn't end."""
    tracker = Tracker()
    waiting: list[Splat] = []
    rest = b""
    base = 0
    while data := stream.read(_CHUNK):
        block = _broken(rest + data.translate(_NOISE))
        cut = block.rfind(b"\n") + 1
        rest = block[cut:]
        if cut:
            _scan(tracker, block[:cut], base)
            base += cut
            if tracker.done:
                waiting += tracker.done
                tracker.done.clear()
                waiting.sort(key=_place)
            floor = tracker.floor
            while waiting and (waiting[0].start < floor or len(waiting) > _MAX_WAITING):
                yield waiting.pop(0)
    if rest:
        _scan(tracker, rest, base)
    tracker.close()
    yield from sorted([*waiting, *tracker.done], key=_place)


def _place(splat: Splat) -> tuple[int, int]:
    return splat.start, splat.end


def _broken(block: bytes) -> bytes:
    """The block, which begins with a line, with a newline in the place of the last byte of each
    MAX_LINE bytes that have none."""
    breaks = []
    at = 0
    while at + MAX_LINE <= len(block):
        end = block.rfind(b"\n", at, at + MAX_LINE)
        if end < 0:
            end = at + MAX_LINE - 1
            breaks.append(end)
        at = end + 1
    if not breaks:
        return block
    broken = bytearray(block)
    for at in breaks:
        broken[at] = 0x0A
    return bytes(broken)


def _scan(tracker: Tracker, block: bytes, base: int) -> None:
    """Read whole lines. While nothing is being gathered, only lines with a trigger are read."""
    tracker.look(block, base)
    at = 0
    for hit in find_triggers(block):
        if hit < at:
            continue  # one more trigger on a line that was read
        line = block.rfind(b"\n", at, hit) + 1 or at
        if line > at and not tracker.idle:
            tracker.follow(block, at, line, base)
        end = block.find(b"\n", hit)
        end = len(block) if end < 0 else end
        tracker.read(block, line, end, base, hot=True)
        at = end + 1
    if not tracker.idle:
        tracker.follow(block, at, len(block), base)
