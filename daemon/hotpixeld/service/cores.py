"""Work on all cores: threads, since decoding and the compiled kernel let each other run."""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from hotpixeld.core.spread import Spread

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


class Cores:
    """So many threads, or none where one job is all: then everything is done in the caller's."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._pool = ThreadPoolExecutor(jobs, "core") if jobs > 1 else None

    @property
    def spread(self) -> Spread:
        """What `Moments.fold` wants to be done on all cores."""
        return self._pool.map if self._pool is not None else map

    def in_order(
        self, work: Callable[[_In], _Out], items: Iterable[_In]
    ) -> Iterator[tuple[_In, _Out]]:
        """Yield every item with what ``work`` made of it, in order, as many ahead as jobs."""
        if self._pool is None:
            for item in items:
                yield item, work(item)
            return
        source = iter(items)
        ahead = deque((item, self._pool.submit(work, item)) for item in islice(source, self.jobs))
        try:
            while ahead:
                item, future = ahead.popleft()
                yield item, future.result()
                del future  # a decoded photo is large
                ahead.extend((more, self._pool.submit(work, more)) for more in islice(source, 1))
        finally:
            for _, future in ahead:
                future.cancel()

    def close(self) -> None:
        """End the threads once they have done what they are at."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def cores(jobs: int) -> Iterator[Cores]:
    """Hold some threads for the length of the block."""
    held = Cores(jobs)
    try:
        yield held
    finally:
        held.close()
