"""The matched filter: what it weighs, and that it tells a defect from a good pixel's scatter."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from fakecamera import Defect, Development, FakeCamera
from hotpixeld.core import kernel
from hotpixeld.core.evidence import overall_spread
from hotpixeld.core.fields import Field, combined
from hotpixeld.core.matched import UNIT, Matched, is_matchable, weights_for
from hotpixeld.core.moments import Moments


@dataclass(frozen=True)
class Plain:
    """A field of given values."""

    array: npt.NDArray[np.int32]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        height, width, channels = self.array.shape
        return height, width, channels

    def values(self, rows: slice) -> npt.NDArray[np.int32]:
        """Return these rows."""
        return self.array[rows]


def noise(shape: tuple[int, int], seed: int, *, alike: float) -> npt.NDArray[np.int32]:
    """Return noise whose channels have the share ``alike`` of their variance in common."""
    rng = np.random.default_rng(seed)
    common, own = rng.normal(0, 60, (*shape, 1)), rng.normal(0, 60, (*shape, 3))
    mixed: npt.NDArray[np.float64] = np.sqrt(alike) * common + np.sqrt(1 - alike) * own
    return np.rint(mixed).astype(np.int32)


def matched(field: Field) -> npt.NDArray[np.int16]:
    return Matched(field, overall_spread(field), map, lambda: None).values(slice(0, field.shape[0]))


def test_every_value_is_the_weighed_sum_of_its_surroundings_in_all_channels() -> None:
    field = Plain(noise((130, 101), 1, alike=0.5))
    weights, found = weights_for(field, overall_spread(field)).astype(np.float64), matched(field)
    wide = np.pad(field.array, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    for row, column in [(0, 0), (0, 50), (129, 100), (64, 0), (63, 33), (1, 99), (128, 7)]:
        part = wide[row : row + 3, column : column + 3]
        beside = part[0, 1] + part[2, 1] + part[1, 0] + part[1, 2]
        corners = part[0, 0] + part[0, 2] + part[2, 0] + part[2, 2]
        sums = np.stack([part[1, 1], beside, corners], axis=1).ravel()
        assert np.allclose(found[row, column], weights @ sums, atol=0.51)


@pytest.mark.skipif(kernel.COMPILED is None, reason="the kernel is not built here")
@pytest.mark.parametrize("shape", [(2, 5000), (5000, 2), (131, 97), (300, 64)])
def test_the_kernel_and_numpy_give_the_same_bits(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(shape[0])
    for most in (90, 2**15, 65_000 * 128):  # the last is as far as sums of residuals go
        values = rng.integers(-most, most, (*shape, 3), np.int32, endpoint=True)
        values[rng.random(shape) < 0.9] //= 500
        field = Plain(values)
        with kernel.using(None):
            by_numpy = matched(field)
        assert np.array_equal(by_numpy, matched(field))
        assert len(np.unique(by_numpy)) > 100


@pytest.mark.parametrize("alike", [0.0, 0.6, 0.95])
def test_good_pixels_scatter_by_about_a_unit(alike: float) -> None:
    found = matched(Plain(noise((200, 200), 2, alike=alike)))
    assert np.all(found.std(axis=(0, 1)) < 1.05 * UNIT)
    assert np.all(found.std(axis=(0, 1)) > 0.6 * UNIT)


@pytest.mark.parametrize("alike", [0.0, 0.6, 0.95])
def test_a_photosites_whole_shape_stands_further_off_than_its_own_value(alike: float) -> None:
    quiet = Plain(noise((200, 200), 3, alike=alike))
    others = [[0.0, 0.15, 0.0], [0.15, 0.7, 0.15], [0.0, 0.15, 0.0]]
    blue = [[0.17, 0.45, 0.17], [0.45, 1.0, 0.45], [0.17, 0.45, 0.17]]
    spoiled = quiet.array.copy()
    shape = np.stack([others, others, blue], axis=2)
    spoiled[99:102, 99:102] += np.rint(240 * shape).astype(np.int32)
    more = matched(Plain(spoiled))[100, 100] - matched(quiet)[100, 100]
    assert more[2] > 1.02 * 4 * UNIT  # its own value is four spreads
    assert more[2] == more.max()


def test_a_weak_defect_stands_further_off_than_by_its_own_value_alone() -> None:
    gains = []
    for seed, how in enumerate([Development("bilinear", 0.5, 0.0, 92, "4:2:0")] * 2):
        defects = tuple(Defect(40 * i + 20, 41 * i + 15, "hot", offset=0.004) for i in range(5))
        camera = FakeCamera(seed=seed, defects=defects, development=how)
        moments = Moments.empty((240, 320, 3), 8)
        moments.fold([shot.frame.astype(np.uint8) for shot in camera.shoot(20)])
        sums = combined([moments])
        plain = sums.values(slice(0, 240)).astype(np.float64)
        filtered = matched(sums).astype(np.float64)
        for defect in defects:
            at = defect.row, defect.column
            off = [
                (np.abs(values[at]) / (1.4826 * np.median(np.abs(values), axis=(0, 1)))).max()
                for values in (plain, filtered)
            ]
            gains.append(off[1] / off[0])
    assert np.median(gains) > 1.05


def test_frames_without_a_colour_filter_or_too_small_are_not_filtered() -> None:
    assert is_matchable((200, 200, 3))
    for shape in ((200, 200, 1), (200, 200, 4), (50, 50, 3), (1, 40_000, 3), (40_000, 1, 3)):
        assert not is_matchable(shape)


def test_a_frame_without_any_scatter_gives_nothing() -> None:
    assert not matched(Plain(np.zeros((120, 120, 3), np.int32))).any()


def test_what_is_beyond_any_measure_stays_at_the_limit() -> None:
    values = noise((120, 120), 4, alike=0.5)
    values[60, 60] = 20_000_000
    found = matched(Plain(values))
    assert np.all(found[60, 60] == 32767)
    assert np.abs(found).max() == 32767
