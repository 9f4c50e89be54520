"""Guest images: what goes into them; the archive itself is gen_init_cpio's work."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.build.image import Entry, append_files, shared_libraries, write_cpio

# In the place of gen_init_cpio: the list it was given, and the files named in it.
TOOL = """#!/bin/sh
cat "$3"
sed -n 's/^file [^ ]* \\([0-9]*\\) .*/\\1/p' "$3" | while read -r file; do
    echo "$file $(stat -c %Y "$file") $(cat "$file")"
done
"""


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    path = tmp_path / "image" / "gen_init_cpio"
    path.parent.mkdir()
    path.write_text(TOOL)
    path.chmod(0o755)
    return path


def test_an_archive_lists_folders_first_and_files_with_mode_and_a_fixed_time(
    tmp_path: Path, tool: Path
) -> None:
    entries = [
        Entry(path="/init", mode=0o755, content=b"#!x"),
        Entry(path="/lib/a", mode=0o644, content=b"y"),
    ]
    write_cpio(tool, entries, ("/root", "/lib"), ("nod /dev/x",), tmp_path / "out")
    assert (tmp_path / "out").read_text().splitlines() == [
        "dir /lib 0755 0 0",
        "dir /root 0700 0 0",
        "file /init 0 0755 0 0",
        "file /lib/a 1 0644 0 0",
        "nod /dev/x",
        "0 0 #!x",
        "1 0 y",
    ]


def test_files_of_one_run_come_after_the_image_which_stays_as_it_was(
    tmp_path: Path, tool: Path
) -> None:
    image = tool.with_name("initramfs.cpio")
    image.write_bytes(b"first\n")
    into = tmp_path / "run.cpio"
    append_files(image, {"/root/.ssh/authorized_keys": (0o600, b"key"), "/a/b": (0o755, b"")}, into)
    lines = into.read_text().splitlines()
    assert lines[:2] == ["first", "dir /a 0755 0 0"]
    assert "file /root/.ssh/authorized_keys 0 0600 0 0" in lines
    assert image.read_bytes() == b"first\n"
    assert not list(tmp_path.glob("cpio-*"))


@pytest.mark.parametrize("path", ["relative", "/with space", "/new\nline", "/", ""])
def test_a_path_that_would_break_the_list_is_refused(tmp_path: Path, tool: Path, path: str) -> None:
    with pytest.raises(ValueError, match="gen_init_cpio"):
        write_cpio(tool, [Entry(path=path, mode=0o644, content=b"")], (), (), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_dynamic_programs_libraries_and_loader_are_found() -> None:
    program = shutil.which("git")
    assert program is not None
    names = [Path(name).name for name in shared_libraries(Path(program))]
    assert any(name.startswith("libc.so") for name in names)
    assert any(name.startswith("ld-linux") for name in names)


def test_a_file_that_is_no_dynamic_program_needs_no_libraries(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert shared_libraries(tmp_path / "script") == ()
