"""What ranking does to every subpixel: sums over blocks, sums over phases, and the screen.

The compiled kernel does the same where it was built (`kernel/screening.c`), to the same bits: sums
are of integers, and what is left of floating point is single operations in one order.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hotpixeld.core import kernel
from hotpixeld.core.spread import bands_of

BLOCK_PX = 16  # one JPEG MCU at most
BAND_ROWS = 2 * BLOCK_PX
PHASE_UNIT = 1 << 14  # the phases' fixed point
MOST_SPREADS = 4  # robust: no subpixel counts more in what is learned from many
MEAN_ABS_TO_SIGMA, MEDIAN_ABS_TO_SIGMA = 1.2533, 1.4826
_PHASE_LIMIT = MOST_SPREADS * PHASE_UNIT
_CHUNK_VALUES = 32_768  # with some temporaries they stay within the cache
_MOST_BLOCKS = 16_384  # sums of so many clipped values stay within 31 bits

Values = npt.NDArray[np.signedinteger]
Blocks = npt.NDArray[np.float32]


def blocks_of(pixels: int) -> int:
    """Return how many blocks cover so many pixels."""
    return -(-pixels // BLOCK_PX)


def block_sums(values: Values, limits: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Sum up each block of a band.

    Parameters
    ----------
    values : (rows, width, channels) int16 or int32
    limits : (channels,) int32
        No value's size counts more.

    Returns
    -------
    (blocks down, blocks across, channels) int32
    """
    rows, width, channels = values.shape
    sums = np.zeros((blocks_of(rows), blocks_of(width), channels), np.int32)
    if (compiled := kernel.chosen()) is not None:
        compiled.block_sums(values, limits, sums)
        return sums
    # sixteen narrow values that are no greater than this do not leave 16 bits
    narrow = values.dtype == np.int16 and int(limits.max()) < 2**15 // BLOCK_PX
    kind = np.int16 if narrow else np.int32
    row_limits = np.tile(limits.astype(kind), width)
    edges = np.arange(0, width, BLOCK_PX)
    for block, row in enumerate(range(0, rows, BLOCK_PX)):
        part = values[row : row + BLOCK_PX].reshape(-1, width * channels)
        tall = np.zeros(width * channels, kind)
        for chunk in _chunks(len(part), width * channels):
            size = np.abs(part[chunk], dtype=kind)
            tall += np.minimum(size, row_limits, out=size).sum(axis=0, dtype=kind)
        np.add.reduceat(
            tall.reshape(width, channels), edges, axis=0, dtype=np.int32, out=sums[block]
        )
    return sums


