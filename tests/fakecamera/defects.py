"""The truth: what is wrong with the fake sensor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Defect:
    """One bad photosite; light is linear, 1 is full scale at ISO 100.

    Attributes
    ----------
    row, column : int
        Where on the sensor, which is where in the stored frame.
    kind : str
        ``stuck`` reads ``level`` whatever the light; ``hot`` adds ``offset`` and ``rate`` per
        second, both times ISO / 100; ``dead`` answers to ``response`` of the light.
    onset, healed : int or None
        The first photo (by index) that has the defect, and the first that has it no more.
    channel : int or None
        None: a photosite of the mosaic. Else it is added to that channel alone, after demosaicing.
    """

    row: int
    column: int
    kind: Literal["stuck", "hot", "dead"] = "stuck"
    level: float = 0.9
    offset: float = 0.0
    rate: float = 0.0
    response: float = 0.0
    onset: int | None = None
    healed: int | None = None
    channel: int | None = None

    def is_there(self, index: int) -> bool:
        """Return True where photo ``index`` has the defect."""
        return (self.onset is None or index >= self.onset) and (
            self.healed is None or index < self.healed
        )

    def read(self, light: float, iso: int, exposure_s: float) -> float:
        """Return what the photosite reads instead of ``light``."""
        if self.kind == "stuck":
            return self.level
        if self.kind == "dead":
            return light * self.response
        return light + (self.offset + self.rate * exposure_s) * iso / 100


def apply(plane: Plane, defects: Sequence[Defect], iso: int, exposure_s: float) -> None:
    """Spoil ``plane`` (height, width) in place."""
    for defect in defects:
        light = float(plane[defect.row, defect.column])
        plane[defect.row, defect.column] = defect.read(light, iso, exposure_s)


def bad_column(column: int, rows: range, level: float = 0.8) -> tuple[Defect, ...]:
    """Return a column's worth of stuck photosites."""
    return tuple(Defect(row, column, "stuck", level=level) for row in rows)


def group(row: int, column: int, height: int, width: int, level: float = 0.9) -> tuple[Defect, ...]:
    """Return ``height`` x ``width`` stuck photosites from (row, column): doublets, 2x2 groups."""
    return tuple(
        Defect(row + r, column + c, "stuck", level=level)
        for r in range(height)
        for c in range(width)
    )


def scattered(
    rng: np.random.Generator,
    height: int,
    width: int,
    count: int,
    *,
    apart_px: int = 40,
    border_px: int = 0,
) -> tuple[Defect, ...]:
    """Return ``count`` defects at random sites, hot and mostly weak, as real sensors have them.

    60 % hot with an offset (log-uniform 0.06 to 3 % of full scale), 15 % hot by exposure,
    15 % stuck anywhere from black to white, 10 % dead or weak.
    """
    taken: list[tuple[int, int]] = []
    found: list[Defect] = []
    for _ in range(200 * count):
        if len(found) == count:
            break
        row = int(rng.integers(border_px, height - border_px))
        column = int(rng.integers(border_px, width - border_px))
        if any(abs(row - r) < apart_px and abs(column - c) < apart_px for r, c in taken):
            continue
        taken.append((row, column))
        draw = rng.random()
        if draw < 0.6:
            offset = float(np.exp(rng.uniform(np.log(0.0006), np.log(0.03))))
            found.append(Defect(row, column, "hot", offset=offset))
        elif draw < 0.75:
            rate = float(np.exp(rng.uniform(np.log(0.02), np.log(1.0))))
            found.append(Defect(row, column, "hot", offset=0.0005, rate=rate))
        elif draw < 0.9:
            found.append(Defect(row, column, "stuck", level=float(rng.uniform(0.0, 1.0))))
        else:
            found.append(Defect(row, column, "dead", response=float(rng.uniform(0.0, 0.6))))
    return tuple(found)
