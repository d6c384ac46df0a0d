"""Evidence of every subpixel against its surroundings, band by band."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hotpixeld.core.fields import BAND_ROWS, BLOCK_PX, Field, Progress, Sums, bands_of
from hotpixeld.core.null import Null, fitted

_CLIP = 4.0  # robust: no subpixel counts more than four spreads in its surroundings' spread
_FLOOR = 0.6  # nowhere is the spread taken below this share of the whole channel's
_SCREEN = 2.4  # levels below are nobody's suspects and not part of the tail
_SURELY_BAD = 6.0  # the first guess at what good subpixels do not reach
_STEADY_SHARE, _MOST_STEADY = np.float32(0.3), 6.0
_NO_TAIL, _GOOD_TAIL = 1.1, 1.4  # powers of the fitted tail
_LEAST_BLOCKS = 200  # to learn the phases from
_ENOUGH_BLOCKS = 20_000
_MEAN_ABS_TO_SIGMA = 1.2533


@dataclass(frozen=True)
class Suspects:
    """Subpixels that stand out, in no order.

    Attributes
    ----------
    rows, columns, channels : (n,) intp
        Where.
    levels : (n,) float32
        How far, in local robust spreads, signed.
    """

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    channels: npt.NDArray[np.intp]
    levels: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "Suspects":
        """Return those of them that are ``chosen``."""
        return Suspects(
            self.rows[chosen], self.columns[chosen], self.channels[chosen], self.levels[chosen]
        )


@dataclass(frozen=True)
class Evidence:
    """Suspects with the distribution of the good ones."""

    suspects: Suspects
    null: Null


class Profile:
    """One field with what is normal in it: each block's spread, each phase's bias and scale."""

    def __init__(self, field: Field, on_progress: Progress) -> None:
        self._field = field
        self._sigma, self.overall = _spread_of(field, on_progress)
        bias, scale = _phases_of(field, self._sigma, on_progress)
        across = -(-field.shape[1] // BLOCK_PX)
        times = (BAND_ROWS // BLOCK_PX, across, 1)
        self._bias: npt.NDArray[np.float32] = np.tile(bias, times)[:, : field.shape[1]]
        self._factor: npt.NDArray[np.float32] = np.tile(np.float32(1) / scale, times)[
            :, : field.shape[1]
        ]

    def levels(self, rows: slice) -> npt.NDArray[np.float32]:
        """Return (rows, width, channels): how far each subpixel stands off, in robust spreads."""
        levels = _levels(self._field, self._sigma, rows)
        levels -= self._bias[: len(levels)]
        levels *= self._factor[: len(levels)]
        return levels


def weighed(
    residual: Profile, steadiness: Profile, sums: Sums, on_progress: Progress
) -> tuple[Evidence, Evidence]:
    """Return what stands off its neighbours, and what varies less than they do.

    To the first, steadiness adds its share: tone curve and clipping leave a defect less room to
    vary, so that what stands off and is steady besides is surer.
    """
    shape, photos = sums.shape, sums.count
    off: list[Suspects] = []
    steady: list[Suspects] = []
    for rows in bands_of(shape[0]):
        level, calm = residual.levels(rows), steadiness.levels(rows)
        steady.append(_beyond_the_screen(calm, calm >= _SCREEN, rows.start))
        np.clip(calm, 0, _MOST_STEADY, out=calm)
        calm *= _STEADY_SHARE
        level += np.copysign(calm, level)
        off.append(_beyond_the_screen(level, np.abs(level) >= _SCREEN, rows.start))
        on_progress()
    subpixels = int(np.prod(shape))
    either, calmer = joined(off), joined(steady)
    return (
        Evidence(either, _null_of(either, subpixels, shape, photos)),
        Evidence(calmer, _null_of(calmer, subpixels // 2, shape, photos)),
    )


def _beyond_the_screen(
    levels: npt.NDArray[np.float32], beyond: npt.NDArray[np.bool_], top: int
) -> Suspects:
    flat = np.flatnonzero(beyond)
    rows, columns, channels = np.unravel_index(flat, levels.shape)
    return Suspects(rows + top, columns, channels, levels.reshape(-1)[flat])


def _spread_of(
    field: Field, on_progress: Progress
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the robust spread in each block, from it and its eight neighbours, and over all."""
    overall = _overall_spread(field)
    down, across = (-(-length // BLOCK_PX) for length in field.shape[:2])
    totals = np.zeros((down, across, field.shape[2]), np.float32)
    counts = np.zeros((down, across, 1), np.float32)
    edges = np.arange(0, field.shape[1], BLOCK_PX)
    widths = np.diff([*edges, field.shape[1]]).astype(np.float32)
    limit = np.maximum(np.rint(_CLIP * overall), 1)
    for rows in bands_of(field.shape[0]):
        values = field.values(rows)
        size = np.minimum(np.abs(values), limit.astype(values.dtype))
        strips = np.arange(0, len(size), BLOCK_PX)
        tall = np.add.reduceat(size, strips, axis=0, dtype=np.int32)
        block = slice(rows.start // BLOCK_PX, rows.start // BLOCK_PX + len(strips))
        totals[block] = np.add.reduceat(tall, edges, axis=1)
        counts[block] = (np.diff([*strips, len(size)])[:, None] * widths)[..., None]
        on_progress()
    sigma = _MEAN_ABS_TO_SIGMA * _neighbourhood(totals) / _neighbourhood(counts)
    return np.maximum(sigma, _FLOOR * overall).astype(np.float32), overall


def _phases_of(
    field: Field, sigma: npt.NDArray[np.float32], on_progress: Progress
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return bias and scale, (16, 16, channels), of each position within a block.

    The colour filter's 2 x 2 and JPEG's 8 x 8 and 16 x 16 give each position its own noise and its
    own small bias, which more photos make more significant: so both are learned from the frame. A
    frame too small to learn from has none.
    """
    height, width, channels = field.shape
    blocks = (height // BLOCK_PX) * (width // BLOCK_PX)
    total = np.zeros((BLOCK_PX, BLOCK_PX, channels))
    if blocks < _LEAST_BLOCKS:
        return total.astype(np.float32), np.ones(total.shape, np.float32)
    size = np.zeros_like(total)
    counted = 0
    bands = [rows for rows in bands_of(height) if rows.stop - rows.start >= BLOCK_PX]
    for rows in bands[:: max(1, blocks // _ENOUGH_BLOCKS)]:
        level = np.clip(_levels(field, sigma, rows), -_CLIP, _CLIP)
        down, across = len(level) // BLOCK_PX, width // BLOCK_PX
        whole = level[: down * BLOCK_PX, : across * BLOCK_PX]
        tiled = whole.reshape(down, BLOCK_PX, across, BLOCK_PX, channels)
        total += tiled.sum(axis=(0, 2))
        size += np.abs(tiled).sum(axis=(0, 2))
        counted += down * across
        on_progress()
    scale = np.maximum(_MEAN_ABS_TO_SIGMA * size / counted, 0.3)
    return (total / counted).astype(np.float32), scale.astype(np.float32)


def joined(parts: list[Suspects]) -> Suspects:
    """Return all of them as one."""
    return Suspects(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.columns for part in parts]),
        np.concatenate([part.channels for part in parts]),
        np.concatenate([part.levels for part in parts]),
    )


def _null_of(suspects: Suspects, subpixels: int, shape: tuple[int, int, int], photos: int) -> Null:
    """Fit the null to the suspects, leaving out what stands round a clear defect.

    A defect spoils its block, so blocks that hold a level beyond any good subpixel's are left out,
    and the fit is repeated until no more are.
    """
    down, across = (-(-length // BLOCK_PX) for length in shape[:2])
    block = suspects.rows // BLOCK_PX * across + suspects.columns // BLOCK_PX
    greatest = np.zeros(down * across, np.float32)
    np.maximum.at(greatest, block, np.abs(suspects.levels))
    limit = _SURELY_BAD
    null = fitted(np.abs(suspects.levels), _SCREEN, subpixels)
    for _ in range(8):
        clear = greatest > limit
        share = float(clear.mean())
        good = round(subpixels * max(1 - share, 0.1))
        null = _of_the_cleaner_side(suspects.levels[~clear[block]], good)
        again = max(null.level(0.3), _SCREEN + 1)
        if abs(again - limit) < 0.02:
            break
        limit = again
    return null.of_few(photos)


def _of_the_cleaner_side(levels: npt.NDArray[np.float32], good: int) -> Null:
    """Fit both sides together, unless one is so full of defects that it shows no good tail.

    Raw data of an old sensor has thousands of warm pixels, which are a continuum; good pixels stand
    off to either side alike.
    """
    both = fitted(np.abs(levels), _SCREEN, good)
    if both.power >= _NO_TAIL or not (levels < 0).any():
        return both
    sides = [fitted(side[side > 0], _SCREEN, good // 2) for side in (levels, -levels)]
    cleaner = max(sides, key=lambda null: null.power)
    if cleaner.power < _GOOD_TAIL:
        return both
    return replace(cleaner, subpixels=float(good), one_sided=True)


def _levels(field: Field, sigma: npt.NDArray[np.float32], rows: slice) -> npt.NDArray[np.float32]:
    """Return (rows, width, channels): the values in their blocks' spreads."""
    values = field.values(rows)
    blocks = 1 / sigma[rows.start // BLOCK_PX : -(-rows.stop // BLOCK_PX)]
    wide = np.repeat(np.repeat(blocks, BLOCK_PX, 0), BLOCK_PX, 1)[: len(values), : values.shape[1]]
    levels: npt.NDArray[np.float32] = np.multiply(values, wide, dtype=np.float32)
    return levels


def _overall_spread(field: Field) -> npt.NDArray[np.float32]:
    """Return each channel's robust spread from a sample of rows."""
    height, width, _ = field.shape
    step = max(1, height * width // 250_000)
    sample = np.concatenate(
        [field.values(slice(row, row + 1)) for row in range(step // 2, height, step)]
    )
    middle = np.median(sample, axis=(0, 1))
    sigma = 1.4826 * np.median(np.abs(sample - middle), axis=(0, 1))
    overall: npt.NDArray[np.float32] = np.maximum(sigma, 1.0).astype(np.float32)
    return overall


def _neighbourhood(blocks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    wide = np.pad(blocks, ((1, 1), (1, 1), (0, 0)))
    down, across = blocks.shape[:2]
    total = np.zeros_like(blocks)
    for row in range(3):
        for column in range(3):
            total += wide[row : row + down, column : column + across]
    return total
