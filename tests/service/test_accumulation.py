"""Spool, fold, commit, replay: the sums are always those of exactly the folded photos."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fakecamera import FakeCamera, Shot
from hotpixeld.config import Config, parse_config
from hotpixeld.core.moments import Moments
from hotpixeld.edge.database import FILE_NAME
from hotpixeld.edge.photo import read_photo
from hotpixeld.errors import StateError
from hotpixeld.service.quiet import QuietWork
from hotpixeld.service.state import State, open_state


@pytest.fixture(scope="module")
def shots() -> list[Shot]:
    return FakeCamera(96, 64, seed=2).shoot(40)


def config_in(folder: Path, more: str = "") -> Config:
    (folder / "import").mkdir(exist_ok=True)
    text = f"version: 1\nimport: ./import\noutput: ./out\nstate: ./state\n{more}"
    return parse_config(text, folder)


@contextlib.contextmanager
def opened(config: Config) -> Iterator[State]:
    with open_state(config, now=lambda: "2026-01-01T00:00:00.000Z") as state:
        yield state


def arrive(state: State, shots: list[Shot], prefix: str = "") -> None:
    work = QuietWork(state, lambda: 0.0)
    for shot in shots:
        path = state.config.import_folders[0] / f"{prefix}{shot.name}"
        path.write_bytes(shot.jpeg)
        state.handling.handle(path, shot.jpeg, f"{prefix}{shot.index}")
        work.after_photo()
    while state.accumulation.replay_next():
        pass


def sums_of(shots: list[Shot]) -> dict[str, bytes]:
    photos = [read_photo(shot.jpeg, shot.name, max_pixels=10**8) for shot in shots]
    moments = Moments.empty(photos[0].frame.shape, 8)
    moments.fold([photo.frame for photo in photos])
    return {name: array.tobytes() for name, array in moments.arrays().items()}


def sums_in(state: State) -> dict[str, bytes]:
    total, *others = state.accumulation.parts(1)
    for other in others:
        total.merge(other)
    return {name: array.tobytes() for name, array in total.arrays().items()}


LOOSE = "detection: {skip_similar: false, min_photos: 60}\ncopies: {min_free: 0B}\n"


def test_a_sensor_of_two_photos_has_no_moments_and_a_third_brings_all_three(
    tmp_path: Path, shots: list[Shot]
) -> None:
    with opened(config_in(tmp_path, LOOSE)) as state:
        arrive(state, shots[:2])
        assert state.ledger.count(1, "waiting") == 2
        assert not list((tmp_path / "state/moments").iterdir())
        arrive(state, shots[2:3])
        assert state.ledger.count(1, "pending") == 3
        assert sums_in(state) == sums_of(shots[:3])


def test_what_is_not_committed_is_replayed_after_a_restart(
    tmp_path: Path, shots: list[Shot]
) -> None:
    config = config_in(tmp_path, LOOSE)
    with opened(config) as state:
        arrive(state, shots)
        assert state.ledger.count(1, "folded") == 25
        assert state.ledger.count(1, "pending") == 15
    for photo in (tmp_path / "import").iterdir():
        photo.unlink()
    with opened(config) as state:
        while state.accumulation.replay_next():
            pass
        assert sums_in(state) == sums_of(shots)
        state.accumulation.commit(1)
        assert state.ledger.count(1, "folded") == 40
    with opened(config) as state:
        assert state.accumulation.replays == 0
        assert sums_in(state) == sums_of(shots)


def test_a_damaged_generation_is_replaced_by_the_one_before_and_caught_up(
    tmp_path: Path, shots: list[Shot]
) -> None:
    config = config_in(tmp_path, LOOSE)
    with opened(config) as state:
        for start in range(0, 30, 10):
            arrive(state, shots[start : start + 10])
            state.accumulation.commit(1)
    newest = max((tmp_path / "state/moments").glob("*.moments"))
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 4
    newest.write_bytes(data)
    with opened(config) as state:
        assert state.ledger.count(1, "folded") == 20
        assert state.ledger.count(1, "pending") == 10
        while state.accumulation.replay_next():
            pass
        assert sums_in(state) == sums_of(shots[:30])
    assert newest.with_suffix(".damaged").read_bytes() == bytes(data)


def test_two_damaged_generations_are_refused_and_nothing_is_overwritten(
    tmp_path: Path, shots: list[Shot]
) -> None:
    config = config_in(tmp_path, LOOSE)
    with opened(config) as state:
        for start in range(0, 30, 10):
            arrive(state, shots[start : start + 10])
            state.accumulation.commit(1)
    files = sorted((tmp_path / "state/moments").iterdir())
    for file in files:
        file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(StateError, match="rebuild"), opened(config):
        pass
    assert all(len(file.read_bytes()) for file in (tmp_path / "state/moments").iterdir())
    with pytest.raises(StateError, match="rebuild"), opened(config):
        pass


def test_a_damaged_database_is_refused_and_left_alone(tmp_path: Path, shots: list[Shot]) -> None:
    config = config_in(tmp_path, LOOSE)
    with opened(config) as state:
        arrive(state, shots[:5])
    file = tmp_path / "state" / FILE_NAME
    data = file.read_bytes()
    data = data.replace(b"IMG_0003", b"IMG_0013")
    file.write_bytes(data)
    with pytest.raises(StateError, match="damaged"), opened(config):
        pass
    assert file.read_bytes() == data


def test_an_epoch_ends_at_half_the_window_and_two_of_them_are_kept(
    tmp_path: Path, shots: list[Shot]
) -> None:
    loose = "detection: {skip_similar: false, min_photos: 16, window: 20}\ncopies: {min_free: 0B}\n"
    config = config_in(tmp_path, loose)
    with opened(config) as state:
        for start in range(0, 30, 5):
            arrive(state, shots[start : start + 5])
            state.accumulation.commit(1)
        epochs = [row[0] for row in state.ledger.db.execute("SELECT epoch FROM generations")]
        assert sorted(set(epochs)) == [1, 2]
        assert sums_in(state) == sums_of(shots[20:30])
    with opened(config) as state:
        arrive(state, shots[30:33])
        assert sums_in(state) == sums_of(shots[20:33])


def test_a_small_window_holds_although_nothing_else_asks_for_a_commit(
    tmp_path: Path, shots: list[Shot]
) -> None:
    loose = "detection: {skip_similar: false, min_photos: 5, window: 10}\ncopies: {min_free: 0B}\n"
    with opened(config_in(tmp_path, loose)) as state:
        arrive(state, shots[:24])
        assert sums_in(state) == sums_of(shots[15:24])


def test_sensors_that_do_not_fit_in_memory_go_to_disk_and_come_back(
    tmp_path: Path, shots: list[Shot]
) -> None:
    other = FakeCamera(96, 64, seed=3, model="Other").shoot(10)
    with opened(config_in(tmp_path, LOOSE)) as state:
        state.accumulation.memory_bytes = 300_000  # one sensor takes 221,184
        for number in range(10):
            arrive(state, shots[number : number + 1])
            arrive(state, other[number : number + 1], "other")
        assert sums_in(state) == sums_of(shots[:10])
        assert state.ledger.count(1, "folded") + state.ledger.count(1, "pending") == 10


def test_cameras_that_alternate_do_not_swap_their_sums_photo_by_photo(
    tmp_path: Path, shots: list[Shot]
) -> None:
    other = FakeCamera(96, 64, seed=3, model="Other").shoot(40)
    with opened(config_in(tmp_path, LOOSE)) as state:
        state.accumulation.memory_bytes = 300_000  # one sensor takes 221,184
        work = QuietWork(state, lambda: 0.0)
        for one, two in zip(shots, other, strict=True):
            for shot, prefix in ((one, ""), (two, "other")):
                path = state.config.import_folders[0] / f"{prefix}{shot.name}"
                path.write_bytes(shot.jpeg)
                state.handling.handle(path, shot.jpeg, f"{prefix}{shot.index}")
                work.after_photo()
        newest = state.ledger.db.execute(
            "SELECT sum(newest) FROM (SELECT max(generation) AS "
            "newest FROM generations GROUP BY sensor_id)"
        ).fetchone()[0]
        assert newest <= 6
        while state.accumulation.replay_next():
            pass
        assert sums_in(state) == sums_of(shots)
        (theirs,) = state.accumulation.parts(2)
        assert {name: a.tobytes() for name, a in theirs.arrays().items()} == sums_of(other)


def test_a_photo_whose_bytes_are_gone_is_lost_by_name_and_counts_when_it_comes_back(
    tmp_path: Path, shots: list[Shot]
) -> None:
    config = config_in(tmp_path, LOOSE)
    with opened(config) as state:
        arrive(state, shots[:6])
    victim = tmp_path / "import" / shots[4].name
    (
        tmp_path
        / "state/spool"
        / read_photo(victim.read_bytes(), "a.jpg", max_pixels=10**8).digest.hex()
    ).unlink()
    victim.unlink()
    with opened(config) as state:
        while state.accumulation.replay_next():
            pass
        (lost,) = state.ledger.photos(states=("lost",))
        assert lost.path == victim
        assert sums_in(state) == sums_of([*shots[:4], shots[5]])
        arrive(state, shots[4:5])
        assert sums_in(state) == sums_of(shots[:6])
        assert state.ledger.count(1, "lost") == 0


def test_a_renamed_photo_keeps_its_row_and_a_second_name_is_a_duplicate(
    tmp_path: Path, shots: list[Shot]
) -> None:
    with opened(config_in(tmp_path, LOOSE)) as state:
        arrive(state, shots[:4])
        renamed = (tmp_path / "import" / shots[0].name).rename(tmp_path / "import/renamed.jpg")
        state.handling.handle(renamed, shots[0].jpeg, "r")
        assert state.ledger.photo(1).path == renamed
        second = tmp_path / "import/second.jpg"
        second.write_bytes(shots[1].jpeg)
        assert state.handling.handle(second, shots[1].jpeg, "s").statistics == "duplicate"
        assert sums_in(state) == sums_of(shots[:4])
        assert state.handling.handle(second, shots[2].jpeg, "t").statistics == "duplicate"
        assert np.count_nonzero([r.statistics == "pending" for r in state.ledger.photos()]) == 4
