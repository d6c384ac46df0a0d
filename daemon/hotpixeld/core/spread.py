"""How work on bands of rows is dealt out: one after the other, or over several cores."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Spread(Protocol):
    """Calls a function for every item and yields what it returns, in order, as `map` does.

    The ``map`` of a thread pool does so on several cores.
    """

    def __call__(self, work: Callable[[_In], _Out], items: Iterable[_In], /) -> Iterator[_Out]:
        """Return what ``work`` made of the items."""


def bands_of(height: int, rows: int) -> Iterator[slice]:
    """Yield slices of so many rows, the last one perhaps of fewer."""
    for start in range(0, height, rows):
        yield slice(start, min(height, start + rows))
