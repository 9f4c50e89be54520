"""What is true of the splats of any bytes whatever."""

from __future__ import annotations

import io
import json
import re
from unittest import mock

import msgspec

from harness.dmesg import Splat, find_splats, iter_splats
from harness.dmesg.tracker import Tracker
from harness.dmesg_command import finding

_TEXT = 64 * 1024
_TITLE = 160
# A frame's name is part of the text; as JSON, a character takes up to six bytes.
_JSON = 6 * (_TEXT + 10 * 2048)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Trickle(io.BytesIO):
    """A stream of which each read gives only so many bytes."""

    def __init__(self, log: bytes, size: int) -> None:
        super().__init__(log)
        self._size = size

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(self._size)


def checked(log: bytes) -> tuple[Splat, ...]:
    """The log's splats, having looked at each of their fields."""
    splats = find_splats(log)
    for splat in splats:
        assert 0 <= splat.start < splat.end <= len(log), splat
        assert 0 < len(splat.title) <= _TITLE, splat
        assert len(splat.text) <= _TEXT, splat
        assert not _CONTROL_IN_TEXT.search(splat.text), splat
        shown = msgspec.json.encode(finding(splat))
        assert len(shown) <= _JSON, splat
        for number in (splat.pid, splat.cpu, splat.line):
            assert number is None or 0 <= number < 10**10, splat
        for value in json.loads(shown).values():
            for text in value if isinstance(value, list) else [value]:
                assert not (isinstance(text, str) and _CONTROL.search(text)), splat
    places = [(splat.start, splat.end) for splat in splats]
    assert places == sorted(places)
    return splats


def read_in_chunks(log: bytes, size: int) -> tuple[Splat, ...]:
    """The splats of a stream that gives `size` bytes at a time."""
    splats = tuple(iter_splats(Trickle(log, size)))
    return tuple(sorted(splats, key=lambda splat: (splat.start, splat.end)))


def _follow_singly(self: Tracker, block: bytes, at: int, stop: int, base: int) -> None:
    for line in re.compile(rb"[^\n]+").finditer(block, at, stop):
        if not self.idle:
            self.read(block, line.start(), line.end(), base, hot=False)


def read_singly(log: bytes) -> tuple[Splat, ...]:
    """The splats without the short cuts of Tracker.follow()."""
    with mock.patch.object(Tracker, "follow", _follow_singly):
        return find_splats(log)


def gist(splats: tuple[Splat, ...]) -> list[tuple[str, str, str]]:
    """What of the splats has nothing to do with where in the log they are."""
    return [(splat.type.value, splat.title, splat.function) for splat in splats]
