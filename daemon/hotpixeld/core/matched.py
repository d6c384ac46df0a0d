"""What the surroundings of a subpixel say for it: summed residuals through a matched filter.

A bad photosite spoils its neighbours as well: demosaicing, sharpening and JPEG spread it over 3 x 3
pixels and into all channels. What good pixels show is correlated there too, by the scenes' texture,
over other distances and, of the channels, in another proportion. The sum of the 3 x 3 in all
channels that tells a known shape s best from a scatter of covariance S is weighed by S^-1 s (Turin
1960, "An introduction to matched filters"). S is learned from the frame itself, since every
camera's development is another; a share of the unit matrix is added, so that directions in which
good pixels hardly scatter do not decide, as the shape is only about known (Carlson 1988,
"Covariance matrix estimation errors and diagonal loading in adaptive arrays").
"""

import numpy as np
import numpy.typing as npt

from hotpixeld.core import kernel
from hotpixeld.core.fields import Field, Progress
from hotpixeld.core.screening import BAND_ROWS, MOST_SPREADS
from hotpixeld.core.spread import Spread, bands_of

UNIT = 64  # of a robust spread; up to 512 of them fit 16 bits
_CHANNELS = 3  # a colour filter's; other frames were not demosaiced, or are no photos
_LEAST_PIXELS = 10_000  # to learn the scatter from
_ENOUGH_PIXELS = 300_000
_LOADING = 0.25  # of the spread's square
_MULTIPLICITY = np.array([1.0, 4.0, 4.0])  # one pixel, four beside it, four at its corners
# What a photosite adds to a pixel, to those beside it and to those at its corners: in its own
# channel, and in the others. Seen on made cameras of six developments; there are twice as many
# green photosites, so that green is filled in from nearer.
_RED_OR_BLUE = np.array([1.0, 0.45, 0.17]), np.array([0.7, 0.15, 0.0])
_GREEN = np.array([1.0, 0.24, -0.03]), np.array([0.9, 0.17, -0.07])
_CHUNK_VALUES = 65_536  # with some temporaries they stay within the cache

Floats = npt.NDArray[np.float64]
Planes = npt.NDArray[np.float32]


