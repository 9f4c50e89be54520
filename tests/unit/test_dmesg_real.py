"""Logs of real kernels that were made to complain (docs/dmesg-data.md)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.dmesg import Splat, find_splats

REAL = Path(__file__).parent.parent / "data" / "dmesg" / "real"

# What the reader gets wrong, by log (VERSION-VARIANT/NAME, or NAME for all), and why the
# expectation stands: remove an entry when it is right.
KNOWN_GAPS: dict[str, str] = {}


class Expected(NamedTuple):
    """A line `# expect: TYPE | title | function | file` of a log's header."""

    type: str
    title: str
    function: str
    source: str


def split(data: bytes) -> tuple[list[str], bytes]:
    """Take a log's header off its raw bytes."""
    header: list[str] = []
    while data.startswith(b"# "):
        line, _, data = data.partition(b"\n")
        header.append(line[2:].decode())
    return header, data


def expectations(header: list[str]) -> list[Expected]:
    found = []
    for line in header:
        if line.startswith("expect: "):
            fields = [field.strip() for field in line.removeprefix("expect: ").split(" | ")]
            found.append(Expected(*(*fields, "", "")[:4]))
    return found


def agrees(splat: Splat, wanted: Expected) -> bool:
    return (
        splat.type.value == wanted.type
        and fnmatchcase(splat.title, wanted.title.replace("[", "[[]"))
        and wanted.function in ("", splat.function)
        and wanted.source in ("", splat.source)
    )


LOGS = sorted(REAL.glob("*/*.log"))


def test_there_are_logs() -> None:
    assert LOGS


def cases() -> list[object]:
    found: list[object] = []
    for path in LOGS:
        name = f"{path.parent.name}/{path.stem}"
        gap = KNOWN_GAPS.get(name) or KNOWN_GAPS.get(path.stem)
        marks = [pytest.mark.xfail(reason=gap, strict=True)] if gap else []
        found.append(pytest.param(path, id=name, marks=marks))
    return found


@pytest.mark.parametrize("path", cases())
def test_a_real_log_gives_what_was_done_and_nothing_else(path: Path) -> None:
    header, log = split(path.read_bytes())
    wanted = expectations(header)
    assert wanted or "expect nothing" in header
    splats = find_splats(log)
    seen = [(splat.type.value, splat.title, splat.function, splat.source) for splat in splats]
    assert len(splats) == len(wanted), seen
    assert all(map(agrees, splats, wanted)), (seen, wanted)
