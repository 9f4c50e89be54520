"""Nothing outlives the harness, however it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import lifetime
from harness.errors import InfraError

ROOT = Path(__file__).parents[2]


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def victim(program: str, *arguments: Path) -> subprocess.Popen[str]:
    """Another harness, to be killed; it prints a line when it is ready."""
    head = "import subprocess, sys, time\nfrom pathlib import Path\nfrom harness import lifetime\n"
    argv = [sys.executable, "-c", head + program, *map(str, arguments)]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert child.stdout is not None
    return child


def line_of(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_scratch_is_gone_after_use_and_after_an_exception(tmp_path: Path) -> None:
    with lifetime.scratch(tmp_path) as folder:
        (folder / "file").touch()
    assert not folder.exists()
    with pytest.raises(KeyError), lifetime.scratch(tmp_path) as folder:
        raise KeyError
    assert not folder.exists()


def test_scratch_is_gone_also_where_many_descriptors_are_open(tmp_path: Path) -> None:
    taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
    try:
        with lifetime.scratch(tmp_path) as folder:
            pass
        assert not folder.exists()
    finally:
        for descriptor in taken:
            os.close(descriptor)


def test_scratch_is_gone_after_kill_minus_9(tmp_path: Path) -> None:
    program = "with lifetime.scratch(Path(sys.argv[1])) as f: print(f, flush=True); time.sleep(600)"
    with victim(program, tmp_path) as child:
        folder = Path(line_of(child))
        assert folder.is_dir()
        child.send_signal(signal.SIGKILL)
    until(lambda: not folder.exists())


def test_scratch_in_use_is_not_swept_and_scratch_without_owner_is(tmp_path: Path) -> None:
    (tmp_path / "run-stale").mkdir()
    with lifetime.scratch(tmp_path) as first, lifetime.scratch(tmp_path) as second:
        assert first.is_dir() and second.is_dir()
        assert not (tmp_path / "run-stale").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_gets_its_signal_when_its_parent_is_killed(number: signal.Signals) -> None:
    program = (
        f"c = lifetime.spawn(['sleep', '600'], on_death=lifetime.signal.{number.name})\n"
        "print(c.pid, flush=True); time.sleep(600)"
    )
    with victim(program) as child:
        pid = int(line_of(child))
        until(lambda: "sleep" in Path(f"/proc/{pid}/cmdline").read_text())
        child.send_signal(signal.SIGKILL)
    until(lambda: not alive(pid))


def test_stopping_ends_a_child_that_ignores_sigterm_and_its_children() -> None:
    child = lifetime.spawn(
        ["sh", "-c", "trap '' TERM; sleep 600 & echo $!; wait"], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    assert lifetime.stop(child, grace=0.2) == -signal.SIGKILL
    until(lambda: not alive(grandchild))


def test_a_missing_setpriv_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InfraError, match="util-linux"):
        lifetime.spawn(["true"])


def test_a_lock_is_held_until_its_last_holder_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    waits: list[str] = []
    with lifetime.locked(path) as lock:
        child = lifetime.spawn(["sleep", "0.5"], pass_fds=(lock,))
    begun = time.monotonic()
    with lifetime.locked(path, lambda: waits.append("waited")):
        assert time.monotonic() - begun > 0.2
    assert waits == ["waited"]
    child.wait()


def test_a_lock_that_is_free_does_not_wait(tmp_path: Path) -> None:
    with lifetime.locked(tmp_path / "lock", lambda: pytest.fail("waited")):
        pass
    with lifetime.locked(tmp_path / "lock", lambda: pytest.fail("waited")):
        pass
