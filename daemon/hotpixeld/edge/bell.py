"""A bell that wakes the one thread that waits for it."""

import contextlib
import threading


class Bell:
    """Rung by any thread or signal handler, as often as they like; waited for by one thread.

    ``SimpleQueue.get`` with a timeout cannot do this: where a signal or another thread comes just
    as its time is up, CPython (3.11 at least) goes on waiting with what is left, which is less than
    nothing, and that it takes for ever.
    """

    def __init__(self) -> None:
        self._silence = threading.Lock()
        self._silence.acquire()

    def ring(self) -> None:
        """Wake the thread that waits, or that waits next."""
        with contextlib.suppress(RuntimeError):  # it has been rung already
            self._silence.release()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the bell; return False if it was not rung within so many seconds."""
        return self._silence.acquire(timeout=timeout_s)
