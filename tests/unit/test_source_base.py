"""Bases: what is one, what names it, and that the user's tree is never written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.source.base import Base, Kind, find_base
from harness.source.progress import Silent
from harness.source.unpack import unpack

MAKEFILE = "# SPDX\nVERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\nEXTRAVERSION = -rc1\nNAME = X\n"


def kernel(folder: Path) -> Path:
    """A tiny tree that looks like a kernel's."""
    (folder / "kernel").mkdir(parents=True)
    (folder / "Makefile").write_text(MAKEFILE)
    (folder / "Kbuild").write_text("obj-y += kernel/\n")
    (folder / "kernel/fork.c").write_text("int fork;\n")
    (folder / "scripts").mkdir()
    (folder / "scripts/run.sh").write_text("#!/bin/sh\n")
    (folder / "scripts/run.sh").chmod(0o755)
    (folder / "scripts/link").symlink_to("run.sh")
    return folder


def tarball(tree: Path, name: str, *options: str) -> Path:
    path = tree.parent / name
    command = ["tar", "--create", "--auto-compress", f"--file={path}", *options, tree.name]
    subprocess.run(command, cwd=tree.parent, check=True)
    return path


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x@y")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def checkout(folder: Path) -> Path:
    kernel(folder)
    (folder / ".gitignore").write_text("*.o\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "base")
    return folder


def listing(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.xz", "tar.bz2"])
def test_a_tarball_gives_its_version_and_unpacks_without_its_top_folder(
    tmp_path: Path, suffix: str
) -> None:
    archive = tarball(kernel(tmp_path / "linux-6.12"), f"linux.{suffix}")
    base = find_base(str(archive))
    assert (base.kind, base.version) == (Kind.tarball, "6.12.117-rc1")
    unpack(base, tmp_path / "copy", Silent())
    assert (tmp_path / "copy/kernel/fork.c").read_text() == "int fork;\n"
    assert os.access(tmp_path / "copy/scripts/run.sh", os.X_OK)
    assert (tmp_path / "copy/scripts/link").readlink() == Path("run.sh")
    assert not list((tmp_path / "tmp").glob("run-*"))


def test_a_tarball_without_a_top_folder_unpacks_too(tmp_path: Path) -> None:
    tree = kernel(tmp_path / "linux")
    archive = tmp_path / "flat.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", tree, "."], check=True)
    unpack(find_base(str(archive)), tmp_path / "copy", Silent())
    assert (tmp_path / "copy/kernel/fork.c").exists()


def test_a_tarball_is_read_once_while_it_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tarball(kernel(tmp_path / "linux"), "linux.tar.gz")
    memo = tmp_path / "memo"
    first = find_base(str(archive), memo=memo)
    with monkeypatch.context() as patched:
        patched.setattr("harness.source.tarball._sha256", lambda path: pytest.fail("read again"))
        assert find_base(str(archive), memo=memo) == first
    (tmp_path / "linux/kernel/fork.c").write_text("int spoon;\n")
    tarball(tmp_path / "linux", "linux.tar.gz")
    assert find_base(str(archive), memo=memo).key != first.key


def test_a_memo_cut_short_is_read_anew(tmp_path: Path) -> None:
    archive = tarball(kernel(tmp_path / "linux"), "linux.tar.gz")
    first = find_base(str(archive), memo=tmp_path / "memo")
    for file in (tmp_path / "memo").iterdir():
        file.write_bytes(b'{"sha')
    assert find_base(str(archive), memo=tmp_path / "memo") == first


def test_the_same_tarball_elsewhere_has_the_same_key(tmp_path: Path) -> None:
    archive = tarball(kernel(tmp_path / "linux"), "linux.tar.gz")
    copy = tmp_path / "other.tar.gz"
    copy.write_bytes(archive.read_bytes())
    assert find_base(str(archive)).key == find_base(str(copy)).key


