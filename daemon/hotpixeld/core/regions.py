"""What fills a region is no defect: date stamps, logos, watermarks, borders, bars."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hotpixeld.core import reasons
from hotpixeld.core.crowds import Usual, in_crowds
from hotpixeld.core.fields import Sums
from hotpixeld.core.shadows import may_be_dust
from hotpixeld.core.spots import Spot

_LINK_PX = 8  # strokes of one text are nearer than this
_CROWD = 5  # so many spots linked together, sure or not, are no accident where there are few
_LARGE_PX = (
    80  # a spot with more pixels than this, or more than the next that stand off by half ...
)
_LARGE_CORE_PX = 25  # ... is none, unless it is a line a few pixels wide
_DARK_CORE_PX = 12  # one photosite fills 3 x 3 at most: a shadow on more may well be dust ...
_SHADOW_LIGHT = 0.5  # ... which lets light through; a group of dead pixels is darker than this
_LINE_PX = 5  # a bad column spoils no more than this across, with demosaicing
_LONG_PX = 20
_OPPOSITE = 0.25  # of the strength, and no less than ...
_OPPOSITE_DN = 15.0  # ... this: a photosite moves no two colours so far apart, nor chance
_ASIDE_PX = 12  # what is this near a region belongs to it


def held_back(sums: Sums, spots: Sequence[Spot], usual: Usual, *, sure: float) -> list[str | None]:
    """Return for each spot the reason to hold it back, or None: regions, dust, crowds.

    Spots with ``sure`` scores are judged; the others, which are not confirmed anyway, tell of the
    regions that they are part of.
    """
    held = held_regions(spots, sums.shape, sure=sure)
    surely = [number for number, spot in enumerate(spots) if spot.score >= sure]
    chosen = [spots[number] for number in surely]
    for number, crowd in zip(surely, in_crowds(sums, chosen, usual), strict=True):
        if (crowd or _pulls_to_a_colour(spots[number])) and held[number] is None:
            held[number] = reasons.REGION
    held = _with_what_is_beside(held, spots)
    dust = may_be_dust(sums, chosen, [held[number] for number in surely])
    for number, dusty in zip(surely, dust, strict=True):
        if dusty and held[number] is None:
            held[number] = reasons.SHADOW
    return held


def held_regions(
    spots: Sequence[Spot], shape: tuple[int, int, int], *, sure: float
) -> list[str | None]:
    """Return for each spot the reason to hold it back, or None.

    Spots with ``sure`` scores make a region. Of a faint one few strokes are sure with few photos,
    so the others, which are not, count among its crowd.
    """
    if not spots:
        return []
    shapes = [_own_shape(spot, shape) for spot in spots]
    surely = [spot.score >= sure for spot in spots]
    held = [reason if counts else None for reason, counts in zip(shapes, surely, strict=True)]
    small = np.array([reason is None for reason in shapes])  # a border's box is the whole frame
    gaps = _gaps(np.array([_box(spot) for spot in spots]))
    chance = len(spots) / (shape[0] * shape[1]) * (2 * _LINK_PX + 5) ** 2
    for crowd in _linked((gaps <= _LINK_PX) & small & small[:, None]):
        any_sure = any(surely[number] for number in crowd)
        if any_sure and len(crowd) >= _CROWD + round(40 * chance):
            for number in crowd:
                held[number] = reasons.REGION
    return _with_what_is_beside(held, spots)


def _own_shape(spot: Spot, shape: tuple[int, int, int]) -> str | None:
    top, left, bottom, right = _box(spot)
    tall, wide = bottom - top + 1, right - left + 1
    if max(tall, wide) >= _LONG_PX:
        lying = top <= 2 or bottom >= shape[0] - 3
        standing = left <= 2 or right >= shape[1] - 3
        if lying if wide > tall else standing:
            return reasons.BORDER
        return None if min(tall, wide) <= _LINE_PX else reasons.REGION
    if len(spot.footprint) > _LARGE_PX:
        return reasons.REGION
    largest = _DARK_CORE_PX if _is_shadow(spot) else _LARGE_CORE_PX
    return reasons.SMEARED if spot.half_area_px > largest else None


def _pulls_to_a_colour(spot: Spot) -> bool:
    """Return True for what makes one colour brighter and another darker, as coloured text does."""
    lesser = min(max(spot.excess_dn), -min(spot.excess_dn))
    return lesser >= max(_OPPOSITE_DN, _OPPOSITE * spot.strength_dn)


def _is_shadow(spot: Spot) -> bool:
    """Return True for what is always darker, but not so dark as a dead photosite."""
    return spot.kind == "dead" and all(
        mean > _SHADOW_LIGHT * (mean - excess)
        for mean, excess in zip(spot.mean_dn, spot.excess_dn, strict=True)
    )


def _with_what_is_beside(held: list[str | None], spots: Sequence[Spot]) -> list[str | None]:
    """Hold back what lies beside a region too: the rest of the text, fainter strokes."""
    peaks = np.array([(spot.row, spot.column) for spot in spots])
    regions = np.array([reason is not None for reason in held])
    ahead = np.flatnonzero(regions).tolist()
    while ahead:
        region = spots[ahead.pop()]
        top, left, bottom, right = _box(region)
        thickness = len(region.footprint) // max(bottom - top + 1, right - left + 1)
        reach = max(_ASIDE_PX, thickness)
        pixels = np.array([(pixel.row, pixel.column) for pixel in region.footprint])
        away = np.array([np.abs(pixels - peak).max(axis=1).min() for peak in peaks])
        for number in np.flatnonzero((away <= reach) & ~regions).tolist():
            regions[number] = True
            held[number] = reasons.REGION
            ahead.append(number)
    return held


def _box(spot: Spot) -> tuple[int, int, int, int]:
    rows = [pixel.row for pixel in spot.footprint]
    columns = [pixel.column for pixel in spot.footprint]
    return min(rows), min(columns), max(rows), max(columns)


def _gaps(boxes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return (n, n): how many pixels apart the boxes (top, left, bottom, right) are."""
    down = boxes[:, None, 0] - boxes[None, :, 2]
    across = boxes[:, None, 1] - boxes[None, :, 3]
    gaps: npt.NDArray[np.intp] = np.maximum(
        np.maximum(down, down.T), np.maximum(np.maximum(across, across.T), 0)
    )
    return gaps


def _linked(links: npt.NDArray[np.bool_]) -> list[list[int]]:
    """Return the numbers in groups that hang together by ``links`` (n, n)."""
    seen = np.zeros(len(links), bool)
    groups = []
    for first in range(len(links)):
        if seen[first]:
            continue
        seen[first] = True
        group, ahead = [first], [first]
        while ahead:
            for number in np.flatnonzero(links[ahead.pop()] & ~seen).tolist():
                seen[number] = True
                group.append(number)
                ahead.append(number)
        groups.append(group)
    return groups
