"""From the frames of a report to source lines, given what nm and addr2line say of the vmlinux.

Pure: the tools' output comes in as text (harness/build/vmlinux.py runs them).  Frames are printed
as `function+0xOFFSET/0xSIZE` (sprint_symbol() in kernel/kallsyms.c).  The size tells functions of
one name apart; it is the distance to the next symbol, so that is how it is computed here too.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from harness.dmesg.frames import plain_name, plain_source

_FRAME = re.compile(
    r"^\s*(?P<pc>(?:RIP: 0010:|pc : ))?(?:\[<[0-9a-fx]+>\] )?"
    r"(?P<name>[\w.$]+)\+0x(?P<offset>[0-9a-f]{1,8})/0x(?P<size>[0-9a-f]{1,8})"
    r"(?P<module> \[\w+\])?",
    re.MULTILINE,
)
_PLACE = re.compile(r"(.+):(\d+|\?)(?: \(discriminator \d+\))?")


class PrintedFrame(NamedTuple):
    """A frame as the log has it.  returns: it is where a call returns to, past the call."""

    name: str
    offset: int
    size: int
    returns: bool


class Place(NamedTuple):
    """A source line on the stack.  inline: it has no frame of its own."""

    function: str
    source: str
    line: int | None
    inline: bool


def printed_frames(text: str) -> tuple[PrintedFrame, ...]:
    """The reliable frames in a report's text, modules' aside, innermost first."""
    return tuple(
        PrintedFrame(
            match["name"], int(match["offset"], 16), int(match["size"], 16), not match["pc"]
        )
        for match in _FRAME.finditer(text)
        if not match["module"]
    )


class SymbolTable:
    """The functions of a vmlinux: name and size to address."""

    def __init__(self, nm: str) -> None:
        """nm: the output of `nm -n`."""
        self._starts: dict[str, list[int]] = {}
        addresses: set[int] = set()
        for line in nm.splitlines():
            fields = line.split()
            if len(fields) == 3 and fields[1] in "tTwW":
                address = int(fields[0], 16)
                self._starts.setdefault(fields[2], []).append(address)
                addresses.add(address)
        self._addresses = sorted(addresses)

    def address(self, frame: PrintedFrame) -> int | None:
        """The address that a frame is about; of a return address, that of the call.

        None if no function of that name has that size: the log is of another kernel.
        """
        for start in self._starts.get(frame.name, ()):
            after = bisect_right(self._addresses, start)
            end = self._addresses[after] if after < len(self._addresses) else None
            if end is None or end - start == frame.size:
                return start + frame.offset - (1 if frame.returns and frame.offset else 0)
        return None


def read_addr2line(output: str, wanted: Iterable[int]) -> Mapping[int, tuple[Place, ...]]:
    """What `addr2line -a -f -i` says of each address: the innermost inlined function first."""
    found: dict[int, list[Place]] = {address: [] for address in wanted}
    places: list[Place] = []
    lines = iter(output.splitlines())
    for line in lines:
        if re.fullmatch(r"0x[0-9a-f]+", line):
            places = found.setdefault(int(line, 16), [])
            continue
        match = _PLACE.fullmatch(next(lines, ""))
        if match and match[1] != "??":
            number = int(match[2]) if match[2].isdecimal() and match[2] != "0" else None
            places.append(Place(plain_name(line), plain_source(match[1]), number, True))
    return {
        address: tuple(places[:-1]) + tuple(place._replace(inline=False) for place in places[-1:])
        for address, places in found.items()
    }
