"""Overlays and trees: what patches make of files, and that only what differs is written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.model import Patch, Series
from harness.source.apply import Overlay, overlays
from harness.source.tree import File, Tree

FORK = "".join(f"int fork{n};\n" for n in range(9))


def tree(folder: Path) -> Tree:
    source = folder / "source"
    (source / "kernel").mkdir(parents=True)
    (source / "kernel/fork.c").write_text(FORK)
    (source / "kernel/exit.c").write_text("int exit;\n")
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    (source / "away").symlink_to("/etc")
    return Tree(folder)


def series(*diffs: str) -> Series:
    patches = tuple(
        Patch(number=n, name=f"{n:04}.patch", subject=f"change {n}", diff=diff.encode())
        for n, diff in enumerate(diffs, 1)
    )
    return Series(name="noref", origin="/here", patches=patches)


def change(path: str, old: str, new: str) -> str:
    header = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n"
    return f"{header}@@ -1 +1 @@\n-{old}\n+{new}\n"


def new_file(path: str, line: str, mode: int = 644) -> str:
    header = f"diff --git a/{path} b/{path}\nnew file mode 100{mode}\n--- /dev/null\n+++ b/{path}\n"
    return f"{header}@@ -0,0 +1 @@\n+{line}\n"


EXIT = [change("kernel/exit.c", "int exit;", "int exit1;")]
EXIT += [change("kernel/exit.c", "int exit1;", "int exit2;")]
DELETE = (
    "diff --git a/kernel/exit.c b/kernel/exit.c\ndeleted file mode 100644\n"
    "--- a/kernel/exit.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-int exit;\n"
)
RENAME = (
    "diff --git a/kernel/fork.c b/kernel/clone.c\nsimilarity index 100%\n"
    "rename from kernel/fork.c\nrename to kernel/clone.c\n"
)
COPY = RENAME.replace("rename", "copy")
MODE = "diff --git a/kernel/exit.c b/kernel/exit.c\nold mode 100644\nnew mode 100755\n"


def last(tree: Tree, *diffs: str) -> Overlay:
    return overlays(tree.pristine, series(*diffs))[-1]


def test_patches_apply_one_after_the_other(tmp_path: Path) -> None:
    states = overlays(tree(tmp_path).pristine, series(*EXIT))
    assert states == (
        {},
        {"kernel/exit.c": File(content=b"int exit1;\n")},
        {"kernel/exit.c": File(content=b"int exit2;\n")},
    )


def test_only_the_first_patches_may_be_asked_for(tmp_path: Path) -> None:
    assert len(overlays(tree(tmp_path).pristine, series(*EXIT, "garbage"), upto=2)) == 3


def test_new_files_deletes_renames_copies_and_modes_are_in_the_overlay(tmp_path: Path) -> None:
    kernel = tree(tmp_path)
    fork = File(content=FORK.encode())
    assert last(kernel, new_file("a/b.sh", "x", 755)) == {
        "a/b.sh": File(content=b"x\n", executable=True)
    }
    assert last(kernel, DELETE) == {"kernel/exit.c": None}
    assert last(kernel, RENAME) == {"kernel/fork.c": None, "kernel/clone.c": fork}
    assert last(kernel, COPY) == {"kernel/fork.c": fork, "kernel/clone.c": fork}
    assert last(kernel, MODE) == {"kernel/exit.c": File(content=b"int exit;\n", executable=True)}


def test_an_offset_is_fine_and_a_conflict_is_not(tmp_path: Path) -> None:
    kernel = tree(tmp_path)
    hunk = "@@ -2,3 +2,3 @@\n int fork3;\n-int fork4;\n+int spoon;\n int fork5;\n"
    header = (
        "diff --git a/kernel/fork.c b/kernel/fork.c\n--- a/kernel/fork.c\n+++ b/kernel/fork.c\n"
    )
    file = last(kernel, header + hunk)["kernel/fork.c"]
    assert file is not None and b"int fork3;\nint spoon;\n" in file.content
    with pytest.raises(UserError) as caught:
        last(kernel, EXIT[0], header + hunk.replace("fork5", "fork7"))
    text = str(caught.value)
    for word in ("noref patch 2", "0002.patch", "change 2", "kernel/fork.c", "does not apply"):
        assert word in text


@pytest.mark.parametrize(
    "diff",
    [
        new_file("../escape", "x"),
        new_file("a/../../escape", "x"),
        new_file("/etc/escape", "x"),
        new_file(".git/hooks/post-checkout", "x"),
        new_file("away/escape", "x"),
        change("gone.c", "a", "b"),
        RENAME.replace("kernel/fork.c", "../../etc/passwd"),
        new_file("kernel", "x"),
        new_file("a\tb", "x"),
        "",
        "no diff at all\n",
        "diff --git a/x b/x\n",
        change("kernel/exit.c", "int exit;", "x").replace("@@ -1 ", "@@ -1,5 "),
    ],
)
def test_a_hostile_or_broken_patch_is_refused_and_named(tmp_path: Path, diff: str) -> None:
    with pytest.raises(UserError, match=r"noref patch 1 \(0001.patch"):
        last(tree(tmp_path), diff)


def test_a_link_that_a_patch_makes_is_not_followed(tmp_path: Path) -> None:
    kernel = tree(tmp_path)
    link = (
        "diff --git a/out b/out\nnew file mode 120000\n--- /dev/null\n+++ b/out\n"
        f"@@ -0,0 +1 @@\n+{tmp_path}\n\\ No newline at end of file\n"
    )
    overlay = last(kernel, link)
    assert overlay == {"out": File(content=str(tmp_path).encode(), link=True)}
    with pytest.raises(UserError):
        last(kernel, link, new_file("out/escape", "x"))
    kernel.sync(overlay)
    kernel.sync({"out": File(content=b"a file now")})
    assert not (tmp_path / "escape").exists()
    assert (kernel.source / "out").read_bytes() == b"a file now"


def test_neither_a_repository_around_nor_the_users_configuration_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = tmp_path / "around"
    around.mkdir()
    subprocess.run(["git", "init", "-q", around], check=True)
    (around / ".gitconfig").write_text("[core]\n\tautocrlf = true\n[apply]\n\twhitespace = fix\n")
    monkeypatch.setenv("HOME", str(around))
    monkeypatch.setenv("GIT_DIR", str(around / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(around))
    monkeypatch.setattr("tempfile.tempdir", str(around))
    kernel = tree(tmp_path)
    overlay = last(kernel, change("kernel/exit.c", "int exit;", "int exit1;   "))
    assert overlay == {"kernel/exit.c": File(content=b"int exit1;   \n")}


def test_a_sync_writes_only_what_differs(tmp_path: Path) -> None:
    kernel = tree(tmp_path)
    states = overlays(kernel.pristine, series(*EXIT, RENAME, MODE))
    exit_c, fork_c = kernel.source / "kernel/exit.c", kernel.source / "kernel/fork.c"
    assert kernel.sync(states[2]) == ("kernel/exit.c",)
    os.utime(exit_c, (1, 1))
    os.utime(fork_c, (1, 1))
    assert kernel.sync(states[2]) == ()
    assert exit_c.stat().st_mtime == 1
    assert kernel.sync(states[3]) == ("kernel/clone.c", "kernel/fork.c")
    assert exit_c.stat().st_mtime == 1 and not fork_c.exists()
    assert kernel.sync(states[4]) == ("kernel/exit.c",)
    assert os.access(exit_c, os.X_OK)


def test_going_back_restores_the_pristine_files(tmp_path: Path) -> None:
    kernel = tree(tmp_path)
    kernel.sync(last(kernel, EXIT[0], RENAME, new_file("new.c", "x"), MODE))
    assert (kernel.source / "new.c").exists()
    again = Tree(tmp_path)
    assert again.pristine("kernel/exit.c") == File(content=b"int exit;\n")
    assert again.pristine("new.c") is None
    changed = again.sync({})
    assert set(changed) == {"kernel/exit.c", "kernel/fork.c", "kernel/clone.c", "new.c"}
    assert (kernel.source / "kernel/fork.c").read_text() == FORK
    assert not (kernel.source / "new.c").exists()
    assert not os.access(kernel.source / "kernel/exit.c", os.X_OK)


def test_a_sync_that_was_cut_short_is_made_good_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = tree(tmp_path)
    overlay = last(kernel, EXIT[0], RENAME)

    def cut(root: Path, path: str, file: File) -> None:
        (root / path).write_bytes(file.content[:3])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("harness.source.tree.write_file", cut)
        with pytest.raises(KeyboardInterrupt):
            kernel.sync(overlay)
    again = Tree(tmp_path)
    assert again.pristine("kernel/exit.c") == File(content=b"int exit;\n")
    again.sync(last(again, EXIT[0]))
    assert (kernel.source / "kernel/exit.c").read_text() == "int exit1;\n"
    assert (kernel.source / "kernel/fork.c").read_text() == FORK


def test_what_a_killed_sync_left_half_kept_is_not_taken_for_pristine(tmp_path: Path) -> None:
    kernel = tree(tmp_path)
    kernel.sync(last(kernel, EXIT[0]))
    (kept,) = (tmp_path / "kept").glob("*.kept")
    kept.rename(kept.with_suffix(".half"))
    (kernel.source / "kernel/exit.c").write_text("int exit;\n")
    again = Tree(tmp_path)
    again.sync(last(again, EXIT[0]))
    again.sync({})
    assert (kernel.source / "kernel/exit.c").read_text() == "int exit;\n"
