"""Who does the work of `backfill`: processes here, or a Dask cluster; to the caller they are alike.

A task is a plain function of plain values that changes nothing, so one whose worker died is given
out again. A task that has taken a worker down twice is given back as `WorkerDiedError`.
"""

import contextlib
import multiprocessing
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar, cast

from hotpixeld.errors import UsageError

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
    are_here
        True where the workers can see this machine's shared memory.
    """

    def __init__(self, make: Callable[[], Executor], *, ahead: int, are_here: bool) -> None:
        self._make = make
        self._executor = make()
        self.ahead = self.most_ahead = ahead
        self.are_here = are_here

    def in_order(
        self, work: Callable[[_In], _Out], tasks: Iterable[_In]
    ) -> Iterator[tuple[_In, _Out | WorkerDiedError]]:
        """Yield every task with its answer, in order; tasks are asked for as workers get free."""
        source = iter(tasks)
        given = deque((task, self.give(work, task)) for task in islice(source, self.ahead))
        while given:
            task, future = given[0]
            try:
                answer: _Out | WorkerDiedError = future.result()
            except Exception as error:
                if not _is_death(error):
                    raise
                given = deque(self._again(work, given))
                answer = self._alone(work, task)
            given.popleft()
            yield task, answer
            given.extend((task, self.give(work, task)) for task in islice(source, 1))

    def one(self, work: Callable[[_In], _Out], task: _In) -> _Out | WorkerDiedError:
        """Return the answer to one task."""
        try:
            return self.give(work, task).result()
        except Exception as error:
            if not _is_death(error):
                raise
            return self._alone(work, task)

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
        self._shut_down(wait=self.are_here)
        self._executor = self._make()

    def _alone(self, work: Callable[[_In], _Out], task: _In) -> _Out | WorkerDiedError:
        """Do a task again that was given out when a worker died, with nothing beside it."""
        for _ in range(MOST_DEATHS - 1):
            self._renew()
            try:
                return self._executor.submit(work, task).result()
            except Exception as error:
                if not _is_death(error):
                    raise
        self._renew()
        return WorkerDiedError("the process died twice")

    def _again(
        self, work: Callable[[_In], _Out], given: Iterable[tuple[_In, Future[_Out]]]
    ) -> Iterator[tuple[_In, Future[_Out]]]:
        """Keep the answers that came, and leave what was lost to be given out when it is asked."""
        for task, future in given:
            if future.done() and not future.cancelled() and future.exception() is None:
                yield task, future
            else:
                yield task, _Later(self, work, task)


class _Later(Future[Any]):
    """A task that is given out when its answer is asked for."""

    def __init__(self, workers: Workers, work: Callable[[Any], Any], task: object) -> None:
        super().__init__()
        self._ask = (workers, work, task)

    def result(self, timeout: float | None = None) -> Any:  # noqa: ANN401, ARG002 (Future's)
        """Return the answer."""
        workers, work, task = self._ask
        return workers.give(work, task).result()


class _Cluster(Executor):
    """A Dask cluster as an executor whose answers stay with the workers until they are asked for.

    distributed's own executor fetches every answer at once: of large sums more than memory holds.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 (distributed has no types)
        self._client = client
        self._given: weakref.WeakSet[Any] = weakref.WeakSet()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401 (Executor's)
        """Give a task out, under a name of its own: a second try is not the first one's answer."""
        future = self._client.submit(fn, *args, **kwargs, pure=False)
        self._given.add(future)
        return cast("Future[Any]", future)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 (Executor's)
        """Take back what is not done."""
        for future in list(self._given):
            if not future.done():
                future.cancel()


def _is_death(error: Exception) -> bool:
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
            held = Workers(
                lambda: ProcessPoolExecutor(jobs, context), ahead=jobs + 1, are_here=True
            )
        else:
            client = _client(scheduler)
            closing.callback(client.close)
            cores = sum(client.nthreads().values())
            held = Workers(lambda: _Cluster(client), ahead=2 * max(1, cores), are_here=False)
        closing.callback(held.close)
        yield held


def _client(scheduler: str) -> Any:  # noqa: ANN401 (distributed has no types)
    try:
        from distributed import Client  # noqa: PLC0415 (an extra)
    except ImportError:
        raise UsageError(
            "--scheduler needs the extra: pip install 'hotpixeld[distributed]'"
        ) from None
    try:
        return Client(scheduler, timeout="10s")  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(f"no Dask scheduler at {scheduler}: {error}") from error
