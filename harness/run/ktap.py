"""Reading what the VMM says: KTAP with detail and ledger lines.  Hostile text in, values out."""

from __future__ import annotations

import re

from harness.dmesg import clean_text
from harness.model import PageState, Result, Subtest, Value

_LINE_LIMIT = 2000
_STEP = re.compile(r"(ok|not ok) (\d+) (?:- )?(.*)")
_PAGE_FIELDS = ("page", "pfn", "own_ref", "page_ref", "mapcount", "sum")


class Report(Value):
    """complete: every step of the plan was reported, once and in order, and the ledger each time.

    Output that was cut off, wherever, is never complete.
    """

    subtests: tuple[Subtest, ...]
    before: tuple[PageState, ...]
    during: tuple[PageState, ...]
    after: tuple[PageState, ...]
    bailed_out: str
    complete: bool


def read_report(output: bytes) -> Report:
    """Read the VMM's output; lines that it can't have written are ignored."""
    planned: int | None = None
    subtests: list[Subtest] = []
    ledgers: dict[str, list[PageState]] = {"before": [], "during": [], "after": []}
    detail: list[str] = []
    bailed_out = ""
    in_order = True
    ended = output.endswith(b"\n")
    lines = output.splitlines()
    for raw in lines if ended else lines[:-1]:
        line = clean_text(raw, _LINE_LIMIT).strip()
        if line.startswith("1..") and line[3:].isdecimal() and planned is None:
            planned = int(line[3:])
        elif line.startswith("# detail "):
            detail.append(line[len("# detail ") :])
        elif line.startswith("# ledger "):
            _, _, when, *words = line.split()
            page = _read_page(words)
            if page is not None and when in ledgers:
                # Taken down again: the region has other pages now.
                if any(page.page == earlier.page for earlier in ledgers[when]):
                    ledgers[when] = []
                ledgers[when].append(page)
        elif line.startswith("Bail out!"):
            bailed_out = line[len("Bail out!") :].strip()
        elif match := _STEP.fullmatch(line):
            in_order &= match[2] == str(len(subtests) + 1)
            subtests.append(_read_step(match[1], match[3], tuple(detail)))
            detail = []
    return Report(
        subtests=tuple(subtests),
        before=tuple(ledgers["before"]),
        during=tuple(ledgers["during"]),
        after=tuple(ledgers["after"]),
        bailed_out=bailed_out,
        complete=(
            ended
            and in_order
            and planned == len(subtests)
            and len({len(pages) for pages in ledgers.values()}) == 1
        ),
    )


def _read_step(result: str, text: str, detail: tuple[str, ...]) -> Subtest:
    text, skip, reason = text.partition("# SKIP")
    prop, colon, name = text.strip().partition(": ")
    return Subtest(
        name=name if colon else prop,
        prop=prop if colon else "",
        # A step that failed is not skipped, whatever it says.
        result=Result.skip if skip and result == Result.ok.value else Result(result),
        reason=reason.strip(),
        detail=detail,
    )


def _read_page(words: list[str]) -> PageState | None:
    values = dict(word.split("=", 1) for word in words if "=" in word)
    try:
        numbers = {name: int(values[name]) for name in _PAGE_FIELDS}
    except (KeyError, ValueError):
        return None
    flags = tuple(flag for flag in values.get("flags", "").split(",") if flag)
    return PageState(flags=flags, **numbers)
