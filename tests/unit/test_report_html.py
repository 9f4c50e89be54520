"""The page: whole, self-contained, and with a way to each cell's evidence."""

from __future__ import annotations

import re

import pytest
from test_report_sample import LABELS, SPLAT_LINE, SUBJECTS, noref_run, without_patch_4

from harness.judge.expected import Expected
from harness.report.html import html


@pytest.fixture(scope="module")
def page() -> str:
    return html(noref_run(change=without_patch_4))


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)


def test_the_page_works_in_light_and_dark(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert '<meta name="color-scheme" content="light dark">' in page


def test_the_page_has_every_kernel_patch_and_cell(page: str) -> None:
    for label, subject in zip(LABELS, SUBJECTS, strict=True):
        assert label in page
        assert subject in page
    assert len(re.findall(r"<details id=", page)) == 180


def test_a_finding_shows_its_evidence_its_command_and_its_log(page: str) -> None:
    assert SPLAT_LINE in page
    assert "noref run noref+4/legacy/tail/fault/vm_close" in page
    assert 'href="./cells/noref%2B4/legacy/tail/fault/vm_close/console.log"' in page
    assert "14 findings" in page


def test_each_field_of_the_table_leads_to_a_cell_of_the_page(page: str) -> None:
    links = set(re.findall(r'href="#([^"]*)"', page))
    assert links
    assert links <= set(re.findall(r'id="([^"]*)"', page))


def test_only_the_groups_with_findings_are_open(page: str) -> None:
    assert len(re.findall(r"<details open>", page)) == 2


def test_a_kernel_that_was_not_built_is_on_the_page() -> None:
    page = html(noref_run(unbuilt="noref+3"))
    assert "not built: compiling mmu.c: &#39;gfn_to_pfn&#39; undeclared" in page


def test_a_page_of_many_findings_stays_readable() -> None:
    page = html(noref_run(expected=Expected()))
    assert page.count('<div class="card">') == 40
    assert re.search(r"and \d+ more cells with findings, marked below", page)
