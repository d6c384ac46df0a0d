"""What fills a region is no defect: date stamps, logos, watermarks, borders, bars."""

from collections.abc import Sequence

from hotpixeld.core import reasons
from hotpixeld.core.spots import Spot

_LINK_PX = 10  # strokes of one text are nearer than this
_CROWD = 6  # so many spots linked together are no accident, on a sensor with few of them
_LARGE_PX = 60  # a spot with more pixels than this, unless it is a line one or two pixels wide
_LINE_PX = 5  # a bad column spoils no more than this across, with demosaicing


def held_regions(
    spots: Sequence[Spot], shape: tuple[int, int, int], *, sure: float
) -> list[str | None]:
    """Return for each spot the reason to hold it back, or None; ``sure`` scores count."""
    held: list[str | None] = [_own_shape(spot, shape) for spot in spots]
    counted = [number for number, spot in enumerate(spots) if spot.score >= sure]
    chance = len(counted) / (shape[0] * shape[1]) * (2 * _LINK_PX + 1) ** 2
    for crowd in _crowds([spots[number] for number in counted]):
        members = [counted[number] for number in crowd]
        if len(members) >= _CROWD + round(40 * chance) or any(held[number] for number in members):
            for number in members:
                held[number] = held[number] or reasons.REGION
    return held


def _own_shape(spot: Spot, shape: tuple[int, int, int]) -> str | None:
    rows = [pixel.row for pixel in spot.footprint]
    columns = [pixel.column for pixel in spot.footprint]
    tall, wide = max(rows) - min(rows) + 1, max(columns) - min(columns) + 1
    if min(tall, wide) > 0 and max(tall, wide) >= 4 * _LINE_PX:
        lying = min(rows) <= 2 or max(rows) >= shape[0] - 3
        standing = min(columns) <= 2 or max(columns) >= shape[1] - 3
        if lying if wide > tall else standing:
            return reasons.BORDER
        return None if min(tall, wide) <= _LINE_PX else reasons.REGION
    return reasons.REGION if len(spot.footprint) > _LARGE_PX else None


def _crowds(spots: Sequence[Spot]) -> list[list[int]]:
    """Return the spots' numbers in groups linked by nearness."""
    cells: dict[tuple[int, int], list[int]] = {}
    for number, spot in enumerate(spots):
        cells.setdefault((spot.row // _LINK_PX, spot.column // _LINK_PX), []).append(number)
    seen: set[int] = set()
    crowds = []
    for first in range(len(spots)):
        if first in seen:
            continue
        seen.add(first)
        crowd, ahead = [first], [first]
        while ahead:
            spot = spots[ahead.pop()]
            cell = (spot.row // _LINK_PX, spot.column // _LINK_PX)
            for row in range(cell[0] - 1, cell[0] + 2):
                for column in range(cell[1] - 1, cell[1] + 2):
                    for other in cells.get((row, column), ()):
                        if other not in seen and _near(spot, spots[other]):
                            seen.add(other)
                            crowd.append(other)
                            ahead.append(other)
        crowds.append(crowd)
    return crowds


def _near(one: Spot, other: Spot) -> bool:
    return max(abs(one.row - other.row), abs(one.column - other.column)) <= _LINK_PX
