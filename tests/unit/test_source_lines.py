"""Which patch a line comes from: compared with what git itself makes of the patches."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model import Patch
from harness.source.lines import line_owners

ROOT = Path(__file__).resolve().parents[2]


def diff(old: list[str], new: list[str], folder: Path, context: int) -> bytes:
    (folder / "a").write_text("".join(f"{line}\n" for line in old))
    (folder / "b").write_text("".join(f"{line}\n" for line in new))
    done = subprocess.run(
        ["git", "diff", "--no-index", f"-U{context}", "a", "b"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    return done.stdout.replace(b"a/a", b"a/x.c").replace(b"b/b", b"b/x.c")


def patch(number: int, data: bytes) -> Patch:
    return Patch(number=number, name=f"{number}.patch", subject="", diff=data)


# Each version of the file: every line says which version brought it.
VERSIONS = st.lists(
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=8), min_size=1, max_size=4
)


@settings(max_examples=40, deadline=None)
@given(edits=VERSIONS, context=st.integers(0, 3))
def test_owners_are_those_whose_lines_stand_there(
    edits: list[list[tuple[int, bool]]], context: int
) -> None:
    text = [f"base {number}" for number in range(20)]
    patches = []
    with tempfile.TemporaryDirectory() as name:
        for number, changes in enumerate(edits, 1):
            after = list(text)
            for serial, (place, add) in enumerate(changes):
                if add:
                    after.insert(min(place, len(after)), f"patch {number} {serial}")
                elif place < len(after):
                    del after[place]
            patches.append(patch(number, diff(text, after, Path(name), context)))
            text = after
    want = {at: int(line.split()[1]) for at, line in enumerate(text, 1) if line.startswith("patch")}
    assert dict(line_owners(patches).get("x.c", {})) == want


def test_noref_series_owns_the_function_that_its_first_patch_adds() -> None:
    folder = ROOT / "kernel-patches/6.12/noref"
    patches = [
        patch(number, path.read_bytes())
        for number, path in enumerate(sorted(folder.glob("*.patch")), 1)
    ]
    owners = line_owners(patches)
    assert set(owners["arch/arm64/kvm/mmu.c"].values()) == {3}
    assert set(owners["virt/kvm/kvm_main.c"].values()) == {1, 4}
    assert set(owners["arch/x86/kvm/mmu/mmu.c"].values()) == {2, 4}
