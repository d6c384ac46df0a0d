"""Defects and a frame make a patch: which pixels of this photo are repaired, and to what."""

from collections.abc import Sequence
from itertools import chain, islice
from typing import Literal

import numpy as np

from hotpixeld.core.box import Box
from hotpixeld.core.defects import FootprintPixel
from hotpixeld.core.patch import Patch
from hotpixeld.core.piece import Changes, Frame, Spots, cut, seen_round
from hotpixeld.core.spoiled import Footprint, spots_of

When = Literal["visible", "always"]

_PIECE_PX = 9  # long spots are solved piece by piece
_TOGETHER = 16  # spots: enough that many lie alike, few enough to be held in memory


def repair_patch(
    frame: Frame,
    footprints: Sequence[Footprint],
    *,
    when: When,
    predicted: Sequence[float] | None = None,
) -> Patch:
    """Repair the defects of one photo.

    Parameters
    ----------
    frame : (height, width, channels) uint8 or uint16
    footprints : sequence of footprints
        Of every known defect; pixels beyond the frame are passed over.
    when : str
        ``visible``: only defects that show in this photo; ``always``: all.
    predicted : sequence of float, optional
        For each footprint how strong exposure and ISO let one expect it, as a factor on its
        ``excess_dn``; 1 where nothing is known.

    Returns
    -------
    Patch
        Only pixels that change; empty: the photo is unaffected.
    """
    spots = Spots(spots_of(footprints, predicted or [1.0] * len(footprints), frame.shape))
    changed: list[Changes] = []
    for start in range(0, len(spots.all), _TOGETHER):
        some = spots.all[start : start + _TOGETHER]
        boxes = [[(box, spot) for box in spot.box.pieces(_PIECE_PX)] for spot in some]
        cuts = iter(cut(frame, list(chain.from_iterable(boxes)), spots))
        for spot, own in zip(some, boxes, strict=True):
            pieces = [piece for piece in islice(cuts, len(own)) if piece is not None]
            if when == "always" or any(piece.shows(spot.predicted) for piece in pieces):
                changed += [piece.repaired(settled=when == "visible") for piece in pieces]
    return _patch(frame, changed)


def seen_for(footprints: Sequence[Footprint], shape: tuple[int, ...]) -> list[Box]:
    """Return the parts of a frame of ``shape`` outside of which `repair_patch` reads nothing."""
    spots = spots_of(footprints, [1.0] * len(footprints), shape)
    return [seen_round(spot.box, shape) for spot in spots]


def _patch(frame: Frame, changed: Sequence[Changes]) -> Patch:
    """Join the changes; where several change a pixel, the last one holds."""
    if not changed:
        none = np.zeros(0, np.intp)
        return Patch(none, none, frame[none, none])
    rows, columns, wanted = (np.concatenate(axis[::-1]) for axis in zip(*changed, strict=True))
    numbers, firsts = np.unique(rows * frame.shape[1] + columns, return_index=True)
    rows, columns = np.divmod(numbers, frame.shape[1])
    old = frame[rows, columns]
    limits = np.iinfo(frame.dtype)
    values = np.clip(np.rint(wanted[firsts]), limits.min, limits.max).astype(frame.dtype)
    differs = (values != old).any(axis=1)
    return Patch(rows[differs], columns[differs], values[differs])


def footprint_at(frame: Frame, row: int, column: int) -> tuple[FootprintPixel, ...]:
    """Return the footprint of a defect of which nothing but the position is known.

    `repair_patch` finds what it spoils in each photo.

    Raises
    ------
    ValueError
        The position lies outside the frame.
    """
    return bare_footprint(frame.shape, row, column)


def bare_footprint(shape: tuple[int, ...], row: int, column: int) -> tuple[FootprintPixel, ...]:
    """Do as `footprint_at` for a frame of ``shape``, (height, width, channels)."""
    height, width, channels = shape
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"({column},{row}) lies outside {width}x{height} pixels")
    return (FootprintPixel(row, column, (0.0,) * channels, (True,) * channels),)
