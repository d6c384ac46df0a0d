"""The two fields of evidence: summed residuals, and how much less a subpixel varies than others.

An added offset (a hot pixel) does not change the variance, and a value that is stuck amid the
scenes' range does not change the mean: each field finds what the other misses.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hotpixeld.core import kernel
from hotpixeld.core.moments import Moments, mean_of, spread_of, variance_of

_STEADINESS_UNIT = 256  # the stored logarithm's fixed point
_MOST_LOGARITHM = 14  # to base 2: variances are below 255^2 / 4 < 2^14
_CHUNK_VALUES = 32_768  # with some temporaries they stay within the cache
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
        return self.residuals((rows,))

    def residuals(self, at: tuple[slice, ...]) -> npt.NDArray[np.int32]:
        """Return the summed residuals at an index of the arrays."""
        total = self.parts[0].residual[at].astype(np.int32, copy=False)
        for part in self.parts[1:]:
            total = total + part.residual[at]
        return total

    def mean(self, at: tuple[slice, ...]) -> npt.NDArray[np.float64]:
        """Return the running mean in DN at an index of the arrays."""
        return mean_of(self.count, self._sum("sum_dn", at))

    def variance(self, at: tuple[slice, ...]) -> npt.NDArray[np.float64]:
        """Return the population variance in DN^2 at an index of the arrays."""
        return variance_of(self.count, self._sum("sum_dn", at), self._sum("sum_squares_dn2", at))

    def both(
        self, rows: slice
    ) -> tuple[npt.NDArray[np.unsignedinteger], npt.NDArray[np.unsignedinteger]]:
        """Return these rows' sums and sums of squares, of one type."""
        squares: npt.NDArray[np.unsignedinteger] = self._sum("sum_squares_dn2", (rows,))
        return self._sum("sum_dn", (rows,)).astype(squares.dtype, copy=False), squares

    def _sum(self, name: str, at: tuple[slice, ...]) -> npt.NDArray[np.unsignedinteger]:
        arrays: list[npt.NDArray[np.unsignedinteger]] = [
            getattr(part, name)[at] for part in self.parts
        ]
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

    def take_in(self, sums: Sums, rows: slice) -> "Spreads":
        """Fill in these rows, in place, and return what was seen of their variances."""
        top, bottom = max(0, rows.start - _BESIDE_PX), min(sums.shape[0], rows.stop + _BESIDE_PX)
        sum_dn, squares = sums.both(slice(top, bottom))
        unit = np.float32(1 / (float(sums.count) ** 2 * self._quiet_dn2))
        first, out = rows.start - top, self._values[rows]
        if (compiled := kernel.chosen()) is not None:
            least = np.zeros(len(out), np.uint64)
            found = compiled.steadiness(
                (sum_dn, squares), (sums.count, float(unit)), _LOGARITHMS, first, (out, least)
            )
            return Spreads(least, found[0], (found[1] << 32) + found[2])
        inner = slice(first, first + len(out))
        padded, spreads = _logarithms(
            lambda part: spread_of(sums.count, sum_dn[part], squares[part]),
            (sum_dn.shape[0], *out.shape[1:]),
            inner,
            unit,
        )
        _subtract_from_beside(padded, out, first)
        return spreads


@dataclass(frozen=True)
class Spreads:
    """Some rows' variances, in DN^2 times the square of the photos' number: whole numbers.

    Attributes
    ----------
    least : (rows,) uint64
        The least of each row.
    greatest, total : int
        Of all of them.
    """

    least: npt.NDArray[np.uint64]
    greatest: int
    total: int


def _table_of_logarithms() -> npt.NDArray[np.int32]:
    """Return what makes of a single float's bits, b, 256 times its logarithm, rounded down.

    That is (table[cell] + (b & 0x7fff)) >> 15, where the cell is b >> 15 less that of 1.0: the
    exponent and eight bits of the mantissa. A cell is so narrow that the result changes at most
    once within it, and the table says where. So every implementation gives the same integers.
    """
    steps = np.exp(np.arange(1, _MOST_LOGARITHM * 178) / _STEADINESS_UNIT)
    changes = steps.astype(np.float32)
    low = changes < steps
    changes[low] = np.nextafter(changes[low], np.float32(np.inf))
    at = changes.view(np.int32).astype(np.int64) - (127 << 23)
    starts = np.arange(_MOST_LOGARITHM << 8, dtype=np.int64) << 15
    before = np.searchsorted(at, starts, side="right")
    change = np.append(at, 1 << 40)[before] - starts  # the next one, from the cell's start
    table = (before << 15) + np.where(change < 1 << 15, (1 << 15) - change, 0)
    return table.astype(np.int32)


