"""Every kind of complaint, in every form in which consoles and log files carry it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from harness.dmesg import find_splats

DATA = Path(__file__).parent.parent / "data" / "dmesg"


class Sample(NamedTuple):
    kind: str
    title: str
    function: str
    place: str
    whose: str
    flags: str
    body: tuple[str, ...]


def samples() -> list[Sample]:
    found = []
    for path in sorted(DATA.glob("*.reports")):
        for part in path.read_text().split("\n%% ")[1:]:
            header, *body = part.removesuffix("\n").split("\n")
            kind, title, function, place, whose, flags = map(str.strip, header.split("|"))
            found.append(Sample(kind, title, function, place, whose, flags, tuple(body)))
    return found


SAMPLES = samples()
NAMES = [f"{index}-{sample.title[:40]}" for index, sample in enumerate(SAMPLES)]
STYLES = {
    "bare": "{}\n",
    "time": "[   12.345678] {}\n",
    "caller": "[   12.345678][   T99] {}\n",
    "old caller": "[   12.345678] [   T99] {}\n",
    "level": "<4>[   12.345678] {}\n",
    "crlf": "[   12.345678] {}\r\n",
    "kmsg": "4,1234,12345678,-,caller=T99;{}\n",
    "syslog": "Jan  2 03:04:05 host kernel: [   12.345678] {}\n",
    "dmesg -T": "[Tue Jan  2 03:04:05 2024] {}\n",
    "dmesg -x": "kern  :warn  : [   12.345678] {}\n",
    "colour": "[   12.345678] \x1b[31m{}\x1b[0m\n",
    "outer": "2024-01-02 03:04:05.678 [   12.345678] {}\n",
}


def chatter(style: str) -> str:
    return "".join(
        style.format(text)
        for text in (
            "random: crng init done",
            "Speculative Return Stack Overflow: WARNING: See https://kernel.org/doc/html",
            "Freeing unused kernel image (initmem) memory: 2040K",
        )
    )


def log_of(sample: Sample, style: str) -> bytes:
    around = chatter(style)
    return (around + "".join(map(style.format, sample.body)) + around * 9).encode()


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_each_kind_is_read_as_what_it_is(sample: Sample) -> None:
    splats = find_splats(log_of(sample, STYLES["time"]))
    assert [splat.title for splat in splats] == [sample.title]
    (splat,) = splats
    place = f"{splat.source}:{splat.line}" if splat.source else ""
    task, _, pid = sample.whose.rpartition("/")
    assert splat.type.value == sample.kind
    assert splat.function == sample.function
    assert place == sample.place
    assert (splat.task, splat.pid) == (task, int(pid) if pid else None)
    assert splat.fatal == ("fatal" in sample.flags)
    assert not splat.corrupted


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_the_prefix_makes_no_difference(sample: Sample, style: str) -> None:
    splats = find_splats(log_of(sample, STYLES[style]))
    plain = find_splats(log_of(sample, STYLES["time"]))
    assert [s.text for s in splats] == [s.text for s in plain]
    for splat, same in zip(splats, plain, strict=True):
        assert (splat.type, splat.title, splat.trace) == (same.type, same.title, same.trace)


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_the_byte_range_is_the_report(sample: Sample) -> None:
    log = log_of(sample, STYLES["time"])
    (splat,) = find_splats(log)
    part = log[splat.start : splat.end].decode()
    assert part.startswith("[   12.345678] ") and not part.endswith("\n")
    said = [line.removeprefix("[   12.345678] ").rstrip() for line in part.split("\n")]
    assert [line for line in said if line] == [line for line in splat.text.split("\n") if line]
    assert set(said) <= {line.rstrip() for line in sample.body}


def test_one_after_the_other_they_are_all_found() -> None:
    log = ""
    for second, sample in enumerate(SAMPLES):
        log += "".join(f"[{100 + second:5d}.000000] {line}\n" for line in sample.body)
    assert [s.title for s in find_splats(log.encode())] == [s.title for s in SAMPLES]
