"""Series side by side on real kernels: the noref series, and its first three patches."""

from __future__ import annotations

from pathlib import Path

import msgspec
from conftest import Noref, Ran

from harness.judge.comparison import Comparison
from harness.model import Property


def test_series_side_by_side_show_what_patch_4_gains_and_loses(
    main_job: Ran, noref: Noref, own_series: Path
) -> None:
    three = own_series.rename(own_series.with_name("three"))
    listing = three / "series"
    listing.write_text("".join(listing.read_text().splitlines(keepends=True)[:3]))
    (three / "expected.toml").unlink()
    quick = ("--mode", "legacy", "--scenario", "slot_delete", "--scenario", "freed_slot_delete")
    ran = noref("compare", *quick, "noref", str(three))
    assert ran.status == 0, ran.output
    assert "building" not in ran.output  # the main job has built them all
    latest = ran.results / "latest"
    comparison = msgspec.json.decode((latest / "comparison.json").read_bytes(), type=Comparison)
    assert comparison.columns == ("base", "noref+4", "three+3")
    fields = {
        (row.prop, row.memory): [field[0].value for field in row.fields if field[0]]
        for row in comparison.rows
    }
    assert fields[Property.silence, "uncounted"] == ["holds", "holds", "lost"]
    assert fields[Property.detection, "counted"] == ["holds", "lost", "holds"]
    assert "three+3: WARNING in mmu_spte_clear_track_bits" in ran.output
    assert f"noref run three+3/legacy/tail/fault/slot_delete --series {three}" in ran.output
    assert (latest / "summary.txt").exists() and (latest / "report.html").exists()
