"""Debian's packages of another architecture: asked for beside this machine's, never among them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.build.cache import Cache
from harness.build.foreign import foreign_root, needed_libraries
from harness.build.image import shared_libraries
from harness.errors import InfraError, UserError
from harness.source.progress import Silent

APT = """#!/bin/sh
echo "$*" >> TRACE
for word; do
    case $word in -oDir::Cache=*) cache=${word#*=} ;; esac
done
case "$*" in
*download-only*) echo deb > "$cache/archives/busybox.deb" ;;
*update*) FAIL ;;
esac
"""
DPKG = """#!/bin/sh
mkdir -p "$3/bin" && echo "from $2" > "$3/bin/busybox"
"""


class Machine:
    """A PATH with a made-up apt-get and dpkg-deb alone, and a cache."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.trace = folder / "trace"
        self.cache = Cache(folder / "cache")
        self.put("dpkg-deb", DPKG)
        self.put_apt()

    def put(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def put_apt(self, fail: str = ":") -> None:
        self.put("apt-get", APT.replace("TRACE", str(self.trace)).replace("FAIL", fail))

    def root(self) -> Path:
        return foreign_root(self.cache, "arm64", ("busybox-static", "dropbear-bin"), Silent())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    for name in ("sh", "mkdir", "setpriv"):
        (made.bin / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setattr("harness.build.tools._PATH", ())
    return made


def test_the_packages_are_unpacked_once_and_apts_own_files_are_gone(machine: Machine) -> None:
    root = machine.root()
    assert (root / "bin/busybox").read_text().startswith("from ")
    assert [path.name for path in root.iterdir()] == ["bin"]
    asked = machine.trace.read_text().splitlines()
    assert len(asked) == 2
    assert machine.root() == root
    assert len(machine.trace.read_text().splitlines()) == 2


def test_apt_keeps_its_hands_off_this_machine(machine: Machine) -> None:
    machine.root()
    for line in machine.trace.read_text().splitlines():
        assert "-oAPT::Architecture=arm64" in line
        for name in ("Dir::State::Lists", "Dir::State::status", "Dir::Cache"):
            assert f"-o{name}={machine.cache.folder}/" in line
        assert "install" not in line or "--download-only" in line


def test_an_apt_that_fails_says_what_and_leaves_nothing(machine: Machine) -> None:
    machine.put_apt("echo E: no network >&2; exit 100")
    with pytest.raises(InfraError, match=r"apt-get(.|\n)*no network(.|\n)*by hand"):
        machine.root()
    machine.put_apt()
    assert (machine.root() / "bin/busybox").exists()


@pytest.mark.parametrize("tool", ["apt-get", "dpkg-deb"])
def test_a_machine_without_apt_is_told(machine: Machine, tool: str) -> None:
    (machine.bin / tool).unlink()
    with pytest.raises(UserError, match=f"no {tool}"):
        machine.root()


def test_libraries_are_found_as_the_loader_would_find_them() -> None:
    program = Path(shutil.which("git") or "/usr/bin/git").resolve()
    needed = needed_libraries(Path("/"), program)
    names = {Path(name).name for name in needed}
    assert {Path(name).name for name in shared_libraries(program)} == names
    assert all(path.exists() for path in needed.values())


def test_a_static_program_needs_nothing() -> None:
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("there is no busybox")
    assert needed_libraries(Path("/"), Path(busybox).resolve()) == {}


def test_a_library_that_is_not_there_is_named(tmp_path: Path) -> None:
    program = shutil.copy(shutil.which("git") or "/usr/bin/git", tmp_path)
    with pytest.raises(InfraError, match=r"looking for \S*\.so"):
        needed_libraries(tmp_path, Path(program))
