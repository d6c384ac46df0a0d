"""A studio's archive of ten million photos, simulated: how long, how much, and what limits it.

What one photo, one addition and one ranking cost is measured here and now; the cluster is
simulated: workers fold partitions and add the sums of those that are settled, in a tree; some die,
and what they held is made again; one coordinator settles the partitions in order of capture,
fetches an epoch's one sum and ranks it, camera after camera.
``python -m benchmarks.archive`` with ``PYTHONPATH=daemon:tests``.
"""

import heapq
import io
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from benchmarks.madephotos import jpeg
from hotpixeld.core.moments import Moments
from hotpixeld.core.rank import rank
from hotpixeld.edge.decode import frame_of, load, open_image
from hotpixeld.service.partition import Folded, added

PHOTOS = 10_000_000
CAMERAS = 400
EPOCH_PHOTOS = 500  # half of the window
DEATHS_AN_HOUR = 0.02  # of one worker
AHEAD = 2  # partitions that are given out, a worker


@dataclass(frozen=True)
class Costs:
    """What was measured on this machine, in seconds and bytes, of a 24 MP sensor."""

    photo_s: float
    add_s: float
    rank_s: float
    part_bytes: int  # the sums of a few photos
    epoch_bytes: int


@dataclass(frozen=True)
class Cluster:
    """What is assumed."""

    workers: int
    partition: int
    network_bytes_s: float = 1.0e9  # into each machine: 10 gigabit
    disk_bytes_s: float = 2.5e8  # a worker's share of the storage


@dataclass
class Outcome:
    """What came of a simulated run."""

    hours: float = 0.0
    coordinator_busy_s: float = 0.0
    sent_bytes: float = 0.0
    most_kept_bytes: float = 0.0  # in the memory of all workers together
    photos_again: int = 0


def measured() -> Costs:
    """Return the costs of one thread, here and now."""
    files = [jpeg(24, seed) for seed in range(4)]
    moments = Moments.empty((4000, 6000, 3), 8, few=True)
    part = Folded((), moments)
    photo_s, add_s = [], []
    for _ in range(3):
        start_s = time.process_time()
        moments.fold([frame_of(load(open_image(data, 10**9))) for data in files])
        photo_s.append((time.process_time() - start_s) / len(files))
        start_s = time.process_time()
        added(part, part)
        add_s.append(time.process_time() - start_s)
    part_bytes = sys.getsizeof(moments)
    start_s = time.process_time()
    rank([moments])
    rank_s = time.process_time() - start_s
    epoch_bytes = sum(array.nbytes for array in moments.arrays().values())
    return Costs(
        statistics.median(photo_s), statistics.median(add_s), rank_s, part_bytes, epoch_bytes
    )


@dataclass(eq=False)
class _Sums:
    """Sums that a worker is to make, or has made: of a partition, or of two others."""

    photos: int
    made_of: tuple["_Sums", ...] = ()
    worker: int = -1
    is_there: bool = False
    then: list[Callable[[float], None]] = field(default_factory=list)


