"""Dark spots that may be dust: a shadow over some pixels, in all colours alike.

A speck on the sensor's glass takes the same share of the light from every colour, over all the
pixels under it. A weak or dead photosite takes it from its own colour; demosaicing spreads that
over its neighbours, but the four at the corners get little of it. Some cameras blur and grey their
photosites more than others: the sensor's own bright spots, which are no dust, show how much. And
where many dark spots are clearly shadows, what could be one is taken for one too.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hotpixeld.core import reasons
from hotpixeld.core.fields import Sums
from hotpixeld.core.spots import Spot

_COLOUR_WEIGHT = 2.7  # a discriminant of made specks (2 to 7 pixels) and weak photosites
_DEEP, _DEEPER, _DEPTH_WEIGHT = 0.2, 0.5, 3.0  # the deeper, the better known are width and colour
_DEEPEST = 0.8  # no dust that is not wide takes so much of the light
_CLEAR = 5.4  # alike enough by itself, where the sensor's bright spots are no more alike ...
_OVER_LONE, _MOST_CLEAR = 0.7, 6.4  # so much more than the sensor's bright spots, up to this, ...
_MOSTLY = 0.3  # where more than this share of the dark spots are, the sensor is dusty, ...
_LIKELY = 4.2  # ... and this is alike enough
_ONE_COLOUR, _FEW_COLOURS = 0.15, 0.3  # of the light that one colour lacks, what the others do
_GREY_COLOURS = 0.75  # of one channel nothing is known
_LUMA = (0.3, 0.59, 0.11)


def may_be_dust(sums: Sums, spots: Sequence[Spot], held: Sequence[str | None]) -> list[bool]:
    """Return for each spot whether it may be a speck's shadow.

    Parameters
    ----------
    sums : Sums
    spots : sequence of Spot
        Those that are sure.
    held : sequence of str or None
        Why they are held back already; a dark one that is `SMEARED` is dust.
    """
    likeness = np.array([_likeness(sums, spot) for spot in spots])
    dark = np.array([spot.kind == "dead" for spot in spots], bool)
    free = np.array([reason is None for reason in held], bool)
    clear = _CLEAR
    if (~dark & free).any():
        lone = float(np.median(likeness[~dark & free]))
        clear = float(np.clip(lone + _OVER_LONE, _CLEAR, _MOST_CLEAR))
    deep = np.array([_shares(spot).max() >= _DEEPEST for spot in spots], bool)
    colours = np.array([_colours(spot) for spot in spots])
    wide = np.array([reason == reasons.SMEARED for reason in held], bool)
    doubtful = dark & ~deep
    specks = doubtful & (likeness >= clear) & (colours >= np.where(wide, _FEW_COLOURS, _ONE_COLOUR))
    if specks.sum() > _MOSTLY * doubtful.sum():
        specks = doubtful & (likeness >= _LIKELY)
    dust: list[bool] = specks.tolist()
    return dust


def _likeness(sums: Sums, spot: Spot) -> float:
    """Return how like a shadow a spot is: its width, plus how alike its colours are.

    The width is the sum over the 3 x 3 over the peak: 1 for a lone pixel, 2 to 4 for a demosaiced
    photosite, 4 to 9 for a speck of 3 x 3 and more.
    """
    before = np.array(spot.mean_dn) - spot.excess_dn
    off = _around(sums, spot)
    luma = off @ (np.array(_LUMA) if len(before) == len(_LUMA) else np.ones(len(before)))
    if luma[2, 2] < 0:
        off, luma = -off, -luma
    row, column = divmod(int(np.argmax(luma[1:4, 1:4])), 3)
    square = slice(row, row + 3), slice(column, column + 3)
    peak = float(luma[row + 1, column + 1])
    shares = off[square].sum(axis=(0, 1)) / np.maximum(before, 5)
    if peak <= 0 or shares.max() <= 0:
        return 0.0
    alike = float(shares.min() / shares.max()) if len(shares) > 1 else _GREY_COLOURS
    deep = float(np.clip(_shares(spot).max(), _DEEP, _DEEPER)) - _DEEP
    return float(luma[square].sum()) / peak + _COLOUR_WEIGHT * alike - _DEPTH_WEIGHT * deep


def _shares(spot: Spot) -> npt.NDArray[np.float64]:
    """Return the share of the light that a spot lacks, per channel."""
    excess = np.array(spot.excess_dn)
    lacks: npt.NDArray[np.float64] = -excess / np.maximum(np.array(spot.mean_dn) - excess, 1)
    return lacks


def _colours(spot: Spot) -> float:
    """Return how much of the light the colour lacks that lacks least, by that which lacks most."""
    before = np.maximum(np.array(spot.mean_dn) - spot.excess_dn, 5)
    lacks = -np.sum([pixel.excess_dn for pixel in spot.footprint], axis=0) / before
    return float(lacks.min() / max(lacks.max(), 1e-6)) if len(lacks) > 1 else 1.0


def _around(sums: Sums, spot: Spot) -> npt.NDArray[np.float64]:
    """Return (5, 5, channels) of the summed residuals, 0 beyond the frame."""
    around = np.zeros((5, 5, sums.shape[2]))
    top, left = max(0, 2 - spot.row), max(0, 2 - spot.column)
    rows = slice(max(0, spot.row - 2), spot.row + 3)
    columns = slice(max(0, spot.column - 2), spot.column + 3)
    part = sums.residuals((rows, columns))
    around[top : top + part.shape[0], left : left + part.shape[1]] = part
    return around
