"""The bell wakes whoever waits, and a wait is never longer than it was to be."""

import random
import signal
import threading
import time
from types import FrameType

import pytest

from hotpixeld.edge.bell import Bell


def test_a_ring_before_the_wait_counts_once() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    assert bell.wait(0)
    assert not bell.wait(0)


def test_another_thread_wakes_the_one_that_waits() -> None:
    bell, woken = Bell(), threading.Event()

    def wait() -> None:
        assert bell.wait(60)
        woken.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    bell.ring()
    assert woken.wait(30)
    waiting.join()


@pytest.mark.timeout(60)
def test_a_signal_as_the_time_is_up_does_not_make_the_wait_endless() -> None:
    bell, generator = Bell(), random.Random(1)

    def linger(_number: int, _frame: FrameType | None) -> None:
        time.sleep(0.002)

    before = signal.signal(signal.SIGALRM, linger)
    try:
        for _ in range(300):
            signal.setitimer(signal.ITIMER_REAL, generator.uniform(0.003, 0.0052))
            assert not bell.wait(0.005)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