class Matched:
    """A field's values and their neighbours' in all channels, weighed to tell a defect best.

    Parameters
    ----------
    field : Field
        Summed residuals of a frame that `is_matchable`.
    overall : (channels,) float32
        Its `hotpixeld.core.evidence.overall_spread`.
    on_progress : callable
    spread : callable
        What works on the bands of rows.
    """

    def __init__(
        self,
        field: Field,
        overall: npt.NDArray[np.float32],
        spread: Spread,
        on_progress: Progress,
    ) -> None:
        height, width, _ = self.shape = field.shape
        self._values = np.empty(field.shape, np.int16)
        weights = weights_for(field, overall)

        def work(rows: slice) -> None:
            if (compiled := kernel.chosen()) is not None:
                compiled.matched(_with_rows_beside(field, rows), weights, self._values[rows])
                return
            step = max(1, _CHUNK_VALUES // width)
            for start in range(rows.start, rows.stop, step):
                part = slice(start, min(start + step, rows.stop))
                _weigh(_sums_around(field, part), weights, self._values[part])

        for _ in spread(work, bands_of(height, 4 * BAND_ROWS)):
            on_progress()

    def values(self, rows: slice) -> npt.NDArray[np.int16]:
        """Return (rows, width, channels), in 1/64 of about a spread."""
        return self._values[rows]


def is_matchable(shape: tuple[int, int, int]) -> bool:
    """Return True for colour frames that are large enough to learn the scatter from."""
    height, width, channels = shape
    return channels == _CHANNELS and min(height, width) > 1 and height * width >= _LEAST_PIXELS


def weights_for(field: Field, overall: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return (3, 9): for each channel what its own and the other channels' sums count.

    Of red the pixel's own value, the sum of the four beside it and that of the four at its corners;
    then the same of green and of blue.
    """
    spreads = overall.astype(np.float64)
    scatter = _scatter(field, spreads)
    scatter += _LOADING * np.diag(np.tile(_MULTIPLICITY, _CHANNELS))
    weights = np.empty((_CHANNELS, 3 * _CHANNELS))
    for channel in range(_CHANNELS):
        own, other = _GREEN if channel == 1 else _RED_OR_BLUE
        shapes = [own if beside == channel else other for beside in range(_CHANNELS)]
        shape = np.concatenate([shape * _MULTIPLICITY for shape in shapes])
        best = np.linalg.solve(scatter, shape)
        weights[channel] = best * (UNIT / np.sqrt(best @ shape))
    return (weights / np.repeat(spreads, 3)).astype(np.float32)


def _scatter(field: Field, spreads: Floats) -> Floats:
    """Return (9, 9): the mean products of the sums round a pixel, in spreads, none over four."""
    height, width, _ = field.shape
    step = max(1, height * width // _ENOUGH_PIXELS)
    limits = np.rint(MOST_SPREADS * spreads).astype(np.int32)
    total, count = np.zeros((3 * _CHANNELS, 3 * _CHANNELS)), 0
    for row in range(step // 2, height, step):
        sums = _sums_around(field, slice(row, row + 1), limits).reshape(3 * _CHANNELS, width)
        total += sums.astype(np.float64) @ sums.T.astype(np.float64)  # whole numbers: exact
        count += width
    scale = np.repeat(spreads, 3)
    return total / count / np.outer(scale, scale)


def _sums_around(field: Field, rows: slice, limits: npt.NDArray[np.int32] | None = None) -> Planes:
    """Return (3 channels, 3, rows, width): each pixel's value, the sum beside, and at its corners.

    Beyond the frame it is mirrored. No value's size counts more than its channel's limit.
    """
    values = _with_rows_beside(field, rows)
    if limits is not None:
        values = np.clip(values, -limits, limits)
    planes = np.ascontiguousarray(np.moveaxis(values, 2, 0), dtype=np.float32)
    wide = np.pad(planes, ((0, 0), (0, 0), (1, 1)), mode="reflect")
    sums = np.empty((_CHANNELS, 3, rows.stop - rows.start, field.shape[1]), np.float32)
    across = wide[..., :-2] + wide[..., 2:]
    sums[:, 0] = wide[:, 1:-1, 1:-1]
    np.add(wide[:, :-2, 1:-1], wide[:, 2:, 1:-1], out=sums[:, 1])
    sums[:, 1] += across[:, 1:-1]
    np.add(across[:, :-2], across[:, 2:], out=sums[:, 2])
    return sums


def _with_rows_beside(field: Field, rows: slice) -> npt.NDArray[np.int32]:
    """Return (rows + 2, width, channels): one more above and below, mirrored beyond the frame."""
    height = field.shape[0]
    top, bottom = max(0, rows.start - 1), min(height, rows.stop + 1)
    values = np.ascontiguousarray(field.values(slice(top, bottom)), np.int32)
    beyond = top - rows.start + 1, rows.stop + 1 - bottom
    return np.pad(values, (beyond, (0, 0), (0, 0)), mode="reflect") if any(beyond) else values


def _weigh(sums: Planes, weights: npt.NDArray[np.float32], out: npt.NDArray[np.int16]) -> None:
    """Put the weighed sums in ``out`` (rows, width, 3), rounded: single operations in one order."""
    flat = sums.reshape(3 * _CHANNELS, *sums.shape[2:])
    product = np.empty_like(flat[0])
    for channel, each in enumerate(weights):
        total = flat[0] * each[0]
        for plane, weight in zip(flat[1:], each[1:], strict=True):
            np.multiply(plane, weight, out=product)
            total += product
        np.rint(total, out=total)
        np.clip(total, -32767, 32767, out=total)
        out[..., channel] = total
