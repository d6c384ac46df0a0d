"""Evidence of every subpixel against its surroundings, band by band."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hotpixeld.core.edges import Edges, edges_of
from hotpixeld.core.fields import Field, Progress
from hotpixeld.core.null import Null, fitted
from hotpixeld.core.screening import (
    BAND_ROWS,
    BLOCK_PX,
    MEAN_ABS_TO_SIGMA,
    MEDIAN_ABS_TO_SIGMA,
    MOST_SPREADS,
    PHASE_UNIT,
    Beyond,
    Normal,
    Screen,
    block_sums,
    blocks_of,
    joined,
    phase_sums,
    screened,
)
from hotpixeld.core.spread import Spread, bands_of

_FLOOR = 0.6  # nowhere is the spread taken below this share of the whole channel's
_SCREEN = 2.4  # levels below are nobody's suspects and not part of the tail
_SURELY_BAD = 6.0  # the first guess at what good subpixels do not reach
_STEADY_SHARE, _MOST_STEADY = 0.15, 6.0
_FAR_SHARE = 3e-6  # so few good subpixels are beyond that their loss changes no fit
_NO_TAIL, _GOOD_TAIL = 0.8, 0.83  # powers of the fitted tail
# By how much a tail is heavier for few photos: measured on made cameras without defects, 15 to 40
# photos. A variance of few photos is the more uncertain one.
_FEW_OFF, _FEW_STEADY = 1.5, 3.5
_LEAST_BLOCKS = 200  # to learn the phases from
_ENOUGH_BLOCKS = 20_000


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
    """What is beyond the screen, and the distribution of the good ones."""

    shape: tuple[int, int, int]
    beyond: Beyond
    null: Null

    def suspects(self, score: float) -> Suspects:
        """Return those that reach ``score``."""
        chosen = np.abs(self.beyond.levels) >= self.null.level(score)
        rows, columns, channels = np.unravel_index(
            self.beyond.places[chosen].astype(np.intp), self.shape
        )
        return Suspects(rows, columns, channels, self.beyond.levels[chosen])


def normal_of(
    field: Field, spreads: npt.NDArray[np.float32], spread: Spread, on_progress: Progress
) -> Normal:
    """Return what is normal in a field: its blocks' ``spreads``, each phase's bias and scale."""
    inverse = np.float32(1) / spreads
    bias, scale = _phases_of(field, inverse, spread, on_progress)
    return Normal(inverse, bias, np.float32(1) / scale)


def weighed(
    photos: int,
    fields: tuple[Field, Field],
    normals: tuple[Normal, Normal],
    spread: Spread,
    on_progress: Progress,
) -> tuple["Found", "Found"]:
    """Return what stands off its neighbours, and what varies less than they do.

    ``fields`` are, of so many photos, the summed residuals, as they are or filtered, and
    steadiness. To the first, steadiness adds its share: tone curve and clipping leave a defect less
    room to vary, so that what stands off and is steady besides is surer.
    """
    standing, steadiness = fields
    shape, subpixels = standing.shape, int(np.prod(standing.shape))
    screen = Screen(_SCREEN, _STEADY_SHARE, _MOST_STEADY)
    found = (
        Found(shape, photos, subpixels, _FEW_OFF, []),
        Found(shape, photos, subpixels // 2, _FEW_STEADY, []),
    )
    edges = edges_of(standing, normals[0]), edges_of(steadiness, normals[1])

    def work(rows: slice) -> tuple[_Located, _Located]:
        residual = standing.values(rows).astype(np.int32, copy=False)
        calmness = steadiness.values(rows).astype(np.int16, copy=False)
        off, calm = screened((residual, calmness), normals, rows, screen)
        return _located(off, rows, edges[0]), _located(calm, rows, edges[1])

    for both in spread(work, bands_of(shape[0], BAND_ROWS)):
        for one, band in zip(found, both, strict=True):
            one.bands.append(band)
        on_progress()
    return found


@dataclass(frozen=True)
class _Located:
    """What is beyond the screen, places counted through the whole field, and in which blocks."""

    beyond: Beyond
    blocks: npt.NDArray[np.int32]


def _located(beyond: Beyond, rows: slice, edges: Edges) -> _Located:
    """Return what a band's subpixels are in the whole field."""
    height, width, channels = edges.shape
    row_values = width * channels
    places = np.add(beyond.places, rows.start * row_values, dtype=np.int64)
    eased = edges.eased(Beyond(places, beyond.levels), _SCREEN)
    row, within = np.divmod(eased.places, row_values)
    blocks = row // BLOCK_PX * blocks_of(width) + within // (BLOCK_PX * channels)
    narrow = height * row_values < 2**32
    kept: npt.NDArray[np.integer[Any]] = eased.places.astype(np.uint32 if narrow else np.int64)
    return _Located(Beyond(kept, eased.levels), blocks.astype(np.int32))


