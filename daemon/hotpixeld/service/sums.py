"""How the sums of an epoch's partitions are added, where they are: here, or on a cluster (`tree`).

To whom they are given out and how they travel is decided in this room and that one; what counts is
decided in `backfill`, for both alike.
"""

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from multiprocessing import shared_memory
from pathlib import Path
from typing import Protocol, Self

from hotpixeld.core.moments import Moments, bytes_of
from hotpixeld.core.sensor import Sensor
from hotpixeld.service.partition import (
    Folded,
    Partition,
    fold_partition,
    moments_in,
)
from hotpixeld.service.workers import WorkerDiedError, Workers

log = logging.getLogger(__name__)

PARTITION_PHOTOS = 50


class SumsLostError(Exception):
    """Sums that were lost cannot be made again as they were: the epoch is to be folded anew."""


class EpochSums(Protocol):
    """The sums of one epoch; each partition is added once, when it is settled."""

    def add(self, partition: Partition, folded: Folded) -> None:
        """Add a partition's sums."""

    def end(self) -> None:
        """Say that all partitions are added."""

    def total(self) -> Moments:
        """Return the sums of all partitions, which are then no longer kept.

        Raises
        ------
        SumsLostError
        """


class Summing(Protocol):
    """How the partitions of one sensor are folded and added.

    Attributes
    ----------
    partition_photos : int
        How large partitions are to be.
    open_photos : int
        How many photos' epochs may be waiting for their sums while later ones are settled.
    """

    partition_photos: int
    open_photos: int

    def fold(
        self, partitions: Iterable[Partition]
    ) -> Iterator[tuple[Partition, Folded | WorkerDiedError]]:
        """Yield each partition with its answer, which must be added before the next is asked."""

    def again(self, partition: Partition) -> Folded | WorkerDiedError:
        """Fold one partition, or part of one, that `fold` has yielded."""

    def epoch(self) -> EpochSums:
        """Return the sums of a new epoch."""


class SharedMemorySumming:
    """The workers' sums stand in shared memory, and are added here as they come."""

    def __init__(self, workers: Workers, sensor: Sensor, memory_bytes: int) -> None:
        self.partition_photos = PARTITION_PHOTOS
        self.open_photos = 0
        self._workers = workers
        self._sensor = sensor
        self._give = partial(workers.give, fold_partition)
        self._closing = contextlib.ExitStack()
        self._rooms = {room.name: room for room in self._make_rooms(memory_bytes)}
        self._free = list(self._rooms)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def fold(
        self, partitions: Iterable[Partition]
    ) -> Iterator[tuple[Partition, Folded | WorkerDiedError]]:
        """Yield each partition with its answer, which must be added before the next is asked."""
        for partition, answer in self._workers.in_order(self._give, map(self._housed, partitions)):
            yield partition, answer
            if partition.memory is not None:
                self._free.append(partition.memory)

    def again(self, partition: Partition) -> Folded | WorkerDiedError:
        """Fold one partition, or part of one, in the memory that it has."""
        return self._workers.one(self._give, partition)

    def epoch(self) -> "SharedMemorySums":
        """Return the sums of a new epoch."""
        return SharedMemorySums(self._sensor, self._rooms)

    def _housed(self, partition: Partition) -> Partition:
        return replace(partition, memory=self._free.pop() if self._rooms else None)

    def _make_rooms(self, memory_bytes: int) -> list[shared_memory.SharedMemory]:
        """Return as much shared memory as tasks are given out at once, within the limit.

        None where the machine has no room for any: the sums then come back by a pipe.
        """
        size_bytes = bytes_of(self._sensor.shape, self._sensor.depth_bits)
        most = max(1, memory_bytes // size_bytes)
        rooms = []
        for _ in range(min(self._workers.most_ahead, most)):
            room = shared_memory.SharedMemory(create=True, size=size_bytes)
            self._closing.callback(_give_back, room)
            if not _has_room(room):
                break
            rooms.append(room)
        self._workers.ahead = max(1, len(rooms))
        return rooms


class SharedMemorySums:
    """The sums of one epoch, added in place."""

    def __init__(self, sensor: Sensor, rooms: dict[str, shared_memory.SharedMemory]) -> None:
        self._sensor = sensor
        self._rooms = rooms
        self._total = Moments.empty(sensor.shape, sensor.depth_bits)

    def add(self, partition: Partition, folded: Folded) -> None:
        """Add a partition's sums."""
        sums = folded.sums
        if sums is None:
            assert partition.memory is not None
            room = self._rooms[partition.memory]
            sums = moments_in(room, self._sensor, len(folded.digests))
        assert isinstance(sums, Moments)
        self._total.merge(sums)

    def end(self) -> None:
        """Say that all partitions are added."""

    def total(self) -> Moments:
        """Return the sums of all partitions."""
        return self._total


def _has_room(room: shared_memory.SharedMemory) -> bool:
    """Take the memory now: a process that finds none when it writes dies of SIGBUS."""
    try:
        with Path("/dev/shm", room.name).open("r+b") as file:  # noqa: S108 (shm_overview(7))
            os.posix_fallocate(file.fileno(), 0, room.size)
    except OSError as error:
        log.warning("%s: %s; it goes slower", room.name, error.strerror)
        return False
    return True


def _give_back(room: shared_memory.SharedMemory) -> None:
    room.close()
    room.unlink()
