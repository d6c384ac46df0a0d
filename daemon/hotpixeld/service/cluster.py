"""A Dask cluster as an executor, whose answers stay with the workers until they are asked for."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar, cast

from hotpixeld.errors import UsageError

_Out = TypeVar("_Out")


class Cluster(Executor):
    """What distributed's own executor is not: that one fetches every answer at once.

    An answer that a dying worker takes with it is made again from its task, and from the answers
    that the task was given, as long as somebody holds its future or one that was made of it.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 (distributed has no types)
        self._client = client

    @property
    def cores(self) -> int:
        """How many tasks the workers do at a time."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    def submit(self, fn: Callable[..., _Out], /, *args: Any, **kwargs: Any) -> Future[_Out]:  # noqa: ANN401 (Executor's)
        """Give a task out, under a name of its own: a second try is not the first one's answer."""
        return cast("Future[_Out]", self._client.submit(fn, *args, **kwargs, pure=False))

    def then(self, fn: Callable[..., _Out], *answers: Future[Any]) -> Future[_Out]:
        """Do something with answers where they are, before any task that was given out."""
        future = self._client.submit(fn, *answers, pure=False, priority=1)
        return cast("Future[_Out]", future)

    def close(self) -> None:
        """Let go of all answers."""
        self._client.close()


def connected(scheduler: str) -> Cluster:
    """Return the cluster at the address of a Dask scheduler.

    Raises
    ------
    UsageError
        The extra ``distributed`` is not installed, or nobody answers at the address.
    """
    try:
        from distributed import Client  # noqa: PLC0415 (an extra)
    except ImportError:
        raise UsageError(
            "--scheduler needs the extra: pip install 'hotpixeld[distributed]'"
        ) from None
    try:
        return Cluster(Client(scheduler, timeout="10s"))  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(f"no Dask scheduler at {scheduler}: {error}") from error
