"""The third accumulator: how far a subpixel stands off its neighbours, in local spreads.

A flat sky tells more about a pixel than foliage does, so each photo's residual is divided by the
spread of the residuals around it before it is summed. All of it is integer arithmetic, defined
here once, so that every implementation gives the same bits (`STATISTICS_VERSION`):

1. v: the value; of 16-bit frames v >> 4. Outside the frame the picture is mirrored (without
   repeating the edge).
2. Four pairs of opposite neighbours at distance 2 (vertical, horizontal, both diagonals), each
   summed; e = the sum of the middle two pairs (all four less the least and the greatest): four
   times a median of directional means, which follows edges and leaves the footprint out.
3. r = 4 v - e.
4. a = the sum over the channels of min(|r| >> k, c), k = 0 for 8 bits and 2 for 16, c = 1310 over
   the number of channels (rounded down); S = the sum of a over the 7 x 7 pixels around less that
   over the 3 x 3: a defect does not count among its own surroundings.
5. z = (r * I[S] + 2048) >> 12, where I[S] is 4096 * 640 n / ((S + 160 n) << k) rounded half up, n
   the number of channels: r over (the mean absolute residual around + 1 DN), in units of 1/16.
6. z is clipped to -128..128 (eight spreads), and 0 where e >= 4 * 250 of 255 (clipped white says
   nothing) or e = 0 (black against black).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hotpixeld.core import kernel

STATISTICS_VERSION = 1
RESIDUAL_UNIT = 16  # z in 1/16 of a local spread
RESIDUAL_LIMIT = 8 * RESIDUAL_UNIT

Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Plane = npt.NDArray[np.int16]

_HALO_PX = 5  # 2 for the neighbours of 3 for the spread
_TILE_ROWS, _TILE_COLUMNS = 64, 512  # a tile's planes stay within the cache


def add_residuals(
    frames: Sequence[Frame], total: npt.NDArray[np.signedinteger], rows: slice = slice(None)
) -> None:
    """Add these rows of the residuals of ``frames`` to ``total`` (height, width, channels).

    ``total`` is int32, or int16 where 255 photos at most are added.
    """
    start, stop, _ = rows.indices(total.shape[0])
    for first in range(0, len(frames), kernel.MOST_FRAMES):
        batch = frames[first : first + kernel.MOST_FRAMES]
        if (compiled := kernel.chosen()) is not None:
            laid_out = [kernel.laid_out(frame) for frame in batch]
            compiled.add_residuals(laid_out, total, start, stop)
        else:
            for top in range(start, stop, _TILE_ROWS):
                _add_tiles(batch, total, slice(top, min(stop, top + _TILE_ROWS)))


def _add_tiles(frames: Sequence[Frame], total: npt.NDArray[np.signedinteger], rows: slice) -> None:
    width = total.shape[1]
    for left in range(0, width, _TILE_COLUMNS):
        columns = slice(left, min(width, left + _TILE_COLUMNS))
        sums = [plane.copy() for plane in _planes(frames[0], rows, columns)]
        for frame in frames[1:]:
            for channel, plane in enumerate(_planes(frame, rows, columns)):
                sums[channel] += plane
        for channel, summed in enumerate(sums):
            total[rows, columns, channel] += summed


def residual_rows(frame: Frame, rows: slice = slice(None)) -> Plane:
    """Return one frame's residuals z of these rows.

    Parameters
    ----------
    frame : (height, width, channels) uint8 or uint16
    rows : slice
        Which rows to return; they depend on the whole frame.

    Returns
    -------
    (rows, width, channels) int16
        In 1/16 of the local spread, -128 to 128; positive where the subpixel is brighter.
    """
    height, width = frame.shape[:2]
    start, stop, _ = rows.indices(height)
    return np.stack(_planes(frame, slice(start, stop), slice(0, width)), axis=2)


def _planes(frame: Frame, rows: slice, columns: slice) -> list[Plane]:
    """Return each channel's residuals of one tile."""
    padded = _with_halo(frame, rows, columns)
    shift, channels = (0 if frame.dtype == np.uint8 else 2), frame.shape[2]
    white = 4 * (250 if frame.dtype == np.uint8 else 250 * 16)
    cap = 1310 // channels
    residuals, spread = [], np.zeros(1, np.int16)
    for channel in range(channels):
        residual, speaks = _standing_off(padded[..., channel], white)
        restless = np.abs(residual)
        if shift:
            restless >>= shift
        np.minimum(restless, cap, out=restless)
        spread = restless if channel == 0 else np.add(spread, restless, out=spread)
        residuals.append(residual[3:-3, 3:-3] * speaks[3:-3, 3:-3])
    weights = _reciprocals(_around(spread), channels, shift)
    return [_weighted(residual, weights) for residual in residuals]


def _standing_off(
    plane: npt.NDArray[np.integer], white: int
) -> tuple[Plane, npt.NDArray[np.bool_]]:
    """Return r, and where it counts; 2 pixels smaller than ``plane`` on each side."""
    values = np.ascontiguousarray(plane, dtype=np.int16)
    height, width = values.shape

    def pair(row: int, column: int) -> Plane:
        one = values[2 + row : height - 2 + row, 2 + column : width - 2 + column]
        other = values[2 - row : height - 2 - row, 2 - column : width - 2 - column]
        return one + other

    a, b, c, d = pair(2, 0), pair(0, 2), pair(2, 2), pair(2, -2)
    lesser, greater = np.minimum(a, b), np.maximum(a, b)
    np.minimum(lesser, np.minimum(c, d), out=lesser)
    np.maximum(greater, np.maximum(c, d), out=greater)
    a += b
    c += d
    a += c
    a -= lesser
    a -= greater
    speaks = (a < white) & (a != 0)
    residual = values[2:-2, 2:-2] << 2
    residual -= a
    return residual, speaks