def test_without_a_spec_debians_tarball_is_the_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.source.base.DEBIAN_SOURCE", tmp_path)
    with pytest.raises(UserError, match=r"apt install linux-source-6\.12"):
        find_base(None)
    tarball(kernel(tmp_path / "linux"), "linux-source-6.12.tar.gz")
    assert find_base(None).version == "6.12.117-rc1"


@pytest.mark.parametrize("what", ["missing", "text", "empty", "plain", "tarball", "cut", "garbage"])
def test_what_is_no_kernel_is_the_users_error_and_names_the_path(tmp_path: Path, what: str) -> None:
    path = tmp_path / {"text": "notes.txt", "tarball": "x.tar.gz"}.get(what, "it")
    if what == "text":
        path.write_text("hello")
    elif what == "empty":
        path.mkdir()
    elif what == "plain":
        path.mkdir()
        (path / "Makefile").write_text("all:\n")
        (path / "Kbuild").touch()
    elif what == "tarball":
        (tmp_path / "p").mkdir()
        (tmp_path / "p/Makefile").write_text("all:\n")
        tarball(tmp_path / "p", "x.tar.gz")
    elif what == "cut":
        path = tarball(kernel(tmp_path / "linux"), "linux.tar.gz")
        path.write_bytes(path.read_bytes()[:100])
    elif what == "garbage":
        path = tmp_path / "x.tar.xz"
        path.write_bytes(os.urandom(1000))
    with pytest.raises(UserError) as caught:
        find_base(str(path))
    assert str(path) in str(caught.value) and caught.value.do


def test_a_tarball_cut_after_its_makefile_leaves_no_tree(tmp_path: Path) -> None:
    tree = kernel(tmp_path / "linux")
    (tree / "zz").write_bytes(os.urandom(200_000))
    archive = tarball(tree, "linux.tar.gz", "--sort=name")
    archive.write_bytes(archive.read_bytes()[:100_000])
    base = find_base(str(archive))
    with pytest.raises(UserError, match="unpacking"):
        unpack(base, tmp_path / "copy", Silent())
    assert not (tmp_path / "copy").exists()
    assert not list((tmp_path / "tmp").glob("run-*"))


def test_a_plain_tree_is_copied_without_git_and_build_products(tmp_path: Path) -> None:
    tree = kernel(tmp_path / "linux")
    for product in ("kernel/fork.o", "kernel/.fork.o.cmd", "include/config/auto.conf", "vmlinux"):
        (tree / product).parent.mkdir(parents=True, exist_ok=True)
        (tree / product).write_text("product")
    before = listing(tree)
    base = find_base(str(tree))
    unpack(base, tmp_path / "copy", Silent())
    assert listing(tree) == before
    names = {str(p.relative_to(tmp_path / "copy")) for p in (tmp_path / "copy").rglob("*")}
    assert {"kernel/fork.c", "scripts/link", "Kbuild"} <= names
    assert not any(name.endswith((".o", ".cmd", "auto.conf", "vmlinux")) for name in names)


def test_a_built_tree_is_cleaned_in_our_copy_alone(tmp_path: Path) -> None:
    tree = kernel(tmp_path / "linux")
    (tree / "Makefile").write_text(MAKEFILE + "mrproper:\n\t@rm -f generated-$(ARCH).c\n")
    (tree / "arch/x86/include/generated").mkdir(parents=True)
    (tree / ".config").touch()
    (tree / "generated-x86.c").touch()
    unpack(find_base(str(tree)), tmp_path / "copy", Silent())
    assert (tree / "generated-x86.c").exists()
    assert not (tmp_path / "copy/generated-x86.c").exists()


def test_a_trees_key_changes_with_a_file_and_not_with_a_build(tmp_path: Path) -> None:
    tree = kernel(tmp_path / "linux")
    first = find_base(str(tree))
    (tree / "kernel/fork.o").write_text("object")
    assert find_base(str(tree)).key == first.key
    (tree / "kernel/fork.c").write_text("int spoon;\n")
    assert find_base(str(tree)).key != first.key


