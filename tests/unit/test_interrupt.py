"""An interrupt is not missed, wherever it comes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from harness.interrupt import wait_for


def interrupt() -> None:
    """Let a thread get SIGINT, so that no system call of the main thread ends by it."""
    signal.raise_signal(signal.SIGINT)


def test_it_waits_for_all() -> None:
    ran: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        wait_for(pool.submit(ran.append, number) for number in range(5))
        assert sorted(ran) == [0, 1, 2, 3, 4]


def test_the_first_failure_is_raised_while_others_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    over = Event()
    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(ZeroDivisionError):
            wait_for([pool.submit(over.wait, 20), pool.submit(divmod, 1, 0)])
        assert not over.is_set()
        over.set()
    assert not caplog.records


def test_an_interrupt_wakes_a_main_thread_that_blocks(
    minded: None, caplog: pytest.LogCaptureFixture
) -> None:
    over = Event()

    def work() -> bool:
        interrupt()
        return over.wait(20)

    started: list[Future[bool]] = []
    with ThreadPoolExecutor(1) as pool:

        def starts() -> Iterator[Future[bool]]:
            started.append(pool.submit(work))
            yield started[0]

        with pytest.raises(KeyboardInterrupt):
            wait_for(starts())
        assert not started[0].done()
        over.set()
        assert started[0].result()
    assert not caplog.records


def test_an_interrupt_during_the_start_waits_until_all_are_started(minded: None) -> None:
    over = Event()
    started: list[Future[bool]] = []
    with ThreadPoolExecutor(3) as pool:

        def starts() -> Iterator[Future[bool]]:
            for _ in range(3):
                started.append(pool.submit(over.wait, 20))
                interrupt()
                yield started[-1]

        with pytest.raises(KeyboardInterrupt):
            wait_for(starts())
        assert len(started) == 3 and not any(future.done() for future in started)
        over.set()


def test_an_ignored_interrupt_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ThreadPoolExecutor(1) as pool:
            wait_for([pool.submit(interrupt)])
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
