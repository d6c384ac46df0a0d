"""Evidence of every subpixel against its surroundings, band by band, from the running moments."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core.moments import Moments, mean_of, variance_of
from hotpixeld.core.null import Null, first_guess, fitted

BLOCK_PX = 16  # spreads are known per 16 x 16 block: one JPEG MCU
_BAND_ROWS = 8 * BLOCK_PX
_CLIP = 4.0  # robust: no subpixel counts more than four spreads in its surroundings' spread
_FLOOR = 0.6  # nowhere is the spread taken below this share of the whole channel's
_SCREEN = 2.6  # levels below are nobody's suspects and not part of the tail
_MEAN_ABS_TO_SIGMA = 1.2533


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

    def residual(self, rows: slice) -> npt.NDArray[np.int32]:
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

    def _sum(self, name: str, at: tuple[slice, ...]) -> npt.NDArray[np.uint64]:
        arrays = [part.arrays()[name][at] for part in self.parts]
        total: npt.NDArray[np.uint64] = arrays[0].astype(np.uint64)
        for array in arrays[1:]:
            total += array.astype(np.uint64)
        return total


@dataclass(frozen=True)
class Spread:
    """The robust spread of the summed residuals, per block and channel.

    Attributes
    ----------
    sigma : (blocks down, blocks across, channels) float32
        In units of the residual.
    overall : (channels,) float32
        Of the whole channel.
    """

    sigma: npt.NDArray[np.float32]
    overall: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Suspects:
    """Subpixels that stand out, in no order.

    Attributes
    ----------
    rows, columns, channels : (n,) intp
        Where.
    levels : (n,) float32
        The residual in local robust spreads; its sign says brighter or darker.
    """

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    channels: npt.NDArray[np.intp]
    levels: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Suspects":
        """Return those of them that are ``chosen``."""
        return Suspects(
            self.rows[chosen], self.columns[chosen], self.channels[chosen], self.levels[chosen]
        )


def spread_of(sums: Sums, on_progress: Callable[[], None]) -> Spread:
    """Return the spread of the summed residuals in each block, from it and its eight neighbours."""
    overall = _overall_spread(sums)
    down, across = (-(-length // BLOCK_PX) for length in sums.shape[:2])
    totals = np.zeros((down, across, sums.shape[2]), np.float32)
    counts = np.zeros((down, across, 1), np.float32)
    edges = np.arange(0, sums.shape[1], BLOCK_PX)
    widths = np.diff([*edges, sums.shape[1]]).astype(np.float32)
    limit = np.maximum(np.rint(_CLIP * overall), 1).astype(np.int32)
    for rows in bands_of(sums.shape[0]):
        size = np.minimum(np.abs(sums.residual(rows)), limit)
        heights = _strips(size.shape[0])
        tall = np.add.reduceat(size, heights, axis=0)
        block = slice(rows.start // BLOCK_PX, rows.start // BLOCK_PX + len(heights))
        totals[block] = np.add.reduceat(tall, edges, axis=1)
        counts[block] = (np.diff([*heights, size.shape[0]])[:, None] * widths)[..., None]
        on_progress()
    sigma = _MEAN_ABS_TO_SIGMA * _neighbourhood(totals) / _neighbourhood(counts)
    return Spread(np.maximum(sigma, _FLOOR * overall).astype(np.float32), overall)


def suspects_of(
    sums: Sums, spread: Spread, on_progress: Callable[[], None]
) -> tuple[Suspects, float]:
    """Return every subpixel beyond the screen, and the screen's level."""
    found: list[Suspects] = []
    for rows in bands_of(sums.shape[0]):
        residual = sums.residual(rows)
        blocks = spread.sigma[rows.start // BLOCK_PX : -(-rows.stop // BLOCK_PX)]
        level = (
            residual
            / np.repeat(np.repeat(blocks, BLOCK_PX, 0), BLOCK_PX, 1)[
                : residual.shape[0], : residual.shape[1]
            ]
        )
        at = np.nonzero(np.abs(level) >= _SCREEN)
        found.append(Suspects(at[0] + rows.start, at[1], at[2], level[at].astype(np.float32)))
        on_progress()
    return (
        Suspects(
            np.concatenate([part.rows for part in found]),
            np.concatenate([part.columns for part in found]),
            np.concatenate([part.channels for part in found]),
            np.concatenate([part.levels for part in found]),
        ),
        _SCREEN,
    )


def null_of(suspects: Suspects, floor: float, shape: tuple[int, int, int]) -> Null:
    """Fit the null to the suspects, leaving out what stands round a clear defect.

    A defect spoils its block, so blocks that hold a level beyond any good subpixel's are left out,
    and the fit is repeated until no more are.
    """
    down, across = (-(-length // BLOCK_PX) for length in shape[:2])
    block = suspects.rows // BLOCK_PX * across + suspects.columns // BLOCK_PX
    greatest = np.zeros(down * across, np.float32)
    np.maximum.at(greatest, block, np.abs(suspects.levels))
    subpixels = int(np.prod(shape))
    null = first_guess(np.abs(suspects.levels), floor, subpixels)
    for _ in range(8):
        clear = greatest > null.level(0.5)
        rest = ~clear[block]
        good = subpixels - int(clear.sum()) * BLOCK_PX**2 * shape[2]
        again = fitted(np.abs(suspects.levels[rest]), floor, max(good, subpixels // 10))
        if abs(again.level(2.0) - null.level(2.0)) < 0.01:
            break
        null = again
    return null


def bands_of(height: int) -> Iterator[slice]:
    """Yield slices of rows, each of whole blocks."""
    for start in range(0, height, _BAND_ROWS):
        yield slice(start, min(height, start + _BAND_ROWS))


def _overall_spread(sums: Sums) -> npt.NDArray[np.float32]:
    """Return each channel's robust spread from a sample of rows."""
    height = sums.shape[0]
    step = max(1, height * sums.shape[1] // 1_000_000)
    sample = np.concatenate(
        [sums.residual(slice(row, row + 1)) for row in range(step // 2, height, step)]
    )
    middle = np.median(sample, axis=(0, 1))
    sigma = 1.4826 * np.median(np.abs(sample - middle), axis=(0, 1))
    overall: npt.NDArray[np.float32] = np.maximum(sigma, 1.0).astype(np.float32)
    return overall


def _strips(height: int) -> npt.NDArray[np.intp]:
    return np.arange(0, height, BLOCK_PX)


def _neighbourhood(blocks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    wide = np.pad(blocks, ((1, 1), (1, 1), (0, 0)))
    down, across = blocks.shape[:2]
    total = np.zeros_like(blocks)
    for row in range(3):
        for column in range(3):
            total += wide[row : row + down, column : column + across]
    return total


def combined(parts: Sequence[Moments]) -> Sums:
    """Return the epochs as one; raises ValueError where they differ in shape or depth."""
    first = parts[0]
    if any(part.shape != first.shape or part.depth_bits != first.depth_bits for part in parts):
        raise ValueError("epochs of different shape or depth cannot be ranked together")
    return Sums(tuple(parts))