def test_a_checkouts_key_follows_commit_local_changes_and_new_files(tmp_path: Path) -> None:
    tree = checkout(tmp_path / "linux")
    keys = [find_base(str(tree)).key]
    (tree / "kernel/fork.o").write_text("ignored")
    assert find_base(str(tree)).key == keys[0]
    (tree / "kernel/fork.c").write_text("int spoon;\n")
    keys.append(find_base(str(tree)).key)
    (tree / "new.c").write_text("int a;\n")
    keys.append(find_base(str(tree)).key)
    (tree / "new.c").write_text("int b;\n")
    keys.append(find_base(str(tree)).key)
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "all")
    keys.append(find_base(str(tree)).key)
    assert len(set(keys)) == len(keys)


def test_a_checkout_is_copied_with_its_local_changes_and_stays_untouched(tmp_path: Path) -> None:
    tree = checkout(tmp_path / "linux")
    (tree / "kernel/fork.c").write_text("int spoon;\n")
    (tree / "new.c").write_text("int a;\n")
    (tree / "kernel/fork.o").write_text("ignored")
    os.utime(tree / "Kbuild", (1, 1))  # Makes git's index stale: git likes to write a fresh one.
    (tree / "scripts/run.sh").unlink()
    before = listing(tree)
    base = find_base(str(tree))
    assert base.kind is Kind.git
    unpack(base, tmp_path / "copy", Silent())
    assert listing(tree) == before
    copy = tmp_path / "copy"
    assert (copy / "kernel/fork.c").read_text() == "int spoon;\n"
    assert (copy / "new.c").exists()
    for absent in (".git", "kernel/fork.o", "scripts/run.sh"):
        assert not (copy / absent).exists()


def test_a_broken_checkout_is_the_users_error_with_gits_words(tmp_path: Path) -> None:
    tree = kernel(tmp_path / "linux")
    (tree / ".git").write_text("gitdir: /nowhere\n")
    with pytest.raises(UserError, match="not a git repository"):
        find_base(str(tree))


def test_the_first_of_two_copies_stays(tmp_path: Path) -> None:
    base = find_base(str(kernel(tmp_path / "linux")))
    unpack(base, tmp_path / "copy", Silent())
    inode = (tmp_path / "copy").stat().st_ino
    unpack(base, tmp_path / "copy", Silent())
    assert (tmp_path / "copy").stat().st_ino == inode


def fake_tar(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    folder.mkdir()
    (folder / "tar").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "tar").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = find_base(str(tarball(kernel(tmp_path / "linux"), "linux.tar.gz")))
    fake_tar(
        tmp_path / "bin",
        monkeypatch,
        'echo "tar: x: Cannot write: No space left on device" >&2; exit 2',
    )
    with pytest.raises(UserError, match=r"is full.*\n.*NOREF_CACHE"):
        unpack(base, tmp_path / "copy", Silent())
    assert not (tmp_path / "copy").exists()


def test_a_tar_that_ends_without_a_tree_leaves_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = find_base(str(tarball(kernel(tmp_path / "linux"), "linux.tar.gz")))
    fake_tar(tmp_path / "bin", monkeypatch, "cat >/dev/null")
    with pytest.raises(UserError, match="no top Makefile"):
        unpack(base, tmp_path / "copy", Silent())
    assert not (tmp_path / "copy").exists()


class Counting(Silent):
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.total: int | None = 0
        self.done = 0

    def step(self, label: str, total: int | None) -> None:
        self.total = total

    def advance(self, n: int) -> None:
        self.done += n


@pytest.mark.parametrize("kind", ["tree", "tarball"])
def test_unpacking_advances_up_to_the_total_it_gave(tmp_path: Path, kind: str) -> None:
    tree = kernel(tmp_path / "linux")
    path = tree if kind == "tree" else tarball(tree, "linux.tar.gz")
    progress = Counting()
    base: Base = find_base(str(path))
    unpack(base, tmp_path / "copy", progress)
    assert progress.done == progress.total != 0
