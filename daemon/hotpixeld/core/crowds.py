"""Spots with others of their kind beside them, though few are sure: strokes of a faint text.

What a date, a logo or a watermark burns in is no lone spot. With few photos, or where it is nearly
transparent, few of its pixels are sure; but round each of them many stand off about as much, which
do not where a photosite is bad.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core.evidence import Evidence
from hotpixeld.core.fields import Sums
from hotpixeld.core.spots import Spot

_AROUND_PX = 16  # to either side: a few letters
_OWN_PX = 2  # round a footprint, ringing
_TEXT_PX, _TEXT_HIGH_PX = 45, 8  # a footprint as large and no line may be a short text by itself
_PEAK_PX = 4  # round a peak, at least
_LEAST_LEVEL = 4.0  # of the frame's spread: good pixels are seldom beyond
_SHARE_OF_PEAK = 0.4  # a defect's own JPEG ghosts are fainter
_SURE_COUNTS = 3  # one more sure spot counts like so many pixels; two defects may be neighbours
_MOST = 3  # on made cameras no defect had more


@dataclass(frozen=True)
class Usual:
    """How far pixels stand off in all of the frame.

    Attributes
    ----------
    spread : (channels,) float32
        The robust spread of the summed residuals.
    levels : (n,) float32
        Of the pixels beyond the least level, ascending, in spreads.
    pixels : int
        In all.
    """

    spread: npt.NDArray[np.float32]
    levels: npt.NDArray[np.float32]
    pixels: int

    def elsewhere(self, level: float, seen: int, pixels: int) -> float:
        """Return how many of some pixels would stand off further if they were like all others.

        Of them ``seen`` do.
        """
        beyond = len(self.levels) - int(np.searchsorted(self.levels, level)) - seen
        return pixels * max(0, beyond) / max(1, self.pixels - pixels)


def usual(spread: npt.NDArray[np.float32], off: Evidence) -> Usual:
    """Return what is usual in a frame of which ``off`` is the evidence."""
    levels = np.abs(off.beyond.levels)
    far = np.flatnonzero(levels >= _LEAST_LEVEL)
    height, width, channels = off.shape
    places = off.beyond.places[far] // channels
    firsts = np.flatnonzero(np.diff(places, prepend=-1, append=-1)[:-1])
    greatest = np.maximum.reduceat(levels[far], firsts) if len(far) else levels[:0]
    return Usual(spread, np.sort(greatest), height * width)


def in_crowds(sums: Sums, spots: Sequence[Spot], usual: Usual) -> list[bool]:
    """Return for each of the sure spots whether too many pixels round it stand off like it."""
    peaks = np.array([(spot.row, spot.column) for spot in spots], np.intp).reshape(-1, 2)
    crowded = []
    for number, spot in enumerate(spots):
        near = np.abs(peaks - peaks[number]).max(axis=1) <= _AROUND_PX
        near[number] = False
        crowded.append(_in_crowd(sums, spot, peaks[near], usual))
    return crowded


def _in_crowd(sums: Sums, spot: Spot, beside: npt.NDArray[np.intp], usual: Usual) -> bool:
    top, left = max(0, spot.row - _AROUND_PX), max(0, spot.column - _AROUND_PX)
    window = slice(top, spot.row + _AROUND_PX + 1), slice(left, spot.column + _AROUND_PX + 1)
    levels = (np.abs(sums.residuals(window)) / usual.spread).max(axis=2)
    row, column = spot.row - top, spot.column - left
    peak = float(levels[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].max())
    others = np.ones(levels.shape, bool)
    if not _may_be_text(spot):
        for pixel in spot.footprint:
            _leave_out(others, pixel.row - top, pixel.column - left, _OWN_PX)
    _leave_out(others, row, column, _PEAK_PX)
    for other_row, other_column in beside.tolist():
        _leave_out(others, other_row - top, other_column - left, _PEAK_PX)
    limit = max(_LEAST_LEVEL, _SHARE_OF_PEAK * peak)
    peers = int((levels[others] > limit).sum())
    count = peers + _SURE_COUNTS * len(beside)
    chance = usual.elsewhere(limit, peers, int(others.sum()))
    return bool(count > _MOST + chance + 4 * np.sqrt(chance))


def _may_be_text(spot: Spot) -> bool:
    rows = [pixel.row for pixel in spot.footprint]
    columns = [pixel.column for pixel in spot.footprint]
    across = min(max(rows) - min(rows), max(columns) - min(columns)) + 1
    return len(spot.footprint) >= _TEXT_PX and across >= _TEXT_HIGH_PX


def _leave_out(mask: npt.NDArray[np.bool_], row: int, column: int, by: int) -> None:
    """Take a square round a place from the mask, as far as it lies within."""
    rows = slice(max(0, row - by), max(0, row + by + 1))
    mask[rows, max(0, column - by) : max(0, column + by + 1)] = False
