"""Fields: epochs added on the fly, and steadiness as its definition says."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from hotpixeld.core import kernel
from hotpixeld.core.fields import Steadiness, combined
from hotpixeld.core.moments import Moments
from hotpixeld.core.spread import bands_of
from kernels import both


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


def by_definition(moments: Moments, quiet_dn2: float) -> npt.NDArray[np.int16]:
    """Return steadiness: logarithms rounded down, of opposite pairs the middle two, their mean."""
    variance = moments.variance() / quiet_dn2
    logarithm = np.vectorize(lambda value: math.floor(256 * math.log(1 + value)))(variance)
    mode = "reflect" if min(variance.shape[:2]) > 3 else "edge"
    wide = np.pad(logarithm, ((3, 3), (3, 3), (0, 0)), mode=mode)  # type: ignore[call-overload]
    height, width, _ = variance.shape
    ways = [(0, 3), (3, 0), (3, 3), (3, -3)]
    pairs = [
        wide[3 + r : 3 + r + height, 3 + c : 3 + c + width]
        + wide[3 - r : 3 - r + height, 3 - c : 3 - c + width]
        for r, c in ways
    ]
    middle = np.sort(pairs, axis=0)[1:3].sum(axis=0)
    steadiness: npt.NDArray[np.int16] = ((middle >> 2) - logarithm).astype(np.int16)
    return steadiness


@both
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("shape", [(70, 45, 3), (2, 9, 1), (9, 3, 3), (1, 1, 4), (5, 700, 3)])
def test_steadiness_is_what_its_definition_says_in_bands_of_any_height(
    each: kernel.Kernel | None, shape: tuple[int, int, int], epochs: int, bits: int
) -> None:
    rng = np.random.default_rng(2)
    kind = np.uint8 if bits == 8 else np.uint16
    frames = rng.integers(0, 2**bits, (6, *shape), kind) >> rng.integers(0, bits, shape, kind)
    frames[:, : shape[0] // 3] = 2**bits - 1
    whole = Moments.empty(shape, bits)
    whole.fold(list(frames))
    parts = [Moments.empty(shape, bits) for _ in range(epochs)]
    for number, part in enumerate(parts):
        part.fold(list(frames[number::epochs]))
    quiet_dn2 = 1.0 if bits == 8 else 257.0**2
    spread = (whole.variance() * 36).round().astype(np.uint64)
    for rows in (1, 5, 32, 128):
        steadiness = Steadiness(shape, quiet_dn2)
        with kernel.using(each):
            seen = [steadiness.take_in(combined(parts), b) for b in bands_of(shape[0], rows)]
        off = steadiness.values(slice(0, shape[0])) != by_definition(whole, quiet_dn2)
        assert (
            off.mean() < 1e-3
        )  # single floats: a variance beside a step may fall on its other side
        least = np.concatenate([one.least for one in seen])
        assert np.array_equal(least, spread.reshape(shape[0], -1).min(axis=1))
        assert max(one.greatest for one in seen) == spread.max()
        assert sum(one.total for one in seen) == sum(spread.ravel().tolist())


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
