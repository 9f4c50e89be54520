"""Nothing outlives the harness: child processes and temporary files end with it, also by kill -9.

Children get PR_SET_PDEATHSIG through setpriv(1): the kernel signals them when the thread that
started them ends, whatever ended it.  GNU make answers SIGTERM by ending its own children and
deleting half-made targets, so SIGTERM is right for builds, SIGKILL for QEMU.

Temporary files live in one folder per harness process.  A janitor process holds the read end of
a pipe whose only write end is ours; when we die, in any way, the pipe closes and the janitor
deletes the folder.  What a power cut leaves behind, the next run sweeps: a folder whose lock
nobody holds has no owner.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from harness.errors import InfraError

# We may die before setpriv asked for the signal, and then it never comes: so look afterwards.
_UNLESS_ORPHANED = '[ "$PPID" = "$0" ] && exec "$@"'

_JANITOR = 'trap "" INT TERM HUP QUIT; read -r _; rm -rf -- "$1"'


def spawn(
    argv: Sequence[str],
    *,
    on_death: signal.Signals = signal.SIGKILL,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[Any] | None = subprocess.DEVNULL,
    stdout: int | IO[Any] | None = None,
    stderr: int | IO[Any] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start argv so that it gets the signal on_death when the calling thread ends.

    The caller's thread must therefore live as long as the child.  The child leads its own
    process group, so that a Ctrl-C reaches the harness alone, which then ends its children in
    order.
    """
    try:
        return subprocess.Popen(
            [
                *("setpriv", f"--pdeathsig={on_death.name[3:]}", "--"),
                *("sh", "-c", _UNLESS_ORPHANED, str(os.getpid()), *argv),
            ],
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            process_group=0,
        )
    except FileNotFoundError as error:
        raise InfraError(
            f"starting {argv[0]}", f"{error.filename} is not there", "install util-linux (setpriv)"
        ) from error


def stop(child: subprocess.Popen[bytes], grace: float = 5.0) -> int:
    """End a child and its process group: SIGTERM, then SIGKILL after grace seconds; wait for it."""
    if child.poll() is None:
        _signal_group(child, signal.SIGTERM)
        try:
            child.wait(grace)
        except subprocess.TimeoutExpired:
            pass
    _signal_group(child, signal.SIGKILL)
    return child.wait()


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        pass


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Yield a new temporary folder under parent that is gone when the harness is.

    parent decides the file system, so that a finished file can be renamed into the cache beside.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with locked(parent / ".lock"):
        sweep(parent)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
        lock = _open_lock(folder / ".lock")
        fcntl.flock(lock, fcntl.LOCK_EX)
    read_end, write_end = os.pipe()
    janitor = subprocess.Popen(
        ["sh", "-c", _JANITOR, "noref-janitor", str(folder)],
        # As stdin, because dash knows no descriptor above 9.
        stdin=read_end,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    os.close(read_end)
    try:
        yield folder
    finally:
        os.close(write_end)
        janitor.wait()
        os.close(lock)


@contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Hold an exclusive lock on the file path, made if it is not there; yield its descriptor.

    on_wait is called once if somebody else holds it.  The kernel drops the lock with its last
    holder: a child that gets the descriptor (pass_fds) holds it as long as it lives.
    """
    lock = _open_lock(path)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)


def sweep(parent: Path) -> None:
    """Delete the temporary folders under parent whose owner is gone; hold parent's lock."""
    for folder in parent.glob("run-*"):
        try:
            lock = _open_lock(folder / ".lock")
        except FileNotFoundError:
            continue  # Its janitor was quicker.
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)
