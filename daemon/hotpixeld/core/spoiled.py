"""Where defects may have spoiled a frame: footprints merged, with the pixels round them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hotpixeld.core.box import Box
from hotpixeld.core.defects import FootprintPixel
from hotpixeld.core.fill import falloff

Footprint = Sequence[FootprintPixel]

#: Offsets of the pixels that a defect may spoil: the 7x7 without its corners.
_REACH_PX = 3
_WITHIN_REACH = np.array([(r, c) for r in range(-3, 4) for c in range(-3, 4) if r**2 + c**2 <= 10])
_LONE_USUAL = falloff(np.hypot(*_WITHIN_REACH.T))
_STRONG = 0.5  # of the greatest excess


@dataclass(frozen=True)
class Spot:
    """One or more footprints that share pixels, and what lies within their reach.

    Attributes
    ----------
    rows, columns : (n,) intp
        Every pixel that may be spoiled.
    profile_dn : (n, channels) float64
        Its learned excess; 0 where none was learned, and in channels that are not spoiled.
    usual : (n, channels) float64
        How far a defect at the strong pixels usually reaches there, 0 to 1; 0 in channels that the
        spot does not spoil.
    predicted : float
        Strength to be expected in this photo, as a factor on the profile.
    learned : bool
        False where nothing but positions is known.
    """

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    profile_dn: npt.NDArray[np.float64]
    usual: npt.NDArray[np.float64]
    predicted: float
    learned: bool

    @cached_property
    def doubtful(self) -> npt.NDArray[np.bool_]:
        """Tell which subpixels (n, channels) may be spoiled."""
        mask: npt.NDArray[np.bool_] = (self.profile_dn != 0) | (self.usual > 0)
        return mask

    @cached_property
    def box(self) -> Box:
        """The smallest box that holds the spot."""
        return Box(
            int(self.rows.min()),
            int(self.columns.min()),
            int(self.rows.max()) + 1,
            int(self.columns.max()) + 1,
        )


def spots_of(
    footprints: Sequence[Footprint], predicted: Sequence[float], shape: tuple[int, ...]
) -> list[Spot]:
    """Merge footprints that share pixels and add what lies within their reach.

    Bare positions are merged where they reach each other. Pixels beyond the frame are passed over,
    and so are footprints without any.
    """
    merged: list[_Merged] = []
    for footprint, own_strength in zip(footprints, predicted, strict=True):
        pixels = {(p.row, p.column): p for p in footprint if _inside(p, shape)}
        strength, bare = own_strength, not any(any(p.excess_dn) for p in footprint)
        apart = []
        for other in merged:
            reached = other.reached if bare and other.bare else other.pixels.keys()
            if reached.isdisjoint(pixels):
                apart.append(other)
                continue
            strength, bare = max(strength, other.strength), bare and other.bare
            for place, pixel in other.pixels.items():
                pixels[place] = _both(pixels[place], pixel) if place in pixels else pixel
        merged = [*apart, _Merged(pixels, strength, bare, shape)] if pixels else apart
    return [_spot(list(each.pixels.values()), each.strength, shape) for each in merged]


@dataclass(frozen=True)
class _Merged:
    """Footprints that are one; ``bare``: only positions are known."""

    pixels: dict[tuple[int, int], FootprintPixel]
    strength: float
    bare: bool
    shape: tuple[int, ...]

    @cached_property
    def reached(self) -> set[tuple[int, int]]:
        """Which pixels it may spoil, were it bare."""
        near = {(row + r, col + c) for row, col in self.pixels for r, c in _WITHIN_REACH.tolist()}
        height, width = self.shape[:2]
        return {(row, col) for row, col in near if 0 <= row < height and 0 <= col < width}


def _inside(pixel: FootprintPixel, shape: tuple[int, ...]) -> bool:
    return 0 <= pixel.row < shape[0] and 0 <= pixel.column < shape[1]


def _both(one: FootprintPixel, other: FootprintPixel) -> FootprintPixel:
    excess = tuple(max(a, b, key=abs) for a, b in zip(one.excess_dn, other.excess_dn, strict=True))
    spoiled = tuple(a or b for a, b in zip(one.spoiled, other.spoiled, strict=True))
    return FootprintPixel(one.row, one.column, excess, spoiled)


def _spot(pixels: list[FootprintPixel], predicted: float, shape: tuple[int, ...]) -> Spot:
    places = np.array([(p.row, p.column) for p in pixels], np.intp)
    spoiled = np.array([p.spoiled for p in pixels], bool)
    excess = np.array([p.excess_dn for p in pixels], np.float64) * spoiled
    learned = bool(excess.any())
    if learned:
        excess[spoiled & (excess == 0)] = 1e-6  # spoiled, though the mean stands off nothing
    elif len(pixels) == 1 and _is_far_within(pixels[0], shape):
        rows, columns = (places + _WITHIN_REACH).T
        usual = _LONE_USUAL[:, None] * spoiled
        return Spot(rows, columns, np.zeros(usual.shape), usual, predicted, learned=False)
    greatest = np.abs(excess).max(axis=1)
    strong = places[greatest >= _STRONG * greatest.max()]
    own = places[:, 0] * shape[1] + places[:, 1]
    numbers = np.unique(np.concatenate([own, _reached(strong, shape)]))
    rows, columns = np.divmod(numbers, shape[1])
    profile = np.zeros((len(rows), shape[2]))
    profile[np.searchsorted(numbers, own)] = excess
    apart = np.hypot(rows[:, None] - strong[:, 0], columns[:, None] - strong[:, 1]).min(axis=1)
    usual = falloff(apart)[:, None] * spoiled.any(axis=0)
    return Spot(rows, columns, profile, usual, predicted, learned)


def _is_far_within(pixel: FootprintPixel, shape: tuple[int, ...]) -> bool:
    """Tell whether all that a defect at the pixel may spoil lies in the frame."""
    down = min(pixel.row, shape[0] - 1 - pixel.row)
    across = min(pixel.column, shape[1] - 1 - pixel.column)
    return min(down, across) >= _REACH_PX


def _reached(strong: npt.NDArray[np.intp], shape: tuple[int, ...]) -> npt.NDArray[np.intp]:
    """Return the flat numbers of the frame's pixels within reach, some more than once."""
    rows, columns = (strong[:, None] + _WITHIN_REACH).reshape(-1, 2).T
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    numbers: npt.NDArray[np.intp] = (rows * shape[1] + columns)[inside]
    return numbers
