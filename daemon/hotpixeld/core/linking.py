"""Two geometries of one body: portraits stored rotated, other sizes; told by their defects.

Moments of different geometries stay apart; what is linked here is only their defect maps, so that
each can inform the other. And the opposite: photos that claim one body and show two.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from hotpixeld.core.observe import SHOWN

Turn = Literal["none", "clockwise", "half", "anticlockwise"]
Site = tuple[int, int]
Size = tuple[int, int]

TURNS: tuple[Turn, ...] = ("none", "clockwise", "half", "anticlockwise")
BY_CHANCE = 1e-4  # a link that chance makes more often than this is none
_ASPECT = 0.01


@dataclass(frozen=True)
class Link:
    """How one defect map becomes another.

    Attributes
    ----------
    turn : str
        How the first frame is turned to lie on the second.
    scale : float
        Then this many pixels of the second to one of the first.
    pairs : tuple of (int, int)
        Positions in both maps of the defects that match.
    by_chance : float
        The probability of so many matches between unrelated maps.
    """

    turn: Turn
    scale: float
    pairs: tuple[tuple[int, int], ...]
    by_chance: float


def turned(site: Site, size: Size, turn: Turn) -> Site:
    """Return where (row, column) of a frame of ``size`` (height, width) lies after the turn."""
    row, column = site
    height, width = size
    return {
        "none": (row, column),
        "clockwise": (column, height - 1 - row),
        "half": (height - 1 - row, width - 1 - column),
        "anticlockwise": (width - 1 - column, row),
    }[turn]


def link(one: Sequence[Site], size: Size, other: Sequence[Site], other_size: Size) -> Link | None:
    """Return how map ``one`` lies on map ``other``, or None where they do not show one body.

    Parameters
    ----------
    one, other : sequences of (row, column)
        Confirmed defects of two sensors.
    size, other_size : (height, width)
        Of their frames.
    """
    links = [
        found
        for turn in TURNS
        if (found := _with_turn(one, size, other, other_size, turn)) is not None
    ]
    return min(links, key=lambda found: found.by_chance, default=None)


def carried(site: Site, size: Size, found: Link) -> Site:
    """Return where a defect of the first map lies in the second."""
    row, column = turned(site, size, found.turn)
    return round((row + 0.5) * found.scale - 0.5), round((column + 0.5) * found.scale - 0.5)


def _with_turn(
    one: Sequence[Site], size: Size, other: Sequence[Site], other_size: Size, turn: Turn
) -> Link | None:
    upright = size if turn in ("none", "half") else (size[1], size[0])
    scale = other_size[0] / upright[0]
    if abs(scale - other_size[1] / upright[1]) > _ASPECT * scale:
        return None
    if turn == "none" and size == other_size:
        return None  # the same geometry is another body, or the same sensor
    reach_px = 1 if scale == 1 else 1 + math.ceil(scale)
    candidate = Link(turn, scale, (), 1.0)
    places = np.array([carried(site, size, candidate) for site in one]).reshape(-1, 2)
    theirs = np.array(other).reshape(-1, 2)
    away = np.abs(places[:, None] - theirs[None]).max(axis=2) if len(one) and len(other) else None
    if away is None:
        return None
    pairs = tuple(
        (number, int(np.argmin(row))) for number, row in enumerate(away) if row.min() <= reach_px
    )
    expected = len(one) * len(other) * (2 * reach_px + 1) ** 2 / (other_size[0] * other_size[1])
    chance = len(TURNS) * _at_least(len(pairs), expected)
    if not pairs or chance > BY_CHANCE or 3 * len(pairs) < min(len(one), len(other)):
        return None
    return Link(turn, scale, pairs, chance)


def _at_least(count: int, expected: float) -> float:
    """Return the probability that a Poisson variable reaches ``count``."""
    if not count:
        return 1.0
    term = math.exp(-expected) * expected**count / math.factorial(min(count, 150))
    return term / max(1e-9, 1 - expected / (count + 1)) if expected < count else 1.0


def visibly_two(shown: npt.NDArray[np.int16]) -> bool:
    """Return True where photos that claim one body show the defects of two, in turns.

    Parameters
    ----------
    shown : (photos, defects) int16
        Residuals as `hotpixeld.core.observe.signed` gives them, in order of capture.

    Notes
    -----
    Two defects contradict each other when each shows in many photos and hardly ever with the other.
    One defect on either side may be a coincidence of scenes; two on both sides are not. One change
    from one set to the other is a repaired camera, not a second one.
    """
    there = shown >= 2 * SHOWN
    photos = len(there)
    if photos < 8:
        return False
    often = there.mean(axis=0)
    strong = there[:, (often >= 0.2) & (often <= 0.8)].astype(np.int64)
    together = strong.T @ strong
    own = np.diag(together)
    expected = own[:, None] * own[None, :] / photos
    against = (together <= 0.1 * expected) & (expected >= 3)
    opponents = against.sum(axis=1)
    if (opponents >= 2).sum() < 4:
        return False
    first = int(np.argmax(opponents))
    camp = strong[:, first] > 0
    enemies = strong[:, against[first]].any(axis=1)
    order = camp[camp | enemies]
    return int(np.count_nonzero(order[1:] != order[:-1])) > 2
