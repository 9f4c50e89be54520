"""A run that differs from what is known is red, and says where and why."""

from __future__ import annotations

import re
import time
from pathlib import Path

import msgspec
from conftest import Noref, Ran

from harness.build.cache import default_folder
from harness.build.kernel import BuildRecord

QUICK = ("--mode", "legacy", "--scenario", "slot_delete", "--scenario", "freed_slot_delete")


def test_without_patch_4_the_run_is_red_and_names_the_splat(
    main_job: Ran, noref: Noref, own_series: Path
) -> None:
    listing = own_series / "series"
    listing.write_text("".join(listing.read_text().splitlines(keepends=True)[:3]))
    facts = own_series / "expected.toml"
    entries = facts.read_text().replace(", 4]", "]").split("[[expect]]")
    facts.write_text("[[expect]]".join(e for e in entries if "kernels = [4]" not in e))
    ran = noref("test", "--series", str(own_series), *QUICK)
    assert ran.status == 1
    (surprise,) = ran.result.surprises
    assert re.search(
        r"noref\+3 legacy: silence of uncounted memory is lost, claimed by the series .*"
        r"slot_delete on tail by fault: WARNING in mmu_spte_clear_track_bits "
        r"at arch/x86/kvm/mmu/mmu\.c:\d+",
        str(surprise),
    )
    for word in ("noref+3", "legacy", "silence", "slot_delete", "mmu_spte_clear_track_bits"):
        assert word in ran.output


def test_reversed_expectation_is_red_whichever_way_it_differs(
    main_job: Ran, noref: Noref, own_series: Path
) -> None:
    facts = own_series.parent / "base.toml"
    entry = 'modes = ["legacy", "shadow"]\nstanding = "holds"'
    assert entry in facts.read_text()
    facts.write_text(facts.read_text().replace(entry, entry.replace("holds", "lost")))
    ran = noref("test", "--series", str(own_series), *QUICK)
    assert ran.status == 1
    assert {s.finding.prop.value for s in ran.result.surprises} == {"detection"}
    assert {s.finding.cell.kernel for s in ran.result.surprises} == {
        "base",
        "noref+1",
        "noref+2",
        "noref+3",
    }
    assert "expected lost" in str(ran.result.surprises[0])


def test_series_without_known_facts_is_judged_by_the_rule_alone(
    main_job: Ran, noref: Noref, own_series: Path
) -> None:
    (own_series / "expected.toml").unlink()
    ran = noref("test", "--series", str(own_series), *QUICK)
    assert ran.status == 1
    lost = {(s.finding.cell.kernel, s.finding.prop.value) for s in ran.result.surprises}
    assert lost == {("noref+2", "silence"), ("noref+3", "silence"), ("noref+4", "detection")}


def test_changed_line_of_a_patch_rebuilds_only_what_it_must(
    main_job: Ran, noref: Noref, own_series: Path
) -> None:
    (patch,) = own_series.glob("0004-*.patch")
    text = patch.read_text()
    assert "+\tif (!page_count(page))\n" in text
    # Never seen before, so that no earlier run of this test has left it in the cache.
    changed = f"+\tif (page_count(page) <= 0) /* {time.time_ns()} */\n"
    patch.write_text(text.replace("+\tif (!page_count(page))\n", changed))
    ran = noref("test", "--series", str(own_series), "--mode", "tdp", "--scenario", "guest_read")
    assert ran.status == 0
    built = re.findall(r"building (base|noref\+\d)", ran.output)
    assert set(built) == {"noref+4"}
    # kvm_main.o and what links it, then the module: a full build has some 1,500 objects.
    assert built_objects(ran) < 150


def built_objects(ran: Ran) -> int:
    """How many objects the newest build in the cache compiled or linked."""
    records = default_folder().glob("kernel/*/build.json")
    newest = max(records, key=lambda path: path.stat().st_mtime)
    return msgspec.json.decode(newest.read_bytes(), type=BuildRecord).objects


def test_patch_that_does_not_apply_is_the_users_error(noref: Noref, own_series: Path) -> None:
    (patch,) = own_series.glob("0002-*.patch")
    patch.write_text(patch.read_text().replace(" \tgfn_t gfn;", " \tgfn_t no_such_line;"))
    ran = noref("test", "--series", str(own_series))
    assert ran.status == 2
    assert "0002-" in ran.output
    assert "Traceback" not in ran.output


def test_patch_that_does_not_build_is_a_finding_and_later_kernels_still_run(
    main_job: Ran, noref: Noref, own_series: Path
) -> None:
    (patch,) = own_series.glob("0004-*.patch")
    text = patch.read_text()
    patch.write_text(text.replace("+\tif (!page_count(page))\n", "+\tif (!no_such_name(page))\n"))
    ran = noref("test", "--series", str(own_series), "--mode", "tdp", "--scenario", "guest_read")
    assert ran.status == 1
    (kernel,) = ran.result.unbuilt
    assert kernel.label == "noref+4"
    assert "no_such_name" in kernel.failure
    assert {o.cell.kernel for o in ran.result.outcomes} == {
        "base",
        "noref+1",
        "noref+2",
        "noref+3",
    }


def test_folder_that_is_not_a_kernel_is_the_users_error(noref: Noref, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    ran = noref("test", "--kernel-src", str(tmp_path / "tree"))
    assert ran.status == 2
    assert str(tmp_path / "tree") in ran.output
    assert "Traceback" not in ran.output


def test_reference_that_is_never_put_back_is_seen_in_the_ledger(
    main_job: Ran, noref: Noref, own_series: Path
) -> None:
    (patch,) = own_series.glob("0001-*.patch")
    put = "+\tif (page)\n+\t\tput_page(page);\n"
    assert patch.read_text().count(put) == 1
    patch.write_text(patch.read_text().replace(put, "+\tif (page)\n+\t\tbarrier();\n"))
    ran = noref("run", "noref+2/tdp/order0/insert/vm_close", "--series", str(own_series))
    assert ran.status == 1
    (surprise,) = ran.result.surprises
    assert surprise.finding.prop.value == "refcounts"
    assert "count 2" in surprise.finding.evidence
    assert f"--series {own_series}" in ran.output
