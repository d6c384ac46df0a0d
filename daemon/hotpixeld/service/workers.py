"""Who does the work of `backfill`: processes here, or a Dask cluster; to the caller they are alike.

A task is a plain function of plain values that changes nothing, so one whose worker died is given
out again. A task that has taken a worker down twice is given back as `WorkerDiedError`.
"""

import contextlib
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from hotpixeld.service.cluster import Cluster, connected

_In = TypeVar("_In")
_Out = TypeVar("_Out")
MOST_DEATHS = 2


class WorkerDiedError(Exception):
    """A task has taken its worker down twice."""


class Workers:
    """An executor that may be made anew.

    Parameters
    ----------
    make
        Makes the executor.
    ahead
        How many tasks are given out at once.
    cluster
        The cluster that the executor is; None where the workers see this machine's shared memory.
    """

    def __init__(
        self, make: Callable[[], Executor], *, ahead: int, cluster: Cluster | None = None
    ) -> None:
        self._make = make
        self._executor = make()
        self.ahead = self.most_ahead = ahead
        self.cluster = cluster

    def in_order(
        self, give: Callable[[_In], Future[_Out]], tasks: Iterable[_In]
    ) -> Iterator[tuple[_In, _Out | WorkerDiedError]]:
        """Yield every task with its answer, in order; tasks are asked for as workers get free.

        ``give`` gives one out, by `give` of this room in the end.
        """
        source = iter(tasks)
        given = deque((task, give(task)) for task in islice(source, self.ahead))
        while given:
            task, future = given[0]
            try:
                answer: _Out | WorkerDiedError = future.result()
            except Exception as error:
                if not is_death(error):
                    raise
                given = deque(_again(give, given))
                answer = self._alone(give, task)
            given.popleft()
            yield task, answer
            given.extend((task, give(task)) for task in islice(source, 1))

    def one(self, give: Callable[[_In], Future[_Out]], task: _In) -> _Out | WorkerDiedError:
        """Return the answer to one task."""
        try:
            return give(task).result()
        except Exception as error:
            if not is_death(error):
                raise
            return self._alone(give, task)

    def close(self) -> None:
        """Let the workers go."""
        self._shut_down(wait=True)

    def give(self, work: Callable[[_In], _Out], task: _In) -> Future[_Out]:
        """Give a task out, to new workers where the old ones are gone."""
        try:
            return self._executor.submit(work, task)
        except BrokenProcessPool:
            self._renew()
            return self._executor.submit(work, task)

    def _shut_down(self, *, wait: bool) -> None:
        self._executor.shutdown(wait=wait, cancel_futures=True)

    def _renew(self) -> None:
        # A survivor of the old ones must not go on in shared memory that is given out again.
        self._shut_down(wait=self.cluster is None)
        self._executor = self._make()

    def _alone(self, give: Callable[[_In], Future[_Out]], task: _In) -> _Out | WorkerDiedError:
        """Do a task again that was given out when a worker died, with nothing beside it."""
        for _ in range(MOST_DEATHS - 1):
            self._renew()
            try:
                return give(task).result()
            except Exception as error:
                if not is_death(error):
                    raise
        self._renew()
        return WorkerDiedError("the process died twice")


def _again(
    give: Callable[[_In], Future[_Out]], given: Iterable[tuple[_In, Future[_Out]]]
) -> Iterator[tuple[_In, Future[_Out]]]:
    """Keep the answers that came, and leave what was lost to be given out when it is asked."""
    for task, future in given:
        if future.done() and not future.cancelled() and future.exception() is None:
            yield task, future
        else:
            yield task, _Later(give, task)


class _Later(Future[Any]):
    """A task that is given out when its answer is asked for."""

    def __init__(self, give: Callable[[Any], Future[Any]], task: object) -> None:
        super().__init__()
        self._ask = (give, task)

    def result(self, timeout: float | None = None) -> Any:  # noqa: ANN401, ARG002 (Future's)
        """Return the answer."""
        give, task = self._ask
        return give(task).result()


def is_death(error: Exception) -> bool:
    """Tell whether it means that a task took its worker down."""
    return isinstance(error, BrokenProcessPool) or type(error).__name__ == "KilledWorker"


@contextlib.contextmanager
def workers(jobs: int, scheduler: str | None) -> Iterator[Workers]:
    """Hold ``jobs`` processes, or the workers of a Dask cluster, for the length of the block.

    Raises
    ------
    UsageError
        The extra ``distributed`` is not installed, or nobody answers at the address.
    """
    with contextlib.ExitStack() as closing:
        if scheduler is None:
            context = multiprocessing.get_context("spawn")
            held = Workers(lambda: ProcessPoolExecutor(jobs, context), ahead=jobs + 1)
        else:
            cluster = connected(scheduler)
            closing.callback(cluster.close)
            held = Workers(lambda: cluster, ahead=2 * cluster.cores, cluster=cluster)
        closing.callback(held.close)
        yield held