class _Camera:
    """One camera's photos on the cluster."""

    def __init__(
        self, costs: Costs, cluster: Cluster, photo_bytes: int, generator: np.random.Generator
    ) -> None:
        self.costs, self.cluster, self.generator = costs, cluster, generator
        self.photo_s = max(costs.photo_s, photo_bytes / cluster.disk_bytes_s)
        self.outcome = Outcome()
        self.per_epoch = EPOCH_PHOTOS // cluster.partition
        self.partitions = [
            _Sums(cluster.partition) for _ in range(PHOTOS // CAMERAS // cluster.partition)
        ]
        self.ahead = AHEAD * cluster.workers
        self.most_settling = self.ahead // self.per_epoch
        self.given = self.settled = self.epochs_done = 0
        self.trees: list[_Sums] = []
        self.settling: deque[_Sums] = deque()
        self.queues: list[deque[_Sums]] = [deque() for _ in range(cluster.workers)]
        self.idle = set(range(cluster.workers))
        self.kept: list[set[_Sums]] = [set() for _ in range(cluster.workers)]
        self.coordinator_is_busy = False
        self.events: list[tuple[float, int, Callable[[float], None]]] = []
        self.numbered = 0

    def run(self) -> Outcome:
        """Return what comes of it."""
        self._wake(0.0)
        now_s = 0.0
        while self.events:
            now_s, _, happen = heapq.heappop(self.events)
            happen(now_s)
        self.outcome.hours = now_s / 3600
        return self.outcome

    def _at(self, when_s: float, happen: Callable[[float], None]) -> None:
        self.numbered += 1
        heapq.heappush(self.events, (when_s, self.numbered, happen))

    # --- the workers

    def _wake(self, now_s: float) -> None:
        for worker in sorted(self.idle):
            self._work(worker, now_s)

    def _work(self, worker: int, now_s: float) -> None:
        """Take what adds before what folds."""
        self.idle.discard(worker)
        if self.queues[worker]:
            sums = self.queues[worker].popleft()
        elif self.given < min(len(self.partitions), self.settled + self.ahead):
            sums = self.partitions[self.given]
            self.given += 1
        else:
            self.idle.add(worker)
            return
        sums.worker = worker
        work_s = self._work_s(sums)
        while self.generator.random() < DEATHS_AN_HOUR * work_s / 3600:
            lost = sums.photos + sum(other.photos for other in self.kept[worker])
            self.outcome.photos_again += lost
            work_s += self.generator.random() * work_s + lost * self.photo_s
        self._at(now_s + work_s, lambda now_s: self._made(sums, now_s))

    def _work_s(self, sums: _Sums) -> float:
        if not sums.made_of:
            return sums.photos * self.photo_s
        sent = sum(self._bytes(part) for part in sums.made_of if part.worker != sums.worker)
        self.outcome.sent_bytes += sent
        return sent / self.cluster.network_bytes_s + self.costs.add_s

    def _bytes(self, sums: _Sums) -> int:
        return self.costs.part_bytes if sums.photos < 256 else self.costs.epoch_bytes

    def _made(self, sums: _Sums, now_s: float) -> None:
        sums.is_there = True
        for part in sums.made_of:
            self.kept[part.worker].discard(part)
        self.kept[sums.worker].add(sums)
        kept = sum(self._bytes(some) for held in self.kept for some in held)
        self.outcome.most_kept_bytes = max(self.outcome.most_kept_bytes, kept)
        for happen in sums.then:
            happen(now_s)
        self._coordinate(now_s)
        self._work(sums.worker, now_s)

    # --- the coordinator

    def _coordinate(self, now_s: float) -> None:
        while not self.coordinator_is_busy:
            all_settled = self.settled == len(self.partitions)
            if self.settling and (all_settled or len(self.settling) > self.most_settling):
                if not self.settling[0].is_there:
                    return
                self._fetch(self.settling.popleft(), now_s)
            elif not all_settled and self.partitions[self.settled].is_there:
                self._settle(self.partitions[self.settled], now_s)
            else:
                return

    def _settle(self, sums: _Sums, now_s: float) -> None:
        self.settled += 1
        is_last = self.settled % self.per_epoch == 0
        while self.trees and (is_last or self.trees[-1].photos == sums.photos):
            sums = self._added(self.trees.pop(), sums, now_s)
        self.trees.append(sums)
        if is_last:
            self.settling.append(self.trees.pop())
        self._wake(now_s)

    def _added(self, left: _Sums, right: _Sums, now_s: float) -> _Sums:
        """Have two sums added by the worker that has the later one, once both are there."""
        both = _Sums(left.photos + right.photos, (left, right), right.worker)

        def give(now_s: float) -> None:
            if left.is_there and right.is_there:
                both.worker = right.worker
                self.queues[both.worker].append(both)
                if both.worker in self.idle:
                    self._work(both.worker, now_s)

        waits_for = [part for part in both.made_of if not part.is_there]
        for part in waits_for:
            part.then.append(give)
        if not waits_for:
            give(now_s)
        return both

    def _fetch(self, sums: _Sums, now_s: float) -> None:
        send_s = self.costs.epoch_bytes / self.cluster.network_bytes_s
        self.outcome.sent_bytes += self.costs.epoch_bytes
        self.outcome.coordinator_busy_s += send_s + self.costs.rank_s
        self.kept[sums.worker].discard(sums)
        self.coordinator_is_busy = True

        def go_on(now_s: float) -> None:
            self.coordinator_is_busy = False
            self._coordinate(now_s)

        self._at(now_s + send_s + self.costs.rank_s, go_on)


def simulated(costs: Costs, cluster: Cluster, photo_bytes: int, cameras: int = 8) -> Outcome:
    """Run some cameras through the cluster, one after the other, and reckon with all."""
    total = Outcome()
    generator = np.random.default_rng(1)
    for _ in range(cameras):
        found = _Camera(costs, cluster, photo_bytes, generator).run()
        total.hours += found.hours * CAMERAS / cameras
        total.coordinator_busy_s += found.coordinator_busy_s * CAMERAS / cameras
        total.sent_bytes += found.sent_bytes * CAMERAS / cameras
        total.most_kept_bytes = max(total.most_kept_bytes, found.most_kept_bytes)
        total.photos_again += found.photos_again * CAMERAS // cameras
    return total


def main() -> None:
    """Print the table."""
    costs, data = measured(), jpeg(24, 1)
    decode_s = min(_decode_s(data) for _ in range(3))
    size_mb, ratios = len(data) / 1e6, (costs.photo_s, costs.add_s, costs.rank_s)
    photo, addition, ranking = (taken_s / decode_s for taken_s in ratios)
    print(
        f"Ten million photos of 24 MP ({size_mb:.1f} MB each, {size_mb * PHOTOS / 1e6:.0f} TB) "
        f"of {CAMERAS} cameras; one photo {photo:.2f} decodes ({decode_s:.2f} s), one addition of "
        f"sums {addition:.1f}, one ranking {ranking:.0f}.\n"
    )
    print(
        "| workers | photos a partition | hours | coordinator busy | sums sent "
        "| sums kept, a worker |"
    )
    print("|---|---|---|---|---|---|")
    again = []
    for workers in (2, 16, 64, 256):
        for partition in (25, 50, 250):
            found = simulated(costs, Cluster(workers, partition), len(data))
            print(
                f"| {workers} | {partition} | {found.hours:.0f} "
                f"| {found.coordinator_busy_s / 3600 / found.hours:.0%} "
                f"| {found.sent_bytes / 1e12:.0f} TB "
                f"| {found.most_kept_bytes / workers / 1e9:.1f} GB |"
            )
            again.append(found.photos_again / PHOTOS)
    print(f"\nFolded twice because a worker died: {max(again):.1%} at most.")
    print(
        f"State at the end: {2 * CAMERAS * costs.epoch_bytes / 1e9:.0f} GB of moments "
        "(two epochs a camera), about 6 GB of ledger."
    )


def _decode_s(data: bytes) -> float:
    start_s = time.process_time()
    Image.open(io.BytesIO(data)).load()
    return time.process_time() - start_s


if __name__ == "__main__":
    main()
