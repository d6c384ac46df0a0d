"""The defects of an archive are dated to the photo, and it is told when they were last seen."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fakecamera import Defect, FakeCamera
from fakecamera.camera import Shot
from hotpixeld.edge.pixels import PixelRow, read_pixels
from hotpixeld.service import lookback
from hotpixeld.service.backfill import Backfilled, backfill
from hotpixeld.service.lookback import Lookback
from hotpixeld.service.state import State
from hotpixeld.service.workers import Workers
from service.test_accumulation import config_in, opened
from service.test_backfill import here

WINDOW = "detection: {skip_similar: false, min_photos: 15, window: 50}\n"
EPOCH = 25  # photos; with four of them the first two are old, the others are kept
PLACES = ((20, 30), (90, 40), (50, 120), (70, 80), (30, 100))


def shot_with(defects: list[Defect], count: int = 4 * EPOCH, seed: int = 3) -> list[Shot]:
    return FakeCamera(160, 120, seed=seed, defects=defects).shoot(count)


def stuck(number: int, *, onset: int | None = None, healed: int | None = None) -> Defect:
    return Defect(*PLACES[number], level=1.0, onset=onset, healed=healed)


@contextmanager
def archived(folder: Path, shots: list[Shot]) -> Iterator[State]:
    archive = folder / "archive"
    archive.mkdir()
    for shot in shots:
        (archive / shot.name).write_bytes(shot.jpeg)
    with opened(config_in(folder, WINDOW + "copies: {min_free: 0B}\n")) as state:
        yield state


def run(state: State, folder: Path, held: Workers) -> Backfilled:
    return backfill(state, [folder / "archive"], held, lambda _done, _total: None)


def found_at(state: State, defect: Defect) -> PixelRow:
    (pixel,) = [
        pixel
        for pixel in read_pixels(state.ledger.db, 1)
        if max(abs(pixel.row - defect.row), abs(pixel.column - defect.column)) <= 1
        and pixel.state in {"confirmed", "retired"}
    ]
    return pixel


def number_of(shots: list[Shot], at: str | None) -> int | None:
    """Return which photo was taken at a time."""
    if at is None:
        return None
    times = [shot.captured_at for shot in shots]
    return times.index(dt.datetime.fromisoformat(at).replace(tzinfo=None))


def assert_dated(state: State, shots: list[Shot], defect: Defect) -> None:
    pixel = found_at(state, defect)
    after, by = number_of(shots, pixel.since_after), number_of(shots, pixel.since_by)
    assert by is not None
    if defect.onset is None:
        assert (after, by) == (None, 0)
    else:
        assert after is not None
        assert after < defect.onset <= by
        assert by - after <= 4


def test_a_defect_is_dated_to_the_photo_wherever_in_the_archive_it_set_in(tmp_path: Path) -> None:
    defects = [
        stuck(0),
        stuck(1, onset=8),
        stuck(2, onset=EPOCH + 9),
        stuck(3, onset=2 * EPOCH + 8),
        stuck(4, onset=3 * EPOCH + 6),
    ]
    shots = shot_with(defects)
    with archived(tmp_path, shots) as state, here() as held:
        run(state, tmp_path, held)
        for defect in defects:
            assert_dated(state, shots, defect)


def test_one_that_set_in_at_the_end_of_an_epoch_is_looked_for_in_the_epoch_before(
    tmp_path: Path,
) -> None:
    defects = [stuck(0, onset=EPOCH - 3), stuck(1, onset=2 * EPOCH - 3)]
    shots = shot_with(defects)
    with archived(tmp_path, shots) as state, here() as held:
        run(state, tmp_path, held)
        for defect in defects:
            assert_dated(state, shots, defect)


def test_one_that_healed_was_last_seen_in_the_last_photo_that_shows_it(tmp_path: Path) -> None:
    defects = [stuck(0, onset=6, healed=EPOCH + 2), stuck(1, healed=EPOCH + 11)]
    shots = shot_with(defects)
    with archived(tmp_path, shots) as state, here() as held:
        run(state, tmp_path, held)
        for defect in defects:
            assert_dated(state, shots, defect)
            pixel = found_at(state, defect)
            assert pixel.state == "retired"
            last = number_of(shots, pixel.last_seen)
            assert last is not None
            assert defect.healed is not None
            assert defect.healed - 9 <= last < defect.healed + 3  # bright photos hide it


def test_older_photos_that_come_later_date_it_back_and_it_was_still_seen_last_in_the_newer_ones(
    tmp_path: Path,
) -> None:
    defect = stuck(0, onset=8)
    shots = shot_with([defect])
    with archived(tmp_path, shots) as state, here() as held:
        archive, older = tmp_path / "archive", tmp_path / "older"
        older.mkdir()
        for shot in shots[: 2 * EPOCH]:
            (archive / shot.name).rename(older / shot.name)
        run(state, tmp_path, held)
        newer = found_at(state, defect)
        assert (newer.since_after, number_of(shots, newer.since_by)) == (None, 2 * EPOCH)
        backfill(state, [older], held, lambda _done, _total: None)
        assert_dated(state, shots, defect)
        assert found_at(state, defect).last_seen == newer.last_seen
        assert found_at(state, defect).state == "confirmed"


def test_a_run_that_was_stopped_before_it_looked_back_dates_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defects = [stuck(0, onset=8), stuck(1, onset=3 * EPOCH + 6)]
    shots = shot_with(defects)

    class StoppedError(Exception):
        pass

    def stop(*_: object) -> None:
        raise StoppedError

    with archived(tmp_path, shots) as state, here() as held:
        for method in ("date_epoch", "date_newest"):
            with monkeypatch.context() as patched:
                patched.setattr(Lookback, method, stop)
                with pytest.raises(StoppedError):
                    run(state, tmp_path, held)
        assert run(state, tmp_path, held).already_known == len(shots)
        for defect in defects:
            assert_dated(state, shots, defect)


def test_photos_that_are_gone_or_changed_when_it_looks_back_are_not_observed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defect = stuck(0, onset=8)
    shots = shot_with([defect])
    dating = Lookback.date_epoch

    def spoil_and_date(*given: object) -> object:
        for shot in shots[:4]:
            (tmp_path / "archive" / shot.name).unlink(missing_ok=True)
        (tmp_path / "archive" / shots[5].name).write_bytes(shots[60].jpeg)
        return dating(*given)  # type: ignore[arg-type]

    with archived(tmp_path, shots) as state, here() as held:
        monkeypatch.setattr(Lookback, "date_epoch", spoil_and_date)
        assert run(state, tmp_path, held).states == {"folded": len(shots)}
        assert_dated(state, shots, defect)


def test_without_a_new_defect_no_photo_is_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    real = lookback.look

    def counted(asked: lookback.Look) -> list[bytes | None]:
        looked.append(len(asked.photos))
        return real(asked)

    monkeypatch.setattr(lookback, "look", counted)
    shots = shot_with([])
    with archived(tmp_path, shots) as state, here() as held:
        run(state, tmp_path, held)
        assert not looked
    (other := tmp_path / "other").mkdir()
    with archived(other, shot_with([stuck(0, onset=8)])) as state, here() as held:
        run(state, other, held)
        assert sum(looked) == EPOCH
