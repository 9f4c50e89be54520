"""A seeded bug on a real kernel is killed by its suspect, and the kill can be repeated."""

from __future__ import annotations

import msgspec
from conftest import ROOT, Noref, Ran

from harness.judge.mutants import Fate, MutantsResult

MUTANT = ROOT / "kernel-patches/6.12/mutants/tdp-fault-leaks-page.patch"


def test_a_leak_is_killed_by_its_suspect_and_the_kill_repeats_by_hand(
    main_job: Ran, noref: Noref
) -> None:
    ran = noref("mutants", "tdp-fault-leaks-page")
    assert ran.status == 0, ran.output
    latest = ran.results / "latest"
    result = msgspec.json.decode((latest / "mutants.json").read_bytes(), type=MutantsResult)
    (mutant,) = result.mutants
    assert mutant.fate is Fate.killed and not mutant.missed
    kill = mutant.kills[0]
    assert (kill.finding.prop.value, kill.finding.cell.mode) == ("refcounts", "tdp")
    assert (latest / kill.folder / "console.log").exists()
    command = f"noref run {kill.finding.cell} --series noref --mutant {MUTANT}"
    assert command in ran.output
    again = noref(*command.split()[1:])
    assert again.status == 1
    (surprise,) = again.result.surprises
    assert surprise.finding.prop.value == "refcounts"
    assert surprise.finding.cell == kill.finding.cell
