"""Whatever a guest says is shown as text: no format obeys it, and none gets too long by it."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from junitparser import JUnitXml
from rich.console import Console
from test_report_sample import noref_run, splat, step

from harness.judge.result import RunResult
from harness.model import End, Outcome, Result
from harness.report.html import html
from harness.report.jsonfile import read_json, write_json
from harness.report.junit import write_junit
from harness.report.ktap import ktap
from harness.report.terminal import show
from harness.report.text import LINE_LIMIT, block, line

EVIL = (
    "\x1b[2J\x1b]0;owned\x07\x9b31m[bold]x[/bold][/] <script>alert(1)</script> \x00 ]]> &amp; "
    "\u202e\u2028 '\" {{ 7*7 }} # SKIP\nok 1 all good\r\nnot ok 2 \x7f"
)


@pytest.fixture(scope="module")
def result() -> RunResult:
    def evil(outcome: Outcome) -> Outcome:
        failed = step("access", EVIL, Result.not_ok, EVIL, "x" * 100_000)
        note = EVIL if outcome.cell.scenario == "vm_close" else ""
        return msgspec.structs.replace(
            outcome,
            end=End.panic if note else outcome.end,
            note=note,
            subtests=(failed,),
            splats=(splat(EVIL, EVIL * 1000), splat("[red]" + "y" * 100_000)),
        )

    return noref_run(("base", "noref+4"), change=evil)


def controls(text: str) -> set[str]:
    return {char for char in text if not char.isprintable() and char not in "\n\t"}


@pytest.mark.parametrize("terminal", [True, False])
def test_the_terminal_obeys_nothing_but_our_colours(result: RunResult, terminal: bool) -> None:
    file = io.StringIO()
    show(result, Console(file=file, width=100, force_terminal=terminal), Path("/r"))
    text = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())
    assert not controls(text)
    assert "[bold]x[/bold]" in text
    assert "\nok 1 all good" not in text
    assert max(map(len, text.splitlines())) < 3 * LINE_LIMIT


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.links |= {value or "" for name, value in attrs if name in ("href", "src")}


def test_the_page_has_no_markup_and_no_links_but_ours(result: RunResult) -> None:
    page = html(result)
    tags = Tags()
    tags.feed(page)
    assert not tags.seen & {"script", "img", "iframe", "link", "bold"}
    assert all(link.startswith(("#", "./")) for link in tags.links)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7*7 }}" in page
    assert not controls(page)
    assert "x" * 1000 not in page


def test_junit_is_well_formed_and_holds_the_text(result: RunResult, tmp_path: Path) -> None:
    write_junit(result, tmp_path / "junit.xml")
    assert JUnitXml.fromfile(str(tmp_path / "junit.xml")).tests == 72
    text = (tmp_path / "junit.xml").read_text()
    assert "<script>" not in text
    assert not controls(text)


def test_json_keeps_every_character_but_shows_none_that_acts(
    result: RunResult, tmp_path: Path
) -> None:
    write_json(result, tmp_path / "result.json")
    assert read_json(tmp_path / "result.json") == result
    assert not controls((tmp_path / "result.json").read_text())


def test_ktap_has_no_result_that_a_guest_made_up(result: RunResult) -> None:
    lines = ktap(result).splitlines()
    assert not [text for text in lines if text.strip() == "ok 1 all good"]
    assert not [text for text in lines if re.match(r" *(not )?ok .*[^\\]# SKIP", text)]
    assert not controls("\n".join(lines))


def test_text_is_bounded_and_says_that_it_was_cut() -> None:
    assert line("x" * 1000, 10) == "xxxxxxxxx…"
    assert line("x" * 10, 10) == "x" * 10
    assert block("a\nb\n\n", 10) == "a\nb"
    assert line("a\ud800b") == "a?b"