_LOGARITHMS = _table_of_logarithms()
_LOGARITHMS.flags.writeable = False


def _logarithms(
    spread_at: Callable[[slice], npt.NDArray[np.unsignedinteger]],
    shape: tuple[int, int, int],
    own: slice,
    unit: np.float32,
) -> tuple[npt.NDArray[np.int16], Spreads]:
    """Return the logarithms of some rows with a margin, mirrored, and what their spreads are.

    Those of their ``own`` rows.
    """
    height, width, channels = shape
    far, greatest, total = _BESIDE_PX, 0, 0
    least = np.zeros(own.stop - own.start, np.uint64)
    padded = np.empty((height + 2 * far, width + 2 * far, channels), np.int16)
    mode = "reflect" if min(height, width) > far else "edge"
    inner = padded[far : far + height, far : far + width]
    step = max(1, _CHUNK_VALUES // (width * channels))
    starts = sorted({*range(0, height, step), own.start, own.stop, height})
    for start, stop in pairwise(starts):
        spread = spread_at(slice(start, stop))
        if own.start <= start < own.stop:
            rows = slice(start - own.start, stop - own.start)
            least[rows] = spread.reshape(stop - start, -1).min(axis=1)
            greatest = max(greatest, int(spread.max()))
            total += _total(spread)
        inner[start:stop] = _logarithm(spread, unit)
    beyond = np.pad(np.arange(width), far, mode=mode)  # type: ignore[call-overload]
    sides = [*range(far), *range(far + width, width + 2 * far)]
    padded[far : far + height, sides] = inner[:, beyond[sides]]
    over = np.pad(np.arange(height), far, mode=mode)  # type: ignore[call-overload]
    ends = [*range(far), *range(far + height, height + 2 * far)]
    padded[ends] = padded[over[ends] + far]
    return padded, Spreads(least, greatest, total)


def _total(spread: npt.NDArray[np.unsignedinteger]) -> int:
    if spread.dtype == np.uint32:
        return int(spread.sum(dtype=np.uint64))
    high, low = (spread >> 32).sum(dtype=np.uint64), (spread & (2**32 - 1)).sum(dtype=np.uint64)
    return (int(high) << 32) + int(low)


def _logarithm(spread: npt.NDArray[np.unsignedinteger], unit: np.float32) -> npt.NDArray[np.int32]:
    """Return 256 times the logarithm of 1 + unit * spread, rounded down."""
    relative = spread.astype(np.float32)
    relative *= unit
    relative += 1
    bits = relative.view(np.int32)
    cells = (bits >> 15).astype(np.intp)  # as `take` wants them, or it is half as fast
    cells -= 127 << 8
    logarithm = np.take(_LOGARITHMS, cells, mode="clip")
    bits &= 0x7FFF
    logarithm += bits
    logarithm >>= 15
    return logarithm


def _subtract_from_beside(
    padded: npt.NDArray[np.int16], out: npt.NDArray[np.int16], first: int
) -> None:
    """Put in ``out`` the mean of the middle two of four pairs of neighbours less the value.

    Pairs of opposite ones. A logarithm is at most 256 * ln(1 + 255^2 / 4) < 2,500, and four of
    them fit 16 bits.
    """
    far = _BESIDE_PX
    rows, width, channels = out.shape

    def part(row: int, column: int) -> npt.NDArray[np.int16]:
        return padded[top + row : top + row + height, far + column : far + column + width]

    step = max(1, _CHUNK_VALUES // (width * channels))
    for start in range(0, rows, step):
        height, top = min(step, rows - start), first + far + start
        a, b = part(far, 0) + part(-far, 0), part(0, far) + part(0, -far)
        c, d = part(far, far) + part(-far, -far), part(far, -far) + part(-far, far)
        low, high = np.minimum(a, b), np.maximum(a, b, out=a)
        np.maximum(low, np.minimum(c, d), out=low)
        np.minimum(high, np.maximum(c, d, out=c), out=high)
        low += high
        low >>= 2
        np.subtract(low, part(0, 0), out=out[start : start + height])


Progress = Callable[[], None]