@dataclass(frozen=True)
class Found:
    """What is beyond the screen of one evidence, band by band.

    Attributes
    ----------
    shape : (height, width, channels)
    photos, subpixels : int
        How many there are in all; of `subpixels` those that could have been found.
    heavier : float
        By how much the tail is heavier for few photos, as `Null.of_few` takes it.
    bands : list
    """

    shape: tuple[int, int, int]
    photos: int
    subpixels: int
    heavier: float
    bands: list[_Located]

    def evidence(self) -> Evidence:
        """Fit the null, and let go of the bands."""
        beyond = joined([band.beyond for band in self.bands])
        blocks = np.concatenate([band.blocks for band in self.bands])
        self.bands.clear()
        count = blocks_of(self.shape[0]) * blocks_of(self.shape[1])
        null = _null_of(beyond.levels, blocks, count, self.subpixels)
        return Evidence(self.shape, beyond, null.of_few(self.photos, self.heavier))


def block_spreads(
    field: Field, overall: npt.NDArray[np.float32], spread: Spread, on_progress: Progress
) -> npt.NDArray[np.float32]:
    """Return (blocks down, blocks across, channels): the robust spread in each and round it.

    ``overall`` is the field's `overall_spread`.
    """
    height, width, _ = field.shape
    limits = np.maximum(np.rint(MOST_SPREADS * overall), 1).astype(np.int32)

    def work(rows: slice) -> npt.NDArray[np.int32]:
        return block_sums(field.values(rows), limits)

    bands = []
    for sums in spread(work, bands_of(height, BAND_ROWS)):
        bands.append(sums)
        on_progress()
    totals = np.concatenate(bands).astype(np.float32)
    counts = np.outer(_lengths(height), _lengths(width))[..., None].astype(np.float32)
    sigma = MEAN_ABS_TO_SIGMA * _neighbourhood(totals) / _neighbourhood(counts)
    floored: npt.NDArray[np.float32] = np.maximum(sigma, _FLOOR * overall).astype(np.float32)
    return floored


def _lengths(pixels: int) -> npt.NDArray[np.intp]:
    """Return the lengths of the blocks that cover so many pixels."""
    return np.diff([*range(0, pixels, BLOCK_PX), pixels])


