"""An archive folded by processes and by a cluster: each photo once, whatever dies."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pictures
from hotpixeld.config import Config, load_config
from hotpixeld.core.moments import Moments
from hotpixeld.edge.generations import read_generation
from hotpixeld.edge.photo import read_photo
from hotpixeld.edge.pixels import read_pixels
from hotpixeld.service import backfill as room
from hotpixeld.service import sums
from hotpixeld.service.backfill import Backfilled, backfill
from hotpixeld.service.partition import fold_partition
from hotpixeld.service.space import check_state_space
from hotpixeld.service.state import State, open_state
from hotpixeld.service.workers import Workers, workers
from running import environment

CONFIG = """\
version: 1
import: {folder}/import
output: {folder}/repaired
state: {folder}/state
detection: {{min_photos: 10, window: 20, skip_similar: false}}
report: false
"""
STUCK = (30, 40)
APPEARS_AT = 12


def photo(number: int, *, serial: str = "A 1") -> bytes:
    """Return the photo taken as the so manieth: from `APPEARS_AT` on with a stuck pixel."""
    frame = pictures.scene(96, 128, 3, seed=number)
    frame = np.roll(frame, 17 * number, axis=1)
    if number >= APPEARS_AT:
        frame[STUCK] = 255
    taken = f"2024:01:{1 + number // 24:02} {number % 24:02}:00:00"
    return pictures.encoded(
        Image.fromarray(frame),
        "JPEG",
        quality=96,
        subsampling=0,
        exif=pictures.exif(taken=taken, serial=serial),
    )


def archive_in(folder: Path, count: int) -> list[Path]:
    """Write photos in subfolders, under names that do not tell their order."""
    paths = []
    for number in range(count):
        path = folder / "archive" / f"{number % 3}" / f"{(number * 7) % 101:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(number))
        paths.append(path)
    return paths


@contextmanager
def opened(folder: Path) -> Iterator[State]:
    config = folder / "hotpixeld.yaml"
    config.write_text(CONFIG.format(folder=folder))
    (folder / "import").mkdir(exist_ok=True)
    with open_state(load_config(config)) as state:
        yield state


def run(
    state: State, folder: Path, held: Workers, each: Callable[[], None] = lambda: None
) -> Backfilled:
    return backfill(state, [folder / "archive"], held, lambda _done, _total: each())


@contextmanager
def here() -> Iterator[Workers]:
    """Hold a worker that is this process."""
    with ThreadPoolExecutor(1) as executor:
        yield Workers(lambda: executor, ahead=1)


def summed(paths: list[Path]) -> dict[str, Any]:
    moments = Moments.empty((96, 128, 3), 8)
    moments.fold([read_photo(p.read_bytes(), p.name, max_pixels=10**6).frame for p in paths])
    return moments.arrays()


def assert_newest_epochs_are(state: State, expected: list[list[Path]]) -> None:
    """Compare what is on the disk, newest epoch first, with sums made here and with the ledger."""
    rows = state.ledger.db.execute("SELECT * FROM generations ORDER BY epoch DESC").fetchall()
    assert len(rows) == len(expected)
    for row, paths in zip(rows, expected, strict=True):
        moments = read_generation(state.accumulation.stored.folder / row["file"], lambda: None)
        assert moments.count == row["photos"] == len(paths)
        for name, array in summed(paths).items():
            assert np.array_equal(array, moments.arrays()[name])
        folded = state.ledger.db.execute(
            "SELECT path FROM photos WHERE epoch = ? AND statistics = 'folded'", (row["epoch"],)
        )
        assert {Path(os.fsdecode(r[0])) for r in folded} == set(paths)


def test_an_archive_is_folded_epoch_by_epoch_in_order_of_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "PARTITION_PHOTOS", 4)
    paths = archive_in(tmp_path, 36)
    (tmp_path / "archive" / "copy of one.jpg").write_bytes(paths[3].read_bytes())
    (tmp_path / "archive" / "broken.jpg").write_bytes(paths[5].read_bytes()[:3000])
    with opened(tmp_path) as state, workers(2, None) as held:
        done = run(state, tmp_path, held)
        assert done.states == {"folded": 36, "duplicate": 1, "refused": 1}
        assert [Path(path).name for path, _ in done.broken] == ["broken.jpg"]
        newest = state.ledger.db.execute("SELECT count(*) FROM photos WHERE epoch = 0").fetchone()
        last, before = newest[0], 10
        assert_newest_epochs_are(state, [paths[36 - last :], paths[36 - last - before : 36 - last]])
        (pixel,) = [p for p in read_pixels(state.ledger.db, 1) if p.state == "confirmed"]
        assert (pixel.row, pixel.column) == STUCK
        assert pixel.since_after is not None
        assert pixel.since_by is not None
        assert "2024-01-01T09" <= pixel.since_after < f"2024-01-01T{APPEARS_AT}" <= pixel.since_by
        assert pixel.since_by < "2024-01-01T15"
        again = run(state, tmp_path, held)
        assert again.states == {}
        assert again.already_known == 38
        assert_newest_epochs_are(state, [paths[36 - last :], paths[36 - last - before : 36 - last]])


def test_without_room_for_the_state_it_stops_and_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "PARTITION_PHOTOS", 5)
    paths = archive_in(tmp_path, 36)
    asked: list[int] = []

    def full(config: Config, size_bytes: int) -> None:
        asked.append(size_bytes)
        if len(asked) == 2:
            copies = config.copies.model_copy(update={"min_free_bytes": 1 << 62})
            config = config.model_copy(update={"copies": copies})
        check_state_space(config, size_bytes)

    with opened(tmp_path) as state, workers(1, None) as held:
        monkeypatch.setattr(room, "check_state_space", full)
        with pytest.raises(OSError, match=r"min_free keeps"):
            run(state, tmp_path, held)
        assert state.ledger.tally()[0]["folded"] == 10
        assert not state.ledger.db.execute("SELECT * FROM generations").fetchall()
        assert run(state, tmp_path, held).states == {"folded": 26}
        assert asked[0] == 2 * 96 * 128 * 3 * 12
        newest = state.ledger.db.execute("SELECT count(*) FROM photos WHERE epoch = 0").fetchone()
        last = 36 - newest[0]
        assert_newest_epochs_are(state, [paths[last:], paths[last - 10 : last]])


def test_a_photo_that_cannot_be_read_now_is_folded_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = archive_in(tmp_path, 6)
    real = Path.read_bytes

    def failing(path: Path) -> bytes:
        if path == paths[2]:
            raise OSError(errno.EIO, "Input/output error")
        return real(path)

    with opened(tmp_path) as state, here() as held:
        monkeypatch.setattr(Path, "read_bytes", failing)
        assert run(state, tmp_path, held).states == {"folded": 5, "refused": 1}
        monkeypatch.undo()
        assert run(state, tmp_path, held).states == {"folded": 1}


@pytest.mark.parametrize("size", ["1m", "200k"])
@pytest.mark.skipif(shutil.which("unshare") is None, reason="NOT TESTED: no unshare")
def test_little_shared_memory_makes_it_slower_and_loses_nothing(tmp_path: Path, size: str) -> None:
    if subprocess.run(["unshare", "-Urm", "true"], check=False).returncode:
        pytest.skip("NOT TESTED: user namespaces are not permitted here")
    archive_in(tmp_path, 6)
    (tmp_path / "import").mkdir()
    config = tmp_path / "hotpixeld.yaml"
    config.write_text(CONFIG.format(folder=tmp_path) + "copies: {min_free: 0B}\n")
    mount = f'mount -t tmpfs -o size={size} tmpfs /dev/shm && exec "$@"'
    command = ("backfill", str(tmp_path / "archive"), "-c", str(config), "--jobs", "2")
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", mount, "sh", sys.executable, "-m", "hotpixeld", *command],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "6 folded" in done.stdout) == (0, True), done.stderr
    assert "goes slower" in done.stderr


def test_a_killed_process_changes_nothing_in_the_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "PARTITION_PHOTOS", 2)
    paths = archive_in(tmp_path, 20)
    killed: list[int] = []

    def kill_one() -> None:
        if not killed:
            process = next(iter(held._executor._processes.values()))  # type: ignore[attr-defined]
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            killed.append(process.pid)

    with opened(tmp_path) as state, workers(2, None) as held:
        done = run(state, tmp_path, held, kill_one)
        assert killed
        assert done.states == {"folded": 20}
        assert_newest_epochs_are(state, [paths[10:], paths[:10]])


def test_photos_of_the_daemon_are_not_displaced(tmp_path: Path) -> None:
    paths = archive_in(tmp_path, 30)
    newer = paths[10:]
    older = tmp_path / "older"
    older.mkdir()
    for path in paths[:10]:
        path.rename(older / path.name)
    with opened(tmp_path) as state, workers(1, None) as held:
        run(state, tmp_path, held)
        assert_newest_epochs_are(state, [newer[10:], newer[:10]])
        done = backfill(state, [older], held, lambda _done, _total: None)
        assert done.states == {"folded": 10}
        assert_newest_epochs_are(state, [newer[10:], newer[:10]])


def test_workers_go_on_with_later_epochs_before_the_first_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "PARTITION_PHOTOS", 10)
    paths = archive_in(tmp_path, 40)
    given: list[object] = []
    given_at_first_answer: list[int] = []

    class Counting(ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
            if fn is fold_partition:
                given.append(fn)
            return super().submit(fn, *args, **kwargs)

    held = Workers(lambda: Counting(3), ahead=3)
    with opened(tmp_path) as state, contextlib.closing(held):
        done = run(state, tmp_path, held, lambda: given_at_first_answer.append(len(given)))
        assert given_at_first_answer[0] == 3
        assert done.states == {"folded": 40}
        assert_newest_epochs_are(state, [paths[30:], paths[20:30]])
