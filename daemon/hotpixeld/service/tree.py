"""The sums of an epoch on a cluster: they stay with the workers, who add them in pairs, in a tree.

The coordinator hears what became of each photo and decides which ones count; it fetches the one sum
of an epoch. A worker that dies with sums loses nothing but time: they are made again of their
files. So that a photo counts once even if its file has changed by then, every sum says of which
images it is, and the last one must be of those that were decided upon.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import Self, cast

from hotpixeld.core.moments import Moments
from hotpixeld.core.sensor import Sensor
from hotpixeld.service.cluster import Cluster
from hotpixeld.service.partition import (
    Entry,
    Folded,
    Partition,
    added,
    entries_of,
    fold_partition,
)
from hotpixeld.service.sums import SumsLostError
from hotpixeld.service.workers import WorkerDiedError, Workers, is_death

PARTITION_PHOTOS = 50


class TreeSumming:
    """The workers of a cluster keep their sums and add them."""

    def __init__(self, workers: Workers, cluster: Cluster, sensor: Sensor) -> None:
        self.partition_photos = PARTITION_PHOTOS
        self.open_photos = workers.ahead * PARTITION_PHOTOS
        self._workers = workers
        self._cluster = cluster
        self._sensor = sensor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of nothing: what nobody holds any more, the workers drop."""

    def fold(
        self, partitions: Iterable[Partition]
    ) -> Iterator[tuple[Partition, Folded | WorkerDiedError]]:
        """Yield each partition with its answer, of which the sums stay where they are."""
        return self._workers.in_order(self._give, partitions)

    def again(self, partition: Partition) -> Folded | WorkerDiedError:
        """Fold one partition, or part of one."""
        return self._workers.one(self._give, partition)

    def epoch(self) -> "TreeSums":
        """Return the sums of a new epoch."""
        return TreeSums(self._cluster, self._sensor)

    def _give(self, partition: Partition) -> Future[Folded]:
        whole = self._workers.give(fold_partition, partition)
        return _Told(self._cluster.then(entries_of, whole), whole)


class TreeSums:
    """The sums of one epoch, as few as the partitions' number has ones when written in binary."""

    def __init__(self, cluster: Cluster, sensor: Sensor) -> None:
        self._cluster = cluster
        self._sensor = sensor
        self._sums: list[tuple[int, Future[Folded]]] = []  # each with the height of its tree
        self._digests: tuple[bytes, ...] = ()

    def add(self, _: Partition, folded: Folded) -> None:
        """Have a partition's sums added to those of a tree as high, that to the next, and so on."""
        height, sums = 0, cast("Future[Folded]", folded.sums)
        while self._sums and self._sums[-1][0] == height:
            sums = self._cluster.then(added, self._sums.pop()[1], sums)
            height += 1
        self._sums.append((height, sums))
        self._digests += folded.digests

    def end(self) -> None:
        """Have the trees of different heights added, the lower ones first."""
        while len(self._sums) > 1:
            (_, right), (height, left) = self._sums.pop(), self._sums.pop()
            self._sums.append((height + 1, self._cluster.then(added, left, right)))

    def total(self) -> Moments:
        """Fetch the sums of all partitions.

        Raises
        ------
        SumsLostError
        """
        if not self._sums:
            return Moments.empty(self._sensor.shape, self._sensor.depth_bits)
        (_, sums) = self._sums.pop()
        try:
            folded = sums.result()
        except Exception as error:
            if not is_death(error):
                raise
            raise SumsLostError("workers died while they added sums") from error
        if folded.digests != self._digests:
            raise SumsLostError("files have changed since they were folded")
        return cast("Moments", folded.sums)


class _Told(Future[Folded]):
    """A partition's answer as soon as its entries are known."""

    def __init__(self, entries: Future[tuple[Entry, ...]], whole: Future[Folded]) -> None:
        super().__init__()
        self._entries = entries
        self._whole = whole

    def result(self, timeout: float | None = None) -> Folded:  # noqa: ARG002 (Future's)
        """Return the answer; the sums are a future."""
        return Folded(self._entries.result(), self._whole)

    def done(self) -> bool:
        """Tell whether the entries are known, or never will be."""
        return self._entries.done()

    def cancelled(self) -> bool:
        """Tell whether they were given up."""
        return self._entries.cancelled()

    def exception(self, timeout: float | None = None) -> BaseException | None:  # noqa: ARG002
        """Return why they will never be known."""
        return self._entries.exception()
