"""A studio's archive of ten million photos, simulated: how long, how much, and what limits it.

What one photo and one addition of sums cost is measured here and now; the cluster is simulated:
workers that read and fold partitions, die now and then and lose what they were at, and send sums
over a network to one coordinator that adds and ranks them, partition after partition.
``python -m benchmarks.archive`` with ``PYTHONPATH=daemon:tests``.
"""

import heapq
import io
import statistics
import time
from dataclasses import dataclass

import numpy as np
from PIL import Image

from benchmarks.madephotos import jpeg
from hotpixeld.core.moments import Moments
from hotpixeld.core.rank import rank
from hotpixeld.edge.decode import frame_of, load, open_image

PHOTOS = 10_000_000
CAMERAS = 400
EPOCH_PHOTOS = 500  # half of the window
DEATHS_AN_HOUR = 0.02  # of one worker


@dataclass(frozen=True)
class Costs:
    """What was measured on this machine, in seconds, of a 24 MP sensor."""

    photo_s: float
    add_s: float
    rank_s: float
    sums_bytes: int


@dataclass(frozen=True)
class Cluster:
    """What is assumed."""

    workers: int
    partition: int
    network_bytes_s: float = 1.0e9  # into the coordinator: 10 gigabit
    disk_bytes_s: float = 2.5e8  # a worker's share of the storage


@dataclass(frozen=True)
class Outcome:
    """What came of a simulated run."""

    hours: float
    busy: float
    lost_photos: int


def measured() -> Costs:
    """Return the costs of one thread, here and now."""
    files = [jpeg(24, seed) for seed in range(4)]
    height, width = 4000, 6000
    moments, other = (Moments.empty((height, width, 3), 8) for _ in range(2))
    photo_s, add_s = [], []
    for _ in range(3):
        start_s = time.process_time()
        moments.fold([frame_of(load(open_image(data, 10**9))) for data in files])
        photo_s.append((time.process_time() - start_s) / len(files))
        start_s = time.process_time()
        other.merge(moments)
        add_s.append(time.process_time() - start_s)
    start_s = time.process_time()
    rank([moments])
    rank_s = time.process_time() - start_s
    sums_bytes = sum(array.nbytes for array in moments.arrays().values())
    return Costs(statistics.median(photo_s), statistics.median(add_s), rank_s, sums_bytes)


def simulated(costs: Costs, cluster: Cluster, photo_bytes: int, seed: int = 1) -> Outcome:
    """Run the archive through the cluster."""
    generator = np.random.default_rng(seed)
    per_epoch = EPOCH_PHOTOS // cluster.partition
    tasks = PHOTOS // cluster.partition
    work_s = cluster.partition * max(costs.photo_s, photo_bytes / cluster.disk_bytes_s)
    send_s = costs.sums_bytes / cluster.network_bytes_s
    free = [0.0] * cluster.workers
    heapq.heapify(free)
    coordinator_s, busy_s, lost = 0.0, 0.0, 0
    for task in range(tasks):
        start_s = heapq.heappop(free)
        end_s = start_s + work_s
        while generator.random() < DEATHS_AN_HOUR * work_s / 3600:
            end_s += generator.random() * work_s  # done again, from the start
            lost += cluster.partition
        answered_s = max(end_s, coordinator_s) + send_s
        coordinator_s = answered_s + costs.add_s
        busy_s += send_s + costs.add_s
        if task % per_epoch == per_epoch - 1:
            coordinator_s += costs.rank_s
            busy_s += costs.rank_s
        heapq.heappush(free, answered_s)
    return Outcome(coordinator_s / 3600, busy_s / coordinator_s, lost)


def main() -> None:
    """Print the table."""
    costs, data = measured(), jpeg(24, 1)
    decode_s = min(_decode_s(data) for _ in range(3))
    size_mb, ratios = len(data) / 1e6, (costs.photo_s, costs.add_s, costs.rank_s)
    photo, addition, ranking = (taken_s / decode_s for taken_s in ratios)
    print(
        f"Ten million photos of 24 MP ({size_mb:.1f} MB each, {size_mb * PHOTOS / 1e6:.0f} TB) "
        f"of {CAMERAS} cameras; one photo {photo:.2f} decodes, one addition of sums "
        f"{addition:.1f}, one ranking {ranking:.0f}.\n"
    )
    print("| workers | photos a partition | hours | coordinator busy | sums sent | done twice |")
    print("|---|---|---|---|---|---|")
    for workers in (2, 16, 64, 256):
        for partition in (50, 250, 500):
            found = simulated(costs, Cluster(workers, partition), len(data))
            sent = PHOTOS // partition * costs.sums_bytes / 1e12
            print(
                f"| {workers} | {partition} | {found.hours:.0f} | {found.busy:.0%} "
                f"| {sent:.0f} TB | {found.lost_photos / PHOTOS:.2%} |"
            )
    print(
        f"\nState at the end: {2 * CAMERAS * costs.sums_bytes / 1e9:.0f} GB of moments "
        "(two epochs a camera), about 6 GB of ledger."
    )


def _decode_s(data: bytes) -> float:
    start_s = time.process_time()
    Image.open(io.BytesIO(data)).load()
    return time.process_time() - start_s


if __name__ == "__main__":
    main()
