"""Dating from per-photo residuals."""

import numpy as np
import numpy.typing as npt
import pytest

from fakecamera import Defect, FakeCamera
from hotpixeld.core.dating import Dating, date
from hotpixeld.core.observe import Light, Observations, observe, shows_in, surroundings
from hotpixeld.core.residual import residual_rows


def series(rng: np.random.Generator, before: int, during: int, after: int) -> npt.NDArray[np.int16]:
    quiet = rng.normal(0, 20, before + during + after)
    quiet[before : before + during] += 70
    return np.clip(quiet, -128, 128).astype(np.int16)[:, None]


@pytest.mark.parametrize("seed", range(10))
def test_an_onset_is_dated_within_two_photos(seed: int) -> None:
    found = date(series(np.random.default_rng(seed), 30, 25, 0))
    assert found.after is not None
    assert found.by is not None
    assert found.likely is not None
    assert found.after - 2 <= 29 <= found.by + 2
    assert found.by - found.after <= 6
    assert abs(found.likely - 30) <= 2
    assert not found.gone


@pytest.mark.parametrize("seed", range(10))
def test_a_defect_that_was_there_from_the_first_photo_has_no_after(seed: int) -> None:
    found = date(series(np.random.default_rng(seed), 0, 40, 0))
    assert (found.after, found.likely, found.by, found.gone) == (None, 0, 0, False)
    assert found.last_seen is not None
    assert found.last_seen >= 35


@pytest.mark.parametrize("seed", range(10))
def test_a_defect_that_was_mapped_out_is_gone_and_was_last_seen_before(seed: int) -> None:
    found = date(series(np.random.default_rng(seed), 0, 30, 20))
    assert found.gone
    assert found.last_seen is not None
    assert 26 <= found.last_seen <= 31


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("later_iso", [80, 800])
def test_a_hot_pixel_is_gone_only_where_later_photos_would_show_it(
    seed: int, later_iso: int
) -> None:
    residuals = np.random.default_rng(seed).normal(0, 14, (36, 3))
    residuals[:14, 1] += 100  # 34 DN at ISO 800, so 4 DN at ISO 80
    residuals[14:, 1] += 12 if later_iso == 80 else 0
    around = np.tile(np.array([400, 400, 400, 3000], np.int16), (36, 1))
    iso = np.where(np.arange(36) < 14, 800.0, float(later_iso))
    light = Light(around, iso, np.full(36, 0.01))
    found = date(np.clip(residuals, -128, 128).astype(np.int16), light)
    assert found.gone == (later_iso == 800)


def test_a_site_that_never_shows_has_no_dates() -> None:
    assert date(np.zeros((20, 3), np.int16)) == Dating(None, None, None, None, gone=False)
    assert date(np.zeros((0, 3), np.int16)) == Dating(None, None, None, None, gone=False)


def test_observing_gives_what_is_summed_up() -> None:
    shot = FakeCamera(96, 64, seed=2).shoot()[0]
    frame = shot.frame.astype(np.uint8)
    sites = np.array([(0, 0), (63, 95), (30, 40), (2, 93)], np.intp)
    assert np.array_equal(observe(frame, sites), residual_rows(frame)[sites[:, 0], sites[:, 1]])
    with pytest.raises(ValueError, match="outside"):
        observe(frame, np.array([(64, 0)], np.intp))


def test_a_stuck_pixels_onset_is_found_from_photos() -> None:
    camera = FakeCamera(96, 64, seed=6, defects=[Defect(30, 40, "stuck", level=0.9, onset=12)])
    sites = np.array([(30, 40), (10, 10)], np.intp)
    values = np.stack([observe(s.frame.astype(np.uint8), sites) for s in camera.shoot(30)])
    seen = Observations(sites, values, np.ones(values.shape[:2], np.bool_)).at(31, 40)
    assert seen is not None
    found = date(seen)
    assert found.likely is not None
    assert abs(found.likely - 12) <= 2
    assert 0.3 < shows_in(seen) <= 18 / 30


def test_a_channel_in_which_the_scenes_are_restless_does_not_hide_the_onset_in_another() -> None:
    missed, between = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        residuals = rng.normal(0, 14, (40, 3))
        residuals[:, 0] = rng.normal(0, 45, 40)
        residuals[18:, 2] += 55
        found = date(np.clip(residuals, -128, 128).astype(np.int16))
        assert found.likely is not None
        assert found.by is not None
        missed.append(abs(found.likely - 18))
        between.append((-1 if found.after is None else found.after) < 18 <= found.by)
    assert np.mean(np.array(missed) <= 3) >= 0.95
    assert np.mean(between) >= 0.95


