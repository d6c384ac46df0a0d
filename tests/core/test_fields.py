"""Fields: epochs added on the fly, and steadiness as its definition says."""

import numpy as np
import pytest

from hotpixeld.core.fields import Steadiness, bands_of, combined
from hotpixeld.core.moments import Moments


def moments_of(frames: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> Moments:
    height, width, channels = frames[0].shape
    moments = Moments.empty((height, width, channels), 8)
    moments.fold(frames)
    return moments


def test_epochs_are_added_on_the_fly() -> None:
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 256, (40, 30, 3), np.uint8) for _ in range(9)]
    whole, rows = moments_of(frames), slice(3, 17)
    sums = combined([moments_of(frames[:2]), moments_of(frames[2:6]), moments_of(frames[6:])])
    assert sums.count == 9
    assert np.array_equal(sums.values(rows), whole.residual[rows])
    assert np.array_equal(sums.mean((rows,)), whole.mean(rows))
    assert np.array_equal(sums.variance((rows,)), whole.variance(rows))
    with pytest.raises(ValueError, match="no epoch"):
        combined([])


@pytest.mark.parametrize("shape", [(70, 45, 3), (2, 9, 1), (1, 1, 4)])
def test_steadiness_filled_in_by_bands_equals_the_whole(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(2)
    sums = combined([moments_of([rng.integers(0, 256, shape, np.uint8) for _ in range(6)])])
    by_bands, whole = Steadiness(shape, 1.0), Steadiness(shape, 1.0)
    variances = [by_bands.take_in(sums, rows) for rows in bands_of(shape[0])]
    assert np.array_equal(np.concatenate(variances), whole.take_in(sums, slice(0, shape[0])))
    everything = slice(0, shape[0])
    assert np.array_equal(by_bands.values(everything), whole.values(everything))


def test_a_pixel_that_never_varies_is_steady_and_its_neighbours_are_not() -> None:
    rng = np.random.default_rng(3)
    frames = [rng.integers(0, 256, (21, 21, 1), np.uint8) for _ in range(60)]
    for frame in frames:
        frame[10, 10] = 99
    steadiness = Steadiness((21, 21, 1), 1.0)
    steadiness.take_in(combined([moments_of(frames)]), slice(0, 21))
    values = steadiness.values(slice(0, 21))[..., 0]
    assert values[10, 10] > 256 * 7  # about the logarithm of 255^2 / 12
    values = values.copy()
    values[10, 10] = 0
    assert np.abs(values).max() < 256
