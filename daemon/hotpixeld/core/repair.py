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
    places = sorted(changed)
    rows, columns = np.array(places, np.intp).reshape(-1, 2).T
    old = frame[rows, columns]
    limits = np.iinfo(frame.dtype)
    wanted = np.array([changed[place] for place in places]).reshape(old.shape)
    values = np.clip(np.rint(wanted), limits.min, limits.max).astype(frame.dtype)
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
    height, width, channels = frame.shape
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"({column},{row}) lies outside {width}x{height} pixels")
    return (FootprintPixel(row, column, (0.0,) * channels, (True,) * channels),)
