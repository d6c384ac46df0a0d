"""An archive on a real cluster: each photo once, and the same sums, whichever worker dies when."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hotpixeld.edge.pixels import read_pixels
from hotpixeld.service import tree
from hotpixeld.service.backfill import Backfilled
from hotpixeld.service.settling import MOST_TRIES
from hotpixeld.service.state import State
from hotpixeld.service.workers import workers
from service.test_backfill import (
    APPEARS_AT,
    archive_in,
    assert_newest_epochs_are,
    opened,
    photo,
    run,
)

distributed: Any = pytest.importorskip("distributed", reason="NOT TESTED: no distributed")
Cluster = Any  # distributed has no types
PHOTOS = 20  # two epochs, of five partitions each


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(tree, "PARTITION_PHOTOS", 2)
    monkeypatch.setenv("PYTHONPATH", str(Path(tree.__file__).parents[2]))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as made:
        yield made


def pids(cluster: Cluster) -> set[int]:
    return {worker.pid for worker in cluster.workers.values()}


def kill_all(cluster: Cluster) -> None:
    for pid in pids(cluster):
        os.kill(pid, signal.SIGKILL)


def let_workers_die_at(cluster: Cluster, task: str, *, for_ever: bool = False) -> None:
    """Make each worker there is die of its first task of this name; its successor does not."""

    def prepare() -> None:
        import os  # noqa: PLC0415 (this runs elsewhere)
        import signal  # noqa: PLC0415

        from hotpixeld.service import partition  # noqa: PLC0415

        def die(*_: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(partition, task, die)

    class Preparing(distributed.WorkerPlugin):  # type: ignore[misc]
        def setup(self, worker: object) -> None:  # noqa: ARG002 (distributed's)
            prepare()

    with distributed.Client(cluster) as client:
        if for_ever:
            client.register_plugin(Preparing())
        else:
            client.run(prepare)


@contextmanager
def backfilled(
    folder: Path,
    cluster: Cluster,
    at: dict[int, Callable[[], None]],
) -> Iterator[tuple[State, Backfilled]]:
    """Run `backfill`, and once so many photos are settled do what is to be done then."""
    settled: list[int] = []

    def each() -> None:
        settled.append(1)
        at.pop(2 * len(settled), lambda: None)()

    with opened(folder) as state, workers(1, cluster.scheduler_address) as held:
        yield state, run(state, folder, held, each)


def test_a_cluster_gives_the_same_sums(tmp_path: Path, cluster: Cluster) -> None:
    paths = archive_in(tmp_path, PHOTOS - 1)
    (tmp_path / "archive" / "copy.jpg").write_bytes(paths[3].read_bytes())
    with backfilled(tmp_path, cluster, {}) as (state, done):
        assert done.states == {"folded": PHOTOS - 1, "duplicate": 1}
        (pixel,) = [p for p in read_pixels(state.ledger.db, 1) if p.state == "confirmed"]
        assert (pixel.since_by or "").startswith(f"2024-01-01T{APPEARS_AT}:00")
        assert_newest_epochs_are(state, [paths[9:], paths[:9]])


@pytest.mark.parametrize("task", ["fold_partition", "entries_of", "added"])
def test_workers_killed_amid_a_task_change_nothing(
    tmp_path: Path,
    cluster: Cluster,
    task: str,
) -> None:
    paths = archive_in(tmp_path, PHOTOS)
    before = pids(cluster)
    let_workers_die_at(cluster, task)
    with backfilled(tmp_path, cluster, {}) as (state, done):
        assert pids(cluster) != before
        assert done.states == {"folded": PHOTOS}
        assert_newest_epochs_are(state, [paths[10:], paths[:10]])


@pytest.mark.parametrize("settled", [2, 8, 20])
def test_workers_killed_with_sums_that_were_decided_upon_change_nothing(
    tmp_path: Path,
    cluster: Cluster,
    settled: int,
) -> None:
    paths = archive_in(tmp_path, PHOTOS)
    at: dict[int, Callable[[], None]] = {settled: lambda: kill_all(cluster)}
    with backfilled(tmp_path, cluster, at) as (state, done):
        assert not at
        assert done.states == {"folded": PHOTOS}
        assert_newest_epochs_are(state, [paths[10:], paths[:10]])


def test_a_photo_that_changes_before_its_lost_sums_are_made_again_counts_as_it_is_then(
    tmp_path: Path,
    cluster: Cluster,
    caplog: pytest.LogCaptureFixture,
) -> None:
    paths = archive_in(tmp_path, PHOTOS)

    def change_and_kill() -> None:
        paths[1].write_bytes(photo(50))
        paths[2].unlink()
        kill_all(cluster)

    at: dict[int, Callable[[], None]] = {8: change_and_kill}
    with backfilled(tmp_path, cluster, at) as (state, done):
        assert not at
        assert done.states == {"folded": PHOTOS - 1, "refused": 1}
        assert [Path(path) for path, _ in done.broken] == [paths[2]]
        assert "10 photos are folded again: files have changed" in caplog.text
        assert_newest_epochs_are(state, [paths[10:], paths[:2] + paths[3:10]])


def test_workers_that_never_survive_an_addition_end_the_run_and_nothing_is_recorded(
    tmp_path: Path,
    cluster: Cluster,
) -> None:
    archive_in(tmp_path, PHOTOS)
    let_workers_die_at(cluster, "added", for_ever=True)
    with opened(tmp_path) as state, workers(1, cluster.scheduler_address) as held:
        with pytest.raises(OSError, match=f"lost {MOST_TRIES} times"):
            run(state, tmp_path, held)
        assert not state.ledger.db.execute("SELECT * FROM photos").fetchall()
        assert not state.ledger.db.execute("SELECT * FROM generations").fetchall()


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(20))
def test_workers_killed_at_random_moments_change_nothing(
    tmp_path: Path, cluster: Cluster, seed: int
) -> None:
    paths = archive_in(tmp_path, 5 * PHOTOS)
    for number in range(0, 5 * PHOTOS, 9):
        (tmp_path / "archive" / f"copy of {number}.jpg").write_bytes(paths[number].read_bytes())
    random = np.random.default_rng(seed)
    over = threading.Event()

    def kill_now_and_then() -> None:
        while not over.wait(random.uniform(0.1, 1.2)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(sorted(pids(cluster) - {None})), signal.SIGKILL)

    killing = threading.Thread(target=kill_now_and_then)
    killing.start()
    try:
        with backfilled(tmp_path, cluster, {}) as (state, done):
            assert done.states["folded"] == 5 * PHOTOS
            assert done.states.keys() == {"folded", "duplicate"}
            rows = state.ledger.db.execute("SELECT epoch, path FROM photos WHERE epoch >= -1")
            newest: dict[int, list[Path]] = {}
            for epoch, path in rows:
                newest.setdefault(epoch, []).append(Path(os.fsdecode(path)))
            assert_newest_epochs_are(state, [newest[0], newest[-1]])
    finally:
        over.set()
        killing.join()
