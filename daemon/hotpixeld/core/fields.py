"""The two fields of evidence: summed residuals, and how much less a subpixel varies than others.

An added offset (a hot pixel) does not change the variance, and a value that is stuck amid the
scenes' range does not change the mean: each field finds what the other misses.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hotpixeld.core.moments import Moments, mean_of, variance_of

BLOCK_PX = 16  # one JPEG MCU at most
BAND_ROWS = 2 * BLOCK_PX
_STEADINESS_UNIT = 256  # the stored logarithm's fixed point
_BESIDE_PX = 3  # variance is compared with pixels at this distance: outside of the footprint


class Field(Protocol):
    """A value per subpixel in which defects stand off zero."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""

    def values(self, rows: slice) -> npt.NDArray[np.signedinteger]:
        """Return (rows, width, channels)."""


@dataclass(frozen=True)
class Sums:
    """Several epochs' moments, added on the fly, so that nothing is held twice."""

    parts: tuple[Moments, ...]

    @property
    def count(self) -> int:
        """Photos in all epochs."""
        return sum(part.count for part in self.parts)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.parts[0].shape

    def values(self, rows: slice) -> npt.NDArray[np.int32]:
        """Return the summed residuals of these rows."""
        total = self.parts[0].residual[rows]
        for part in self.parts[1:]:
            total = total + part.residual[rows]
        return total

    def mean(self, at: tuple[slice, ...]) -> npt.NDArray[np.float64]:
        """Return the running mean in DN at an index of the arrays."""
        return mean_of(self.count, self._sum("sum_dn", at))

    def variance(self, at: tuple[slice, ...]) -> npt.NDArray[np.float64]:
        """Return the population variance in DN^2 at an index of the arrays."""
        return variance_of(self.count, self._sum("sum_dn", at), self._sum("sum_squares_dn2", at))

    def _sum(self, name: str, at: tuple[slice, ...]) -> npt.NDArray[np.integer]:
        arrays: list[npt.NDArray[np.integer]] = [getattr(part, name)[at] for part in self.parts]
        if len(arrays) == 1:
            return arrays[0]
        total: npt.NDArray[np.uint64] = arrays[0].astype(np.uint64)
        for array in arrays[1:]:
            total += array.astype(np.uint64)
        return total


def combined(parts: Sequence[Moments]) -> Sums:
    """Return the epochs as one; raises ValueError where they differ in shape or depth."""
    if not parts:
        raise ValueError("no epoch to rank")
    first = parts[0]
    if any(part.shape != first.shape or part.depth_bits != first.depth_bits for part in parts):
        raise ValueError("epochs of different shape or depth cannot be ranked together")
    return Sums(tuple(parts))


class Steadiness:
    """How much less a subpixel varies than its neighbours: 256 times the logarithm of the ratio.

    Parameters
    ----------
    shape : (height, width, channels)
    quiet_dn2 : float
        Variances are taken in units of this, plus 1: less is noise and rounding.
    """

    def __init__(self, shape: tuple[int, int, int], quiet_dn2: float) -> None:
        self._values = np.zeros(shape, np.int16)
        self._quiet_dn2 = quiet_dn2

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        height, width, channels = self._values.shape
        return height, width, channels

    def values(self, rows: slice) -> npt.NDArray[np.int16]:
        """Return (rows, width, channels)."""
        return self._values[rows]

    def take_in(self, sums: Sums, rows: slice) -> npt.NDArray[np.float64]:
        """Fill in these rows, in place, and return their variances."""
        top, bottom = max(0, rows.start - _BESIDE_PX), min(sums.shape[0], rows.stop + _BESIDE_PX)
        variance = sums.variance((slice(top, bottom),))
        own = slice(rows.start - top, rows.stop - top)
        relative = variance.astype(np.float32)
        relative *= np.float32(1 / self._quiet_dn2)
        relative += 1
        np.log(relative, out=relative)
        relative *= _STEADINESS_UNIT
        logarithm = relative.astype(np.int16)
        missing = (_BESIDE_PX - own.start, _BESIDE_PX - (bottom - rows.stop))
        sides = (missing, (_BESIDE_PX, _BESIDE_PX), (0, 0))
        smooth = min(logarithm.shape[:2]) > _BESIDE_PX
        padded = np.pad(logarithm, sides, mode="reflect" if smooth else "edge")
        np.subtract(_beside(padded), logarithm[own], out=self._values[rows])
        return variance[own]


def _beside(padded: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Return the mean of the middle two of four pairs of opposite neighbours.

    A logarithm is at most 256 * ln(1 + 255^2 / 4) < 2,500, and eight of them fit 16 bits.
    """
    far = _BESIDE_PX
    height, width = padded.shape[0] - 2 * far, padded.shape[1] - 2 * far

    def pair(row: int, column: int) -> npt.NDArray[np.int16]:
        one = padded[far + row : far + row + height, far + column : far + column + width]
        other = padded[far - row : far - row + height, far - column : far - column + width]
        return one + other

    a, b, c, d = pair(far, 0), pair(0, far), pair(far, far), pair(far, -far)
    lesser, greater = np.minimum(a, b), np.maximum(a, b)
    np.minimum(lesser, np.minimum(c, d), out=lesser)
    np.maximum(greater, np.maximum(c, d), out=greater)
    a += b
    a += c
    a += d
    a -= lesser
    a -= greater
    a >>= 2
    return a


def bands_of(height: int) -> Iterator[slice]:
    """Yield slices of rows, each of whole blocks."""
    for start in range(0, height, BAND_ROWS):
        yield slice(start, min(height, start + BAND_ROWS))


Progress = Callable[[], None]
