"""Series: quilt folders, mboxes, git ranges; what hostile, empty and wrong input gives."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.source.series import read_series

DIFF = """\
diff --git a/kernel/fork.c b/kernel/fork.c
--- a/kernel/fork.c
+++ b/kernel/fork.c
@@ -1 +1 @@
-int fork;
+int {0};
"""


def mail(subject: str, name: str = "spoon", diff: str | None = None) -> str:
    body = DIFF.format(name) if diff is None else diff
    return (
        "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"
        "From: A Writer <a@example.org>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n"
        f"Subject: {subject}\n\nBecause.\n---\n kernel/fork.c | 2 +-\n\n{body}-- \n2.39.2\n\n"
    )


def quilt(folder: Path, series: str, **patches: str) -> Path:
    folder.mkdir()
    (folder / "series").write_text(series)
    for name, text in patches.items():
        (folder / f"{name}.patch").write_text(text)
    return folder


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@y")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True
    )
    return done.stdout.decode().strip()


def repository(folder: Path) -> Path:
    (folder / "kernel").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "topic")
    for number, word in enumerate(("fork", "spoon", "knife")):
        (folder / "kernel/fork.c").write_text(f"int {word};\n")
        git(folder, "add", ".")
        git(folder, "commit", "-qm", f"kernel: make it a {word}")
        git(folder, "tag", f"v{number}")
    return folder


def test_a_quilt_folder_is_read_in_the_order_of_its_file_series(tmp_path: Path) -> None:
    text = "# the series\n\nb.patch\na.patch -p1  # the second\n#c.patch\n"
    folder = quilt(tmp_path / "noref", text, a=mail("[PATCH 2/2] a: one"), b=mail("[PATCH] b: two"))
    series = read_series(str(folder))
    assert series.name == "noref" and series.label(2) == "noref+2"
    assert [(p.number, p.name, p.subject) for p in series.patches] == [
        (1, "b.patch", "b: two"),
        (2, "a.patch", "a: one"),
    ]


def test_a_series_may_name_the_patches_of_the_folder_beside_it(tmp_path: Path) -> None:
    quilt(tmp_path / "noref", "a.patch\n", a=mail("[PATCH] a: one"))
    folder = quilt(tmp_path / "more", "../noref/a.patch\nb.patch\n", b=mail("[PATCH] b: two"))
    series = read_series(str(folder))
    assert series.label(1) == "more+1"
    assert [(p.number, p.name, p.subject) for p in series.patches] == [
        (1, "a.patch", "a: one"),
        (2, "b.patch", "b: two"),
    ]


def test_a_plain_diff_is_a_patch_with_its_file_name_for_a_subject(tmp_path: Path) -> None:
    described = "Fix: the thing\nthat was broken\n\n" + DIFF.format("b")
    plain = DIFF.format("a")
    folder = quilt(tmp_path / "s", "a.patch\nb.patch\n", a=plain, b=described)
    first, second = read_series(str(folder)).patches
    assert first.diff.decode() == plain and first.subject == "a"
    assert DIFF.format("b") in second.diff.decode()


@pytest.mark.parametrize(
    ("series", "names"),
    [
        ("gone.patch\n", "gone.patch"),
        ("a.patch -p0\n", "-p0"),
        ("a.patch -R\n", "-R"),
        ("../../outside.patch\n", "../../outside.patch, which is neither in"),
        ("../s/../../outside.patch\n", "which is neither in"),
        ("../beside/gone.patch\n", "../beside/gone.patch"),
        ("", "no patch"),
        ("# nothing\n", "no patch"),
        ("empty.patch\n", "empty.patch"),
        ("prose.patch\n", "prose.patch"),
    ],
)
def test_a_wrong_quilt_folder_is_the_users_error_and_says_where(
    tmp_path: Path, series: str, names: str
) -> None:
    (tmp_path / "outside.patch").write_text(DIFF)
    (tmp_path / "base").mkdir()
    prose = mail("[PATCH] no", diff="no diff")
    folder = quilt(tmp_path / "base/s", series, a=DIFF, empty="", prose=prose)
    with pytest.raises(UserError) as caught:
        read_series(str(folder))
    assert names in str(caught.value) and str(folder) in str(caught.value)


def test_a_folder_without_series_and_a_missing_path_are_the_users_errors(tmp_path: Path) -> None:
    for spec in (tmp_path, tmp_path / "gone"):
        with pytest.raises(UserError, match=str(spec)):
            read_series(str(spec))


def test_an_mbox_is_read_without_cover_letter_and_answers_in_the_order_of_its_numbers(
    tmp_path: Path,
) -> None:
    mbox = tmp_path / "v6 of it.mbox"
    mbox.write_text(
        mail("[PATCH v6 0/2] cover", diff="no diff")
        + mail("[PATCH v6 2/2] second", "two")
        + mail("Re: [PATCH v6 1/2] first", "no")
        + mail("[PATCH v6 1/2] first", "one")
    )
    series = read_series(str(mbox))
    assert series.name == "v6-of-it"
    assert [(p.number, p.name, p.subject) for p in series.patches] == [
        (1, "0001-first", "first"),
        (2, "0002-second", "second"),
    ]
    assert b"int one;" in series.patches[0].diff


def test_two_versions_in_one_mbox_are_refused(tmp_path: Path) -> None:
    mbox = tmp_path / "m"
    mbox.write_text(mail("[PATCH v5 1/1] a") + mail("[PATCH v6 1/1] a"))
    with pytest.raises(UserError, match="more than one version"):
        read_series(str(mbox))


def test_one_patch_file_is_a_series_of_one(tmp_path: Path) -> None:
    (tmp_path / "fix.patch").write_text(mail("[PATCH] fix").partition("\n")[2])
    assert [p.subject for p in read_series(str(tmp_path / "fix.patch")).patches] == ["fix"]


def test_terminal_escapes_in_a_subject_do_not_get_through(tmp_path: Path) -> None:
    (tmp_path / "m").write_text(mail("[PATCH] \x1b[2J\x1b]0;x\x07red"))
    series = read_series(str(tmp_path / "m"))
    assert "\x1b" not in series.patches[0].subject and "\x07" not in series.patches[0].subject


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\0\xff" * 500, b"From x\n" * 50])
def test_what_is_no_mbox_is_the_users_error_and_names_the_file(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(UserError, match=str(tmp_path / "m")):
        read_series(str(tmp_path / "m"))


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_series_or_the_users_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.mktemp("any") / "m"
    file.write_bytes(b"Subject: x\n\n" + content)
    try:
        assert read_series(str(file)).patches
    except UserError as error:
        assert str(file) in str(error)


def test_a_git_range_is_read_whatever_the_users_diff_configuration(tmp_path: Path) -> None:
    repo = repository(tmp_path / "linux")
    git(repo, "config", "diff.noprefix", "true")
    git(repo, "config", "format.coverLetter", "true")
    git(repo, "config", "format.attach", "true")
    git(repo, "config", "color.ui", "always")
    git(repo, "config", "format.subjectPrefix", "RFC")
    git(repo, "config", "diff.external", "false")
    series = read_series(f"{repo}:v0..v2")
    assert series.name == "v2"
    assert [p.subject for p in series.patches] == [
        "kernel: make it a spoon",
        "kernel: make it a knife",
    ]
    assert b"\n+++ b/kernel/fork.c\n" in series.patches[0].diff
    assert read_series("v0..topic", repo).patches == series.patches
    assert read_series("v1..", repo).name == "HEAD"


@pytest.mark.parametrize(
    "spec", ["v0..nowhere", "v0...v2", "v2..v0", "v0..v0", "..v2", "--output=x..v2", "v0..--all"]
)
def test_a_wrong_range_is_the_users_error(tmp_path: Path, spec: str) -> None:
    repo = repository(tmp_path / "linux")
    with pytest.raises(UserError, match=r"\.\."):
        read_series(spec, repo)
    with pytest.raises(UserError, match=str(repo)):
        read_series(f"{repo}:{spec}")


def test_a_range_needs_a_repository(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs its repository"):
        read_series("v1..v2")
    with pytest.raises(UserError, match="not a git repository"):
        read_series("v1..v2", tmp_path)


def test_a_label_fits_into_a_cells_name(tmp_path: Path) -> None:
    repo = repository(tmp_path / "linux")
    git(repo, "branch", "for/next#1")
    assert read_series("v0..for/next#1", repo).name == "for-next-1"
