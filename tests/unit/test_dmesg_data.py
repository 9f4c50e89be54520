"""The recipe of the real logs, tools/dmesg_data.py: what is done to which kernel."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from harness.machine.arches import ARCHES, find_arch
from harness.source.base import Base, Kind
from tools.dmesg_data import COMPLAIN, DATA, Trigger, folder_name, triggers, variants

VERSIONS = ("6.1.192", "6.12.117", "7.3.4")


def base(version: str) -> Base:
    return Base(kind=Kind.tree, path=Path("linux"), version=version, key="0")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("arch", "variant"), [(arch, variant) for arch in ARCHES for variant in variants(arch)]
)
def test_a_kernel_has_one_trigger_of_a_name(version: str, arch: str, variant: str) -> None:
    names = Counter(t.name for t in triggers(base(version), variant, find_arch(arch)))
    assert names
    assert set(names.values()) == {1}


def test_an_architecture_has_what_is_its_own() -> None:
    def names(arch: str) -> set[str]:
        return {t.name for t in triggers(base("6.12.117"), "plain", find_arch(arch))}

    assert "divide" in names("x86_64") - names("arm64")
    assert "pc_align" in names("arm64") - names("x86_64")


def test_the_module_has_every_complaint_that_a_trigger_asks_for() -> None:
    sources = "".join(path.read_text() for path in COMPLAIN.glob("*.c"))
    there = set(re.findall(r"^\tCOMPLAINT\((\w+)\),$", sources, re.MULTILINE))
    for arch in ARCHES.values():
        for variant in variants(arch.name):
            asked = {t.complain for t in triggers(base("6.12.117"), variant, arch)} - {""}
            assert asked <= there


def test_the_folder_of_the_first_architecture_has_no_name_of_it() -> None:
    assert folder_name(base("6.12.117"), "kasan", find_arch("x86_64")) == "6.12-kasan"
    assert folder_name(base("6.12.117"), "kasan", find_arch("arm64")) == "6.12-kasan-arm64"


@pytest.mark.parametrize("folder", sorted(DATA.iterdir()), ids=lambda folder: folder.name)
def test_what_a_log_must_contain_is_what_the_table_says(folder: Path) -> None:
    _, variant, *rest = folder.name.split("-")
    table: dict[str, Trigger] = {}
    for log in folder.glob("*.log"):
        header = dict[str, list[str]]()
        for line in log.read_text(errors="replace").split("\n"):
            if not line.startswith("# "):
                break
            key, _, value = line[2:].partition(": ")
            header.setdefault(key, []).append(value)
        version, _, arch = header["kernel"][0].split()
        assert rest == ([] if arch == "x86_64" else [arch])
        table = table or {t.name: t for t in triggers(base(version), variant, find_arch(arch))}
        assert tuple(header.get("expect", ())) == table[log.stem].expected(variant), log
