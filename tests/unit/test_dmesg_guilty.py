"""Whom a report blames: the function that a maintainer would name, in reports as people send them.

Most are symbolised, with inlined callers, as syzbot's are; the same report without symbols has to
have the same title. Function names and layout are the kernel's, addresses and sizes are made up.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.dmesg import Splat, find_splats

DATA = Path(__file__).parent.parent / "data" / "dmesg" / "guilty"


class Sample(NamedTuple):
    kind: str
    function: str
    body: list[str]


def samples() -> list[Sample]:
    found = []
    for path in sorted(DATA.glob("*.reports")):
        for part in path.read_text().split("\n%% ")[1:]:
            header, *body = part.removesuffix("\n").split("\n")
            kind, function = (text.strip() for text in header.split("|"))
            found.append(Sample(kind, function, body))
    return found


SAMPLES = samples()
NAMES = [f"{index}-{sample.kind}-{sample.function}" for index, sample in enumerate(SAMPLES)]
CHATTER = ["usb 1-1: new high-speed USB device"] * 30


def read(body: list[str], caller: str = "") -> Splat:
    lines = [
        f"[  {100 + at / 1e4:.6f}]{caller} {text}\n" for at, text in enumerate([*body, *CHATTER])
    ]
    (splat,) = find_splats("".join(lines).encode())
    return splat


def without_symbols(body: list[str]) -> list[str]:
    """The report as the kernel wrote it, before a symboliser saw it."""
    raw = [text for text in body if not text.endswith("[inline]")]
    return [re.sub(r"(\+0x[0-9a-f]+/0x[0-9a-f]+) [\w./-]+\.[chS]:\d+", r"\1", text) for text in raw]


@pytest.mark.parametrize("caller", ["", "[ T5823]"])
@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_the_guilty_function_is_the_one_that_a_maintainer_names(
    sample: Sample, caller: str
) -> None:
    splat = read(sample.body, caller)
    assert (splat.type.value, splat.function) == (sample.kind, sample.function)
    assert not splat.corrupted


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_a_symboliser_does_not_change_the_title(sample: Sample) -> None:
    assert read(without_symbols(sample.body)).title == read(sample.body).title


def test_a_symboliser_says_where_the_guilty_function_is() -> None:
    sample = next(sample for sample in SAMPLES if sample.function == "skb_dequeue")
    splat = read(sample.body)
    assert (splat.source, splat.line) == ("net/core/skbuff.c", 3842)
    assert splat.trace[:2] == ("rfcomm_dlc_free", "rfcomm_run")