def phase_sums(
    values: Values, inverse: Blocks
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sum up a band's whole blocks at each position within them.

    Parameters
    ----------
    values : (rows, width, channels) int16 or int32
    inverse : (blocks down, blocks across, channels) float32
        One by the spread in each block.

    Returns
    -------
    total, size : (16, 16, channels) int64
        Of the values in spreads, and of their sizes; in 1/16384, none over four spreads.
    """
    rows, width, channels = values.shape
    shape = BLOCK_PX, BLOCK_PX, channels
    total, sizes = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    if (compiled := kernel.chosen()) is not None:
        compiled.phase_sums(values, inverse, PHASE_UNIT, total, sizes)
        return total, sizes
    across, block = width // BLOCK_PX, BLOCK_PX * channels
    for row in range(0, rows // BLOCK_PX * BLOCK_PX, BLOCK_PX):
        scale = _across(inverse[row // BLOCK_PX] * np.float32(PHASE_UNIT), width)
        for chunk in _chunks(BLOCK_PX, width * channels):
            part = values[row : row + BLOCK_PX][chunk].reshape(-1, width * channels)
            level = part[:, : across * block].astype(np.float32)
            level *= scale[: across * block]
            np.clip(level, -_PHASE_LIMIT, _PHASE_LIMIT, out=level)
            whole = level.astype(np.int32).reshape(len(level), across, block)
            for first in range(0, across, _MOST_BLOCKS):
                some = whole[:, first : first + _MOST_BLOCKS]
                sizes[chunk] += _over_blocks(np.abs(some)).reshape(-1, BLOCK_PX, channels)
                total[chunk] += _over_blocks(some).reshape(-1, BLOCK_PX, channels)
    return total, sizes


def _over_blocks(values: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return the sum over the second of three axes; the values are spoilt.

    One half is added to the other as long as there are two: long rows are added faster than many.
    """
    count = values.shape[1]
    while count > 1:
        half = count // 2
        values[:, :half] += values[:, count - half : count]
        count -= half
    return values[:, :1]


@dataclass(frozen=True)
class Normal:
    """What is normal in a field.

    Attributes
    ----------
    inverse : (blocks down, blocks across, channels) float32
        One by the spread in each block.
    bias, factor : (16, 16, channels) float32
        Of each position within a block: taken off a value in its block's spreads, and multiplied.
    """

    inverse: Blocks
    bias: npt.NDArray[np.float32]
    factor: npt.NDArray[np.float32]

    @functools.cached_property
    def rows(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Bias and factor of a block's 16 rows across the whole frame, and no less."""
        times = 1, self.inverse.shape[1], 1
        bias, factor = np.tile(self.bias, times), np.tile(self.factor, times)
        return bias.reshape(BLOCK_PX, -1), factor.reshape(BLOCK_PX, -1)


@dataclass(frozen=True)
class Screen:
    """Which levels, in local robust spreads, are anybody's suspects.

    Attributes
    ----------
    least : float
        Levels below are not.
    share : float
        What a subpixel's steadiness adds to how far it stands off, ...
    most : float
        ... so much steadiness at most.
    """

    least: float
    share: float
    most: float


@dataclass(frozen=True)
class Beyond:
    """Subpixels beyond the screen, in order.

    Attributes
    ----------
    places : (n,) integers
        In the band or the field, counted through all subpixels.
    levels : (n,) float32
        How far, in local robust spreads, signed.
    """

    places: npt.NDArray[np.integer[Any]]
    levels: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.places)


def screened(
    fields: tuple[npt.NDArray[np.int32], npt.NDArray[np.int16]],
    normals: tuple[Normal, Normal],
    rows: slice,
    screen: Screen,
) -> tuple[Beyond, Beyond]:
    """Return of some whole blocks' rows what stands off, and what is calm.

    Parameters
    ----------
    fields : two (rows, width, channels)
        Summed residuals and steadiness of these rows.
    normals : two Normal
        Theirs.
    rows : slice
        Which rows of the whole frame they are, from a block's first on.
    """
    blocks = slice(rows.start // BLOCK_PX, blocks_of(rows.stop))
    inverses = normals[0].inverse[blocks], normals[1].inverse[blocks]
    size = fields[0].size
    if (compiled := kernel.chosen()) is not None:
        phases = np.stack([part for normal in normals for part in (normal.bias, normal.factor)])
        out, calm_out = _room(size), _room(size)
        limits = screen.least, screen.share, screen.most
        off, calm = compiled.screen(fields, inverses, phases, limits, (out, calm_out))
        return _taken(out, off), _taken(calm_out, calm)
    beyond = list(_screened(fields, normals, inverses, screen))
    return joined([off for off, _ in beyond]), joined([calm for _, calm in beyond])


def _room(size: int) -> kernel.Room:
    return np.empty(size, np.int32), np.empty(size, np.float32)


def _taken(room: kernel.Room, count: int) -> Beyond:
    return Beyond(room[0][:count].copy(), room[1][:count].copy())


def _screened(
    fields: Sequence[Values], normals: Sequence[Normal], inverses: Sequence[Blocks], screen: Screen
) -> Iterator[tuple[Beyond, Beyond]]:
    """Yield what `screened` returns, chunk by chunk, as numpy does it."""
    rows, width, channels = fields[0].shape
    values = width * channels
    for row in range(0, rows, BLOCK_PX):
        wide = [_across(inverse[row // BLOCK_PX], width) for inverse in inverses]
        for chunk in _chunks(min(BLOCK_PX, rows - row), values):
            level, calm = (
                field[row:][chunk].reshape(-1, values).astype(np.float32) for field in fields
            )
            for part, scale, normal in zip((level, calm), wide, normals, strict=True):
                bias, factor = normal.rows
                np.multiply(part, scale, out=part)
                np.subtract(part, bias[chunk, :values], out=part)
                np.multiply(part, factor[chunk, :values], out=part)
            start = (row + chunk.start) * values
            calm_at = np.flatnonzero(calm >= np.float32(screen.least))
            calmer = Beyond(calm_at + start, calm.reshape(-1)[calm_at])
            np.clip(calm, 0, np.float32(screen.most), out=calm)
            calm *= np.float32(screen.share)
            calm += np.abs(level)
            at = np.flatnonzero(calm >= np.float32(screen.least))
            off = np.copysign(calm.reshape(-1)[at], level.reshape(-1)[at])
            yield Beyond(at + start, off), calmer


def _across(blocks: npt.NDArray[np.float32], width: int) -> npt.NDArray[np.float32]:
    """Repeat a row of blocks (n, channels) to the length of a row of subpixels."""
    wide: npt.NDArray[np.float32] = np.repeat(blocks, BLOCK_PX, axis=0)[:width].reshape(-1)
    return wide


def _chunks(rows: int, row_values: int) -> Iterator[slice]:
    yield from bands_of(rows, max(1, _CHUNK_VALUES // max(1, row_values)))


def joined(parts: list[Beyond]) -> Beyond:
    """Return all of them as one."""
    return Beyond(
        np.concatenate([part.places for part in parts]),
        np.concatenate([part.levels for part in parts]),
    )
