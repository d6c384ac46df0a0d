"""Defects and a frame make a patch: which pixels of this photo are repaired, and to what."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from hotpixeld.core.defects import FootprintPixel
from hotpixeld.core.patch import Patch
from hotpixeld.core.piece import Frame, Spots, cut
from hotpixeld.core.spoiled import Footprint, spots_of

When = Literal["visible", "always"]

_PIECE_PX = 9  # long spots are solved piece by piece


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
    changed: dict[tuple[int, int], npt.NDArray[np.float64]] = {}
    for spot in spots.all:
        cuts = [cut(frame, box, spot, spots) for box in spot.box.pieces(_PIECE_PX)]
        pieces = [piece for piece in cuts if piece is not None]
        if when == "always" or any(piece.shows(spot.predicted) for piece in pieces):
            for piece in pieces:
                changed |= piece.repaired(settled=when == "visible")
    return _patch(frame, changed)


def _patch(frame: Frame, changed: dict[tuple[int, int], npt.NDArray[np.float64]]) -> Patch:
    places = np.array(sorted(changed), np.intp).reshape(-1, 2)
    rows, columns = places[:, 0], places[:, 1]
    values = frame[rows, columns]
    limits = np.iinfo(frame.dtype)
    for index, place in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        values[index] = np.clip(np.rint(changed[place]), limits.min, limits.max)
    differs = (values != frame[rows, columns]).any(axis=1)
    return Patch(rows[differs], columns[differs], values[differs])


def footprint_at(frame: Frame, row: int, column: int) -> tuple[FootprintPixel, ...]:
    """Choose the pixels that a defect at a known position spoils in this photo.

    Returns
    -------
    tuple of FootprintPixel
        The pixel itself, and those within 3 pixels that stand off what the surroundings predict;
        ``excess_dn`` is by how much, in this photo.

    Raises
    ------
    ValueError
        The position lies outside the frame.
    """
    height, width, channels = frame.shape
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"({column},{row}) lies outside {width}x{height} pixels")
    alone = FootprintPixel(row, column, (1.0,) * channels, (True,) * channels)
    spots = Spots(spots_of([[alone]], [1.0], frame.shape))
    (spot,) = spots.all
    piece = cut(frame, spot.box, spot, spots)
    if piece is None:
        return (alone,)
    excess = piece.excess_dn(row, column)
    found = np.abs(excess) >= piece.unit_dn
    found[row - piece.window.top, column - piece.window.left] = True
    return tuple(
        FootprintPixel(
            int(r) + piece.window.top,
            int(c) + piece.window.left,
            tuple(excess[r, c].tolist()),
            tuple(found[r, c].tolist()),
        )
        for r, c in np.argwhere(found.any(axis=2))
    )
