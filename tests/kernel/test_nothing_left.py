"""kill -9 of the harness leaves no process, no socket, no temporary file, no half cache entry."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import ROOT, Noref, Ran, command

from harness.build.cache import default_folder

PATIENCE = 30.0


def processes_about(word: str) -> list[str]:
    """The command lines of all processes that name this word, our own aside."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found


def wait_for(what: str, condition) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        time.sleep(0.02)


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a noref command that minds SIGINT, even where CI runs us with it ignored."""
    return subprocess.Popen(
        ["env", "--default-signal=INT", *command(*arguments)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def scratch_folders() -> list[Path]:
    return list((default_folder() / "tmp").glob("run-*"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_run_leaves_nothing_behind(
    main_job: Ran, tmp_path: Path, number: signal.Signals
) -> None:
    results = tmp_path / "results"
    harness = start("test", "--results", str(results))
    wait_for("QEMU", lambda: processes_about(f"file:{results}"))
    harness.send_signal(number)
    harness.wait(PATIENCE)
    wait_for("QEMU's end", lambda: not processes_about(str(results)))
    wait_for("the janitor", lambda: not scratch_folders())
    wait_for("the janitor's end", lambda: not processes_about(str(default_folder() / "tmp")))
    sockets = [p for p in tmp_path.rglob("*") if p.is_socket()]
    assert sockets == []


def test_interrupted_run_shows_the_cells_that_ran(main_job: Ran, tmp_path: Path) -> None:
    results = tmp_path / "results"
    harness = subprocess.Popen(
        ["env", "--default-signal=INT", *command("test", "--results", str(results))],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for("a cell's outcome", lambda: list(results.glob("*/cells/**/outcome.json")))
    harness.send_signal(signal.SIGINT)
    output, _ = harness.communicate(timeout=2 * PATIENCE)
    assert harness.returncode == 130
    assert "stopped before the end (interrupted)" in output
    assert "Traceback" not in output
    result = Ran(status=130, output=output, results=results).result
    assert result.stopped == "interrupted"
    assert result.outcomes


def test_killed_build_leaves_no_make_and_the_next_run_completes_it(
    main_job: Ran, noref: Noref, own_series: Path
) -> None:
    (patch,) = own_series.glob("0004-*.patch")
    changed = f"+\tif (page_count(page) < 1) /* {time.time_ns()} */\n"
    patch.write_text(patch.read_text().replace("+\tif (!page_count(page))\n", changed))
    cache = default_folder()
    kernels = set((cache / "kernel").iterdir())
    only = ("--series", str(own_series), "--mode", "tdp", "--scenario", "guest_read")
    harness = start("test", *only, "--results", str(own_series / "results"))
    wait_for("the compiler", lambda: processes_about("kvm_main.c"))
    harness.kill()
    harness.wait(PATIENCE)
    wait_for("make's end", lambda: not processes_about(str(cache / "tree")))
    wait_for("the janitor", lambda: not scratch_folders())
    assert set((cache / "kernel").iterdir()) == kernels
    ran = noref("test", *only)
    assert ran.status == 0
    assert len(set((cache / "kernel").iterdir()) - kernels) == 1


def test_two_runs_side_by_side_share_the_cache(
    main_job: Ran, noref: Noref, own_series: Path, tmp_path: Path
) -> None:
    (patch,) = own_series.glob("0004-*.patch")
    changed = f"+\tif (page_count(page) < 1) /* {time.time_ns()} */\n"
    patch.write_text(patch.read_text().replace("+\tif (!page_count(page))\n", changed))
    only = ("--series", str(own_series), "--mode", "tdp", "--scenario", "guest_read")
    kernels = set((default_folder() / "kernel").iterdir())
    other = start("test", *only, "--results", str(tmp_path / "other"))
    ran = noref("test", *only)
    assert other.wait(300) == 0
    assert ran.status == 0
    assert len(set((default_folder() / "kernel").iterdir()) - kernels) == 1


def test_nothing_listens_beyond_loopback(main_job: Ran, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shell = start("shell", "--results", str(results), "--", "sleep", "60")
    try:
        wait_for("L1", lambda: processes_about(f"file:{results}"))
        wait_for("the port", lambda: listening(qemu_pids(results)))
        assert {address for address, _ in listening(qemu_pids(results))} == {"0100007F"}
    finally:
        shell.kill()
        shell.wait()
    wait_for("QEMU's end", lambda: not processes_about(f"file:{results}"))


def qemu_pids(results: Path) -> list[int]:
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal()
        and f"file:{results}".encode() in (entry / "cmdline").read_bytes()
        and b"qemu-system" in (entry / "cmdline").read_bytes()
    ]


def listening(pids: list[int]) -> set[tuple[str, str]]:
    """Where these processes listen: address and port in hexadecimal, as /proc/net/tcp has it."""
    inodes = set()
    for pid in pids:
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(fd.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, port = fields[1].split(":")
                found.add((address, port))
    return found