def _phases_of(
    field: Field, inverse: npt.NDArray[np.float32], spread: Spread, on_progress: Progress
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return bias and scale, (16, 16, channels), of each position within a block.

    The colour filter's 2 x 2 and JPEG's 8 x 8 and 16 x 16 give each position its own noise and its
    own small bias, which more photos make more significant: so both are learned from the frame. A
    frame too small to learn from has none.
    """
    height, width, channels = field.shape
    blocks = (height // BLOCK_PX) * (width // BLOCK_PX)
    total = np.zeros((BLOCK_PX, BLOCK_PX, channels), np.int64)
    size = np.zeros_like(total)
    if blocks < _LEAST_BLOCKS:
        return total.astype(np.float32), np.ones(total.shape, np.float32)
    bands = [rows for rows in bands_of(height, BAND_ROWS) if rows.stop - rows.start >= BLOCK_PX]
    bands = bands[:: max(1, blocks // _ENOUGH_BLOCKS)]

    def work(rows: slice) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        block = slice(rows.start // BLOCK_PX, blocks_of(rows.stop))
        return phase_sums(field.values(rows), inverse[block])

    for more_total, more_size in spread(work, bands):
        total += more_total
        size += more_size
        on_progress()
    rows = sum((rows.stop - rows.start) // BLOCK_PX for rows in bands)
    counted = PHASE_UNIT * rows * (width // BLOCK_PX)
    scale = np.maximum(MEAN_ABS_TO_SIGMA * size / counted, 0.3)
    return (total / counted).astype(np.float32), scale.astype(np.float32)


def _null_of(
    levels: npt.NDArray[np.float32],
    block: npt.NDArray[np.int32],
    blocks: int,
    subpixels: int,
) -> Null:
    """Fit the null to what is beyond the screen, leaving out what stands round a clear defect.

    A defect spoils its block, so blocks that hold a level beyond any good subpixel's are left out,
    and the fit is repeated until no more are.
    """
    sizes = np.abs(levels)
    ordered = np.sort(sizes)
    greatest = np.zeros(blocks, np.float32)
    great = np.flatnonzero(sizes > _SCREEN + 1)  # no limit is below
    np.maximum.at(greatest, block[great], sizes[great])
    surely = min(0.3, -np.log10(_FAR_SHARE * max(subpixels, 1)))
    limit = _SURELY_BAD
    for _ in range(8):
        clear = greatest > limit
        share = float(clear.mean())
        good = round(subpixels * max(1 - share, 0.1))
        left_out = clear.take(block)
        null = fitted(_without(ordered, sizes[left_out]), _SCREEN, good)
        if null.power < _NO_TAIL:
            null = _of_the_cleaner_side(levels[~left_out], null)
        again = max(null.level(surely), _SCREEN + 1)
        if abs(again - limit) < 0.02:
            break
        limit = again
    return null


def _without(
    ordered: npt.NDArray[np.float32], some: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the ascending values without ``some`` of them, equal ones being alike."""
    taken = np.sort(some)
    again = np.arange(len(taken)) - np.searchsorted(taken, taken)
    return np.delete(ordered, np.searchsorted(ordered, taken) + again)


def _of_the_cleaner_side(levels: npt.NDArray[np.float32], both: Null) -> Null:
    """Fit either side, where both together are so full of defects that they show no good tail.

    Raw data of an old sensor has thousands of warm pixels, which are a continuum; good pixels stand
    off to either side alike.
    """
    if not (levels < 0).any():
        return both
    good = round(both.subpixels)
    sides = [fitted(np.sort(side[side > 0]), _SCREEN, good // 2) for side in (levels, -levels)]
    cleaner = max(sides, key=lambda null: null.power)
    if cleaner.power < _GOOD_TAIL:
        return both
    return replace(cleaner, subpixels=float(good), one_sided=True)


def every_suspect(parts: Sequence[Suspects]) -> Suspects:
    """Return all of them as one."""
    return Suspects(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.columns for part in parts]),
        np.concatenate([part.channels for part in parts]),
        np.concatenate([part.levels for part in parts]),
    )


def overall_spread(field: Field) -> npt.NDArray[np.float32]:
    """Return each channel's robust spread from a sample of rows."""
    height, width, channels = field.shape
    step = max(1, height * width // 250_000)
    rows = [field.values(slice(row, row + 1)) for row in range(step // 2, height, step)]
    sample = np.concatenate(rows).reshape(-1, channels).astype(np.int32)
    sigma = np.empty(channels)
    for channel in range(channels):
        values = sample[:, channel] - sample[:, channel].min()
        from_median = np.abs(2 * values - _twice_the_median(values))
        sigma[channel] = MEDIAN_ABS_TO_SIGMA * _twice_the_median(from_median) / 4
    overall: npt.NDArray[np.float32] = np.maximum(sigma, 1.0).astype(np.float32)
    return overall


def _twice_the_median(values: npt.NDArray[np.int32]) -> int:
    """Return it of numbers that are not negative, so that it is whole; faster than by order."""
    up_to = np.cumsum(np.bincount(values))
    middle = (len(values) + 1) // 2, len(values) // 2 + 1
    return int(np.searchsorted(up_to, middle).sum())


def _neighbourhood(blocks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    wide = np.pad(blocks, ((1, 1), (1, 1), (0, 0)))
    down, across = blocks.shape[:2]
    total = np.zeros_like(blocks)
    for row in range(3):
        for column in range(3):
            total += wide[row : row + down, column : column + across]
    return total
