"""Waiting for threads without missing an interrupt.

CPython notes a signal, and acts on it when its main thread runs bytecode again.  A signal that
comes after the last bytecode before a system call that blocks waits until that call is over, and
where other threads want the interpreter's lock that moment is long (drop_gil() in
CPython 3.11 waits for one to take it).  An event loop has no such moment: the C handler
writes a byte into a pipe, which ends the loop's wait (signal.set_wakeup_fd()).
"""

from __future__ import annotations

import asyncio
import signal
from asyncio import CancelledError
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any


def wait_for(futures: Iterable[Future[Any]]) -> None:
    """Wait in the main thread for futures; these may be started by the iterating itself.

    Raises what the first that fails raises, without waiting for the others.  SIGINT, unless it
    is ignored, raises KeyboardInterrupt, but not before all are started.
    """
    try:
        asyncio.run(_wait_for(futures))
    except CancelledError:
        raise KeyboardInterrupt from None


async def _wait_for(futures: Iterable[Future[Any]]) -> None:
    task = asyncio.current_task()
    assert task is not None
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
    waited = [asyncio.wrap_future(future) for future in futures]
    try:
        await asyncio.gather(*waited)
    finally:
        for future in waited:
            future.cancel()
