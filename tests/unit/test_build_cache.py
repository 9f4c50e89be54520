"""The cache: an entry is there whole or not at all, whoever makes it and however that ends."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from harness.build.cache import Cache, default_folder, key_of
from harness.errors import InfraError, UserError

ROOT = Path(__file__).parents[2]


def fill(into: Path) -> None:
    (into / "image").write_bytes(b"x")


def leftovers(cache: Cache) -> list[Path]:
    return list(cache.tmp.glob("run-*"))


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    path = cache.entry("kernel", "k", fill)
    assert (path / "image").read_bytes() == b"x"
    assert cache.entry("kernel", "k", lambda into: pytest.fail("made again")) == path
    assert cache.find("kernel", "k") == path and cache.find("kernel", "other") is None
    assert not leftovers(cache)


def test_an_entry_that_fails_is_not_there(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def fail(into: Path) -> None:
        (into / "image").write_bytes(b"half")
        assert cache.find("kernel", "k") is None
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.entry("kernel", "k", fail)
    assert cache.find("kernel", "k") is None and not leftovers(cache)


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, UserError), (errno.EDQUOT, UserError), (5, InfraError)]
)
def test_a_full_disk_is_the_users_error(tmp_path: Path, number: int, kind: type[Exception]) -> None:
    cache = Cache(tmp_path)

    def fail(into: Path) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(kind, match=str(tmp_path)):
        cache.entry("kernel", "k", fail)
    assert cache.find("kernel", "k") is None


def test_of_two_makers_at_once_the_first_ones_entry_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    both = threading.Barrier(2, timeout=20)
    paths: list[Path] = []

    def make(into: Path) -> None:
        (into / "thread").write_text(str(threading.get_ident()))
        both.wait()

    threads = [
        threading.Thread(target=lambda: paths.append(cache.entry("kernel", "k", make)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(paths) == 2 and paths[0] == paths[1]
    assert (paths[0] / "thread").exists() and not leftovers(cache)


def test_kill_minus_9_leaves_neither_an_entry_nor_scratch(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from harness.build.cache import Cache
        def make(into):
            (into / "image").write_bytes(b"half")
            print("half", flush=True)
            time.sleep(600)
        Cache(Path(sys.argv[1])).entry("kernel", "k", make)
        """
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, cwd=ROOT
    )
    with child:
        assert child.stdout is not None and child.stdout.readline() == b"half\n"
        cache = Cache(tmp_path)
        assert cache.find("kernel", "k") is None and leftovers(cache)
        child.send_signal(signal.SIGKILL)
        # The janitor has the pipe's other end, and its stdout is not this one.
        child.wait(10)
    made = cache.entry("kernel", "k", fill)
    assert (made / "image").read_bytes() == b"x"
    assert not leftovers(cache)


def test_stale_scratch_of_a_dead_run_is_swept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    stale = cache.tmp / "run-stale"
    stale.mkdir()
    (stale / "half").write_text("x")
    cache.entry("kernel", "k", lambda into: None)
    assert not stale.exists()


def test_the_key_depends_on_every_part_and_on_where_parts_end() -> None:
    keys = [key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of(b"abc"), key_of(("abc",))]
    assert len(set(keys)) == len(keys)
    assert key_of("a", 1, ("b",)) == key_of("a", 1, ["b"])


def test_a_folder_that_kbuild_refuses_is_the_users_error(tmp_path: Path) -> None:
    for name in ("with space", "with:colon"):
        with pytest.raises(UserError, match="NOREF_CACHE"):
            Cache(tmp_path / name)


def test_a_cache_that_cannot_be_made_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="NOREF_CACHE"):
        Cache(tmp_path / "file" / "cache")


def test_the_environment_names_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.delenv("NOREF_CACHE", raising=False)
    assert default_folder() == Path("/x/noref")
    monkeypatch.setenv("NOREF_CACHE", "/mine")
    assert default_folder() == Path("/mine")
