"""The bundled series, and what is known of them: whole, about what exists, none in vain."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.judge.expected import read_expected
from harness.machine.arches import ARCHES
from harness.model import Cell, Finding, Property, Standing
from harness.run.catalogue import read_catalogue
from harness.source.series import read_series

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = sorted((ROOT / "kernel-patches").glob("*/*/series"))
FACTS = sorted((ROOT / "kernel-patches").glob("*/*/expected.toml"))
BASES = sorted((ROOT / "kernel-patches").glob("*/base.toml"))
SCENARIOS = read_catalogue(ROOT / "guest-images")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT / "kernel-patches").with_suffix(""))


def test_there_is_a_bundled_series() -> None:
    assert ROOT / "kernel-patches/6.12/noref/series" in BUNDLED
    assert ROOT / "kernel-patches/6.12/noref/expected.toml" in FACTS


@pytest.mark.parametrize("path", BUNDLED, ids=name_of)
def test_every_bundled_series_parses_and_holds_every_patch_of_its_folder(path: Path) -> None:
    series = read_series(str(path.parent))
    names = {patch.name for patch in series.patches}
    assert names >= {file.name for file in path.parent.glob("*.patch")}
    assert all(patch.diff and patch.subject for patch in series.patches)


@pytest.mark.parametrize("path", (*FACTS, *BASES), ids=name_of)
def test_every_known_fact_has_its_reason_and_names_what_exists(path: Path) -> None:
    expected = read_expected(path)
    of_base = path.name == "base.toml"
    kernels = () if of_base else range(len(read_series(str(path.parent)).patches) + 1)
    pairs = [pair.split("/") for scenario in SCENARIOS for pair in scenario.pairs]
    modes = {mode.name for arch in ARCHES.values() for mode in arch.modes}
    known = {
        "arches": set(ARCHES),
        "modes": modes,
        "memory": {"counted", "uncounted"},
        "backings": {backing for backing, _ in pairs},
        "mappings": {mapping for _, mapping in pairs},
        "scenarios": {scenario.name for scenario in SCENARIOS},
    }
    for fact in (*expected.claim, *expected.expect):
        assert len(fact.why.split()) > 5, fact
        for field, names in known.items():
            assert set(getattr(fact, field, ())) <= names, (field, fact)
    for fact in expected.expect:
        assert bool(fact.kernels) is not of_base, fact
        assert set(fact.kernels) <= set(kernels), fact


@pytest.mark.parametrize("path", (*FACTS, *BASES), ids=name_of)
def test_no_known_fact_is_hidden_by_those_before_it(path: Path) -> None:
    """Find for each entry a cell of the scenario list that it, and none before it, is about."""
    expect = read_expected(path).expect
    findings = [
        (Finding(cell=cell, prop=prop, memory=memory, standing=Standing.holds, evidence=""), arch)
        for arch in ARCHES.values()
        for mode in arch.modes
        for scenario in SCENARIOS
        for backing, mapping in (pair.split("/") for pair in scenario.pairs)
        for cell in [
            Cell(
                kernel="",
                mode=mode.name,
                backing=backing,
                mapping=mapping,
                scenario=scenario.name,
            )
        ]
        for memory in ("counted", "uncounted")
        for prop in Property
    ]
    used = {
        next((n for n, e in enumerate(expect) if e.covers(finding, k, arch.name)), None)
        for finding, arch in findings
        for k in {number for e in expect for number in e.kernels} | {0}
    }
    assert set(range(len(expect))) <= used


@pytest.mark.parametrize("path", FACTS, ids=name_of)
def test_no_known_fact_about_the_last_kernel_denies_what_the_series_claims(path: Path) -> None:
    expected = read_expected(path)
    last = len(read_series(str(path.parent)).patches)
    for claim in expected.claim:
        for fact in expected.expect:
            apart = claim.memory and fact.memory and not set(claim.memory) & set(fact.memory)
            apart = apart or (claim.modes and fact.modes and not set(claim.modes) & set(fact.modes))
            apart = apart or (claim.mappings and not set(claim.mappings) & set(fact.mappings))
            apart = apart or (claim.scenarios and not set(claim.scenarios) & set(fact.scenarios))
            if fact.prop is claim.prop and last in fact.kernels and not apart:
                assert fact.standing is Standing.holds, fact