def _around(a: Plane) -> npt.NDArray[np.uint16]:
    """Return the sum over 7 x 7 less that over 3 x 3; 3 pixels smaller on each side."""
    a = a.view(np.uint16)
    height = len(a) - 6
    two = a[:-1] + a[1:]
    three = two[2 : 2 + height] + a[4 : 4 + height]
    four = two[:-2] + two[2:]
    seven = four[:height] + two[4 : 4 + height] + a[6:]
    width = a.shape[1] - 6
    two = seven[:, :-1] + seven[:, 1:]
    four = two[:, :-2] + two[:, 2:]
    around: npt.NDArray[np.uint16] = four[:, :width] + two[:, 4 : 4 + width]
    around += seven[:, 6:]
    for column in (2, 3, 4):
        around -= three[:, column : column + width]
    return around


def _weighted(residual: Plane, weights: npt.NDArray[np.int32]) -> Plane:
    z = residual * weights
    z += 2048
    z >>= 12
    np.clip(z, -RESIDUAL_LIMIT, RESIDUAL_LIMIT, out=z)
    return z.astype(np.int16)


def _reciprocals(
    around: npt.NDArray[np.uint16], channels: int, shift: int
) -> npt.NDArray[np.int32]:
    """Return I[S]; the 24 bits of a float32 round every one of them rightly."""
    quotient = around.astype(np.float32)
    quotient += np.float32(160 * channels)
    np.divide(np.float32((4096 * 640 * channels) >> shift), quotient, out=quotient)
    quotient += np.float32(0.5)
    return quotient.astype(np.int32)


def _with_halo(frame: Frame, rows: slice, columns: slice) -> npt.NDArray[np.integer]:
    """Return the tile and 5 pixels around it, mirrored where the frame ends; 16 bits become 12."""
    height, width = frame.shape[:2]
    top, bottom = rows.start - _HALO_PX, rows.stop + _HALO_PX
    left, right = columns.start - _HALO_PX, columns.stop + _HALO_PX
    if top >= 0 and left >= 0 and bottom <= height and right <= width:
        tile: npt.NDArray[np.integer] = frame[top:bottom, left:right]
    else:
        tile = frame[np.ix_(_mirrored(top, bottom, height), _mirrored(left, right, width))]
    return tile >> 4 if frame.dtype == np.uint16 else tile


def _mirrored(start: int, stop: int, length: int) -> npt.NDArray[np.intp]:
    return _folded(np.arange(start, stop), length)


def _folded(positions: npt.NDArray[np.intp], length: int) -> npt.NDArray[np.intp]:
    if length == 1:
        return np.zeros_like(positions)
    period = 2 * (length - 1)
    folded = np.abs(positions) % period
    mirrored: npt.NDArray[np.intp] = np.where(folded < length, folded, period - folded)
    return mirrored


def residual_at(frame: Frame, sites: npt.NDArray[np.intp]) -> npt.NDArray[np.int16]:
    """Return z at some sites: (n, 2) row and column in, (n, channels) out."""
    height, width, channels = frame.shape
    for row, column in np.asarray(sites).tolist():
        if not (0 <= row < height and 0 <= column < width):
            raise ValueError(f"row {row}, column {column} is outside of {height} x {width}")
    if (compiled := kernel.chosen()) is not None:
        laid_out, out = kernel.laid_out(frame), np.zeros((len(sites), channels), np.int32)
        places = np.ascontiguousarray(sites, np.int64)
        compiled.residual_at((laid_out,), places, out)
        return out.astype(np.int16)
    values = np.zeros((len(sites), channels), np.int16)
    for number, (row, column) in enumerate(np.asarray(sites).tolist()):
        tile = _planes(frame, slice(row, row + 1), slice(column, column + 1))
        values[number] = [plane[0, 0] for plane in tile]
    return values


def surroundings_at(frame: Frame, sites: npt.NDArray[np.intp]) -> npt.NDArray[np.int16]:
    """Return what z was measured against at some sites.

    Parameters
    ----------
    frame : (height, width, channels) uint8 or uint16
    sites : (n, 2) intp
        Row and column of each, inside the frame.

    Returns
    -------
    (n, channels + 1) int16
        e of each channel (four times the level; of 16-bit frames of v >> 4), then I[S]; z times
        4096 is (4 v - e) times it.
    """
    height, width, channels = frame.shape
    places = np.asarray(sites, np.intp).reshape(-1, 2)
    side = 2 * _HALO_PX + 1
    steps = np.arange(side) - _HALO_PX
    rows = _folded(places[:, :1] + steps, height)
    columns = _folded(places[:, 1:] + steps, width)
    shift = 0 if frame.dtype == np.uint8 else 2
    tiles = frame[rows[:, :, None], columns[:, None, :]].reshape(-1, side, channels) >> 2 * shift
    found = np.zeros((len(places), channels + 1), np.int16)
    if not len(places):
        return found
    spread = np.zeros(1, np.int16)
    for channel in range(channels):
        residual, _ = _standing_off(tiles[..., channel], 0)
        expected = (tiles[2:-2, 2:-2, channel].astype(np.int16) << 2) - residual
        found[:, channel] = expected[3::side, 3]
        restless = np.minimum(np.abs(residual) >> shift, 1310 // channels)
        spread = restless if channel == 0 else spread + restless
    found[:, channels] = _reciprocals(_around(spread)[::side, 0], channels, shift)
    return found
