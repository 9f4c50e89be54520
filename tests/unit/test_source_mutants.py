"""Reading mutants: the header before the diff, the folder, the names."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UserError
from harness.model import Patch, Series
from harness.source.mutants import Mutant, read_mutant, read_mutants

DIFF = """---
diff --git a/virt/kvm/kvm_main.c b/virt/kvm/kvm_main.c
--- a/virt/kvm/kvm_main.c
+++ b/virt/kvm/kvm_main.c
@@ -1 +1 @@
-put_page(page);
+barrier();
"""
HEADER = """From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: noref project <noref@noref.invalid>
Subject: [PATCH] KVM: mmu: a reference that is
 never put back
Series: tracked
Suspect: vm_close, guest_write

Why: because it shows.  Series: not this one.
"""


def write(folder: Path, name: str, header: str = HEADER) -> Path:
    path = folder / f"{name}.patch"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + DIFF)
    return path


def names(found: list[Mutant]) -> list[str]:
    return [mutant.name for mutant in found]


def test_the_header_names_title_series_and_suspects(tmp_path: Path) -> None:
    mutant = read_mutant(write(tmp_path, "leak"))
    assert mutant.name == "leak"
    assert mutant.patch.subject == "KVM: mmu: a reference that is never put back"
    assert (mutant.series, mutant.suspects) == ("tracked", ("vm_close", "guest_write"))
    assert mutant.patch.diff.count(b"barrier") == 1


def test_a_mutant_is_a_kernel_of_its_series_by_its_own_name(tmp_path: Path) -> None:
    patch = Patch(number=1, name="0001.patch", subject="KVM: one", diff=b"x")
    series = Series(name="tracked", origin="/x", patches=(patch,))
    mutated = read_mutant(write(tmp_path, "leak")).on(series)
    assert [mutated.label(k) for k in range(3)] == ["base", "tracked+1", "tracked+leak"]
    assert [patch.number for patch in mutated.patches] == [1, 2]


def test_without_a_header_the_sub_folder_may_name_the_series(tmp_path: Path) -> None:
    bare = "Subject: a leak\n\n"
    for folder in ("noref", "odd"):
        write(tmp_path / folder, f"leak-{folder}", bare)
    write(tmp_path, "leak", bare)
    found = {m.name: (m.series, m.suspects) for m in read_mutants(tmp_path, (), ["noref"])}
    assert found == {"leak": ("", ()), "leak-noref": ("noref", ()), "leak-odd": ("", ())}


def test_mutants_are_chosen_by_name_or_path_each_once(tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "elsewhere", "other")
    folder = tmp_path / "mutants"
    for name in ("b", "a", "c"):
        write(folder, name)
    assert names(read_mutants(folder, (), ())) == ["a", "b", "c"]
    chosen = ("c", "b.patch", "c", str(elsewhere))
    assert names(read_mutants(folder, chosen, ())) == ["c", "b", "other"]


@pytest.mark.parametrize("name", ["4", "a b", "-x", "ä", ".x"])
def test_a_name_that_no_cell_can_hold_is_the_users_error(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    with pytest.raises(UserError, match="make a mutant's name"):
        read_mutants(tmp_path, (), ())


def test_what_is_not_there_is_the_users_error_with_the_alternatives(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        read_mutants(tmp_path / "none", (), ())
    with pytest.raises(UserError, match=r"no \*\.patch"):
        read_mutants(tmp_path, (), ())
    write(tmp_path / "noref", "leak")
    with pytest.raises(UserError, match=r"there is none(.|\n)*leak"):
        read_mutants(tmp_path, ("lea",), ())
    write(tmp_path / "tracked", "leak")
    with pytest.raises(UserError, match="2 have that name"):
        read_mutants(tmp_path, ("leak",), ())


def test_a_file_without_a_diff_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "leak.patch").write_text(HEADER)
    with pytest.raises(UserError, match=r"leak\.patch"):
        read_mutants(tmp_path, (), ())


def test_a_mutant_may_be_one_of_one_architecture(tmp_path: Path) -> None:
    assert read_mutant(write(tmp_path, "any")).arch == ""
    header = HEADER.replace("Suspect:", "Arch: arm64\nSuspect:")
    assert read_mutant(write(tmp_path, "arm", header)).arch == "arm64"