def test_one_photo_with_something_of_the_scene_at_the_site_is_not_the_onset() -> None:
    missed = []
    for seed in range(40):
        residuals = np.random.default_rng(seed).normal(0, 14, (40, 3))
        residuals[8] += 90
        residuals[18:] += 50
        found = date(np.clip(residuals, -128, 128).astype(np.int16))
        assert found.likely is not None
        missed.append(abs(found.likely - 18))
    assert np.mean(np.array(missed) <= 3) >= 0.95


def onsets_missed_by(seed: int) -> list[tuple[int, bool]]:
    defects = [
        Defect(20, 30, "hot", offset=0.02, onset=11),
        Defect(60, 90, "hot", offset=0.0005, rate=0.6, onset=13),
        Defect(40, 60, "stuck", level=0.5, onset=9),
        Defect(70, 20, "dead", response=0.1, onset=14),
    ]
    shots = FakeCamera(128, 96, seed=seed, defects=defects).shoot(30)
    sites = np.array([(defect.row, defect.column) for defect in defects], np.intp)
    frames = [shot.frame.astype(np.uint8) for shot in shots]
    values = np.stack([observe(frame, sites) for frame in frames])
    around = np.stack([surroundings(frame, sites) for frame in frames])
    iso = np.array([shot.iso for shot in shots], np.float64)
    exposure_s = np.array([shot.exposure_s for shot in shots])
    errors = []
    for site, defect in enumerate(defects):
        found = date(values[:, site], Light(around[:, site], iso, exposure_s))
        assert found.likely is not None
        assert defect.onset is not None
        assert found.by is not None
        between = (-1 if found.after is None else found.after) < defect.onset <= found.by
        errors.append((abs(found.likely - defect.onset), between))
    return errors


def test_knowing_the_light_nearly_every_onset_is_dated_within_three_photos() -> None:
    missed = [found for seed in range(6) for found in onsets_missed_by(seed)]
    errors = np.array([error for error, _ in missed])
    assert (errors <= 3).mean() >= 0.95
    assert (errors <= 1).mean() >= 0.75
    assert np.mean([between for _, between in missed]) >= 0.95


def test_photos_that_say_nothing_of_exposure_or_light_are_dated_all_the_same() -> None:
    camera = FakeCamera(96, 64, seed=6, defects=[Defect(30, 40, "stuck", level=0.9, onset=12)])
    sites = np.array([(30, 40)], np.intp)
    frames = [shot.frame.astype(np.uint8) for shot in camera.shoot(30)]
    values = np.stack([observe(frame, sites) for frame in frames])[:, 0]
    around = np.stack([surroundings(frame, sites) for frame in frames])[:, 0]
    unknown = np.full(30, np.nan)
    for lit in (Light(around, unknown, unknown), Light(np.zeros_like(around), unknown, unknown)):
        found = date(values, lit)
        assert found.likely is not None
        assert abs(found.likely - 12) <= 2


def test_sixteen_bit_photos_are_dated_by_their_light() -> None:
    camera = FakeCamera(
        96, 64, seed=3, grey16=True, defects=[Defect(30, 40, "hot", offset=0.05, onset=12)]
    )
    sites = np.array([(30, 40)], np.intp)
    shots = camera.shoot(30)
    values = np.stack([observe(shot.frame, sites) for shot in shots])[:, 0]
    around = np.stack([surroundings(shot.frame, sites) for shot in shots])[:, 0]
    iso, seconds = np.array([shot.iso for shot in shots], float), np.full(30, np.nan)
    found = date(values, Light(around, iso, seconds, depth_bits=16))
    assert found.likely is not None
    assert abs(found.likely - 12) <= 2


@pytest.mark.parametrize("bits", [8, 16])
def test_the_surroundings_are_what_the_residual_is_made_of(bits: int) -> None:
    frame = FakeCamera(96, 64, seed=2, grey16=bits == 16).shoot()[0].frame
    sites = np.array([(0, 0), (63, 95), (30, 40), (2, 93)], np.intp)
    around = surroundings(frame, sites).astype(np.int64)
    values = frame[sites[:, 0], sites[:, 1]].astype(np.int64) >> (bits - 8) // 2
    expected = ((4 * values - around[:, :-1]) * around[:, -1:] + 2048) >> 12
    assert np.array_equal(np.clip(expected, -128, 128), observe(frame, sites))
    assert surroundings(frame, np.zeros((0, 2), np.intp)).shape == (0, frame.shape[2] + 1)
