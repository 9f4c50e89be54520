"""tools/setup: what a user sees who lacks apt, root or sudo."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SETUP = Path(__file__).resolve().parents[2] / "tools/setup"


def run(tmp_path: Path, *programs: str, missing: str, uid: str = "0") -> tuple[int, str, str]:
    """Run `setup packages` where PATH has these programs alone; give status, stderr, calls."""
    calls = tmp_path / "calls"
    for name in programs:
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\necho {name} "$@" >>{calls}\n')
        script.chmod(0o755)
    (tmp_path / "id").write_text(f"#!/bin/sh\necho {uid}\n")
    (tmp_path / "noref").write_text(f"#!/bin/sh\nprintf '%s' '{missing}'\n")
    for name in ("id", "noref"):
        (tmp_path / name).chmod(0o755)
    shell = shutil.which("sh")
    assert shell
    done = subprocess.run(
        [shell, str(SETUP), "packages", str(tmp_path / "noref"), "x86_64"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr, calls.read_text() if calls.exists() else ""


def test_without_apt_the_missing_packages_are_listed_and_the_status_is_2(tmp_path: Path) -> None:
    status, said, _ = run(tmp_path, missing="flex\nbison")
    assert status == 2
    assert "flex bison" in said


def test_without_root_or_sudo_somebody_else_is_asked(tmp_path: Path) -> None:
    status, said, calls = run(tmp_path, "apt-get", missing="flex", uid="1000")
    assert (status, calls) == (2, "")
    assert "apt-get install flex" in said


def test_with_sudo_apt_runs_by_it(tmp_path: Path) -> None:
    status, _, calls = run(tmp_path, "apt-get", "sudo", missing="flex", uid="1000")
    assert status == 0
    assert "sudo apt-get update" in calls
    assert "install -y -qq --no-install-recommends flex" in calls


def test_nothing_is_installed_where_nothing_is_missing(tmp_path: Path) -> None:
    assert run(tmp_path, "apt-get", missing="") == (0, "", "")
