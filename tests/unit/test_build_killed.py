"""Builds killed, and builds side by side: nothing is left, nothing half-made is trusted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from test_build_site import Site, built

ROOT = Path(__file__).parents[2]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


PROGRAM = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    sys.path[:0] = [sys.argv[1], sys.argv[2]]
    import test_build_site as t
    from harness.build.cache import Cache
    from harness.build.kernel import build_kernels
    from harness.source.base import find_base
    from harness.source.progress import Silent
    class Telling(Silent):
        def note(self, text):
            print(text, flush=True)
    folder = Path(sys.argv[3])
    base = find_base(str(folder / "linux"))
    cache = Cache(folder / "cache")
    for kernel in build_kernels(base, None, t.ARCH, cache, folder / "guest", Telling()):
        print(kernel.image.read_text().split(), flush=True)
    """
)


def another_run(site: Site) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", PROGRAM, str(ROOT), str(Path(__file__).parent), str(site.folder)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def processes_of(site: Site) -> list[str]:
    """Command lines of the processes that work in the site's folder, or wait in its compiler."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_text().replace("\0", " ")
            where = str((entry / "cwd").readlink())
        except OSError:
            continue
        if int(entry.name) != os.getpid() and str(site.folder) in line + where:
            found.append(line)
    return found


def until(true: object, what: str, seconds: float = 20) -> None:
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def test_kill_minus_9_in_mid_build_leaves_no_make_no_compiler_and_nothing_to_trust(
    site: Site,
) -> None:
    site.wait.touch()
    run = another_run(site)
    with run:
        until(site.waiting.exists, "the compiler never ran")
        assert any("sleep" in line or "cc" in line for line in processes_of(site))
        run.send_signal(signal.SIGKILL)
    until(lambda: not processes_of(site), f"still there: {processes_of(site)}")
    assert not list((site.folder / "cache").glob("kernel/*"))
    site.wait.unlink()
    site.compiled()
    assert built(site.build()[0]).image.read_text() == "exit\nfork\n"
    assert site.compiled() == ["exit.c", "fork.c"]
    assert not list((site.folder / "cache/tmp").glob("run-*"))


def test_objects_newer_than_the_mark_of_a_killed_build_are_made_again(site: Site) -> None:
    site.build()
    (objects,) = (path for path in site.folder.glob("cache/tree/*/obj/*") if path.is_dir())
    mark = objects.with_name(objects.name + ".running")
    mark.write_text(Path("/proc/sys/kernel/random/boot_id").read_text())
    time.sleep(0.02)
    (objects / "fork.o").write_text("half")
    shutil.rmtree(site.folder / "cache/kernel")
    site.compiled()
    assert built(site.build()[0]).image.read_text() == "exit\nfork\n"
    assert site.compiled() == ["fork.c"]
    assert not mark.exists()


def test_after_a_crash_of_the_machine_in_mid_build_no_object_is_trusted(site: Site) -> None:
    site.build()
    (objects,) = (path for path in site.folder.glob("cache/tree/*/obj/*") if path.is_dir())
    objects.with_name(objects.name + ".running").write_text("another boot\n")
    shutil.rmtree(site.folder / "cache/kernel")
    site.compiled()
    site.build()
    assert site.compiled() == ["exit.c", "fork.c"]


def test_two_runs_side_by_side_build_each_kernel_once_and_one_says_that_it_waits(
    site: Site,
) -> None:
    site.wait.touch()
    with another_run(site) as first:
        until(site.waiting.exists, "the compiler never ran")
        with another_run(site) as second:
            assert second.stdout is not None and first.stdout is not None
            assert "waiting for another run" in second.stdout.readline()
            site.wait.unlink()
            # The first's compilers wait on, as it were; another one takes their place.
            for pid in sleepers(site):
                os.kill(pid, signal.SIGTERM)
            first.wait(20)
            assert "exit" in second.stdout.read()
    assert len(list((site.folder / "cache/kernel").iterdir())) == 1


def sleepers(site: Site) -> list[int]:
    """The compilers' sleeps: children of a shell that runs the site's cc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
            line = (entry / "cmdline").read_text()
            if line.startswith("sleep\0") and str(site.folder) in (
                Path("/proc", parent, "cmdline").read_text()
            ):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
