"""Dating from per-photo residuals."""

import numpy as np
import numpy.typing as npt
import pytest

from fakecamera import Defect, FakeCamera
from hotpixeld.core.dating import Dating, date
from hotpixeld.core.observe import Observations, observe, shows_in, signed
from hotpixeld.core.residual import residual_rows


def series(rng: np.random.Generator, before: int, during: int, after: int) -> npt.NDArray[np.int64]:
    quiet = rng.normal(0, 20, before + during + after)
    quiet[before : before + during] += 70
    return np.clip(quiet, -128, 128).astype(np.int64)


@pytest.mark.parametrize("seed", range(10))
def test_an_onset_is_dated_within_two_photos(seed: int) -> None:
    found = date(series(np.random.default_rng(seed), 30, 25, 0))
    assert found.after is not None
    assert found.by is not None
    assert found.after - 2 <= 29 <= found.after + 3
    assert abs(found.by - 30) <= 2
    assert not found.gone


@pytest.mark.parametrize("seed", range(10))
def test_a_defect_that_was_there_from_the_first_photo_has_no_after(seed: int) -> None:
    found = date(series(np.random.default_rng(seed), 0, 40, 0))
    assert (found.after, found.by, found.gone) == (None, 0, False)
    assert found.last_seen is not None
    assert found.last_seen >= 35


@pytest.mark.parametrize("seed", range(10))
def test_a_defect_that_was_mapped_out_is_gone_and_was_last_seen_before(seed: int) -> None:
    found = date(series(np.random.default_rng(seed), 0, 30, 20))
    assert found.gone
    assert found.last_seen is not None
    assert 26 <= found.last_seen <= 31


def test_a_site_that_never_shows_has_no_dates() -> None:
    assert date(np.zeros(20, np.int64)) == Dating(None, None, None, gone=False)
    assert date(np.zeros(0, np.int64)) == Dating(None, None, None, gone=False)


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
    found = date(signed(seen))
    assert found.by is not None
    assert abs(found.by - 12) <= 2
    assert 0.3 < shows_in(seen) <= 18 / 30
