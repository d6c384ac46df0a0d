"""Defects and a frame make a patch: which pixels of this photo are repaired, and to what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from hotpixeld.core.defects import FootprintPixel
from hotpixeld.core.fill import Mask, Window, fill
from hotpixeld.core.patch import Patch
from hotpixeld.core.visible import FLOOR_DN, noise_dn, shows

Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Footprint = Sequence[FootprintPixel]
When = Literal["visible", "always"]

_MARGIN_PX = 9
_CHOICE_PX = 2  # a footprint is chosen within this distance of the position: 5x5


def repair_patch(frame: Frame, footprints: Sequence[Footprint], *, when: When) -> Patch:
    """Repair the defects of one photo.

    Parameters
    ----------
    frame : (height, width, channels) uint8 or uint16
    footprints : sequence of footprints
        Of every known defect; pixels beyond the frame are passed over.
    when : str
        ``visible``: only defects that show in this photo; ``always``: all.

    Returns
    -------
    Patch
        Empty: the photo is unaffected.
    """
    known = _KnownPixels.of(footprints, frame.shape)
    changed: dict[tuple[int, int], npt.NDArray[np.integer]] = {}
    for group in _groups(footprints, frame.shape):
        view = _View.round(group, frame, known)
        changed |= view.repaired(group, when=when)
    return _patch(frame, changed)


def footprint_at(frame: Frame, row: int, column: int) -> tuple[FootprintPixel, ...]:
    """Choose the pixels that a defect at a known position spoils in this photo.

    The pixel itself in every channel, and in each channel those within 2 pixels that stand off
    what the surroundings predict by more than twice the local spread.

    Raises
    ------
    ValueError
        The position lies outside the frame.
    """
    height, width, channels = frame.shape
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"({column},{row}) lies outside {width}x{height} pixels")
    top, left = max(0, row - _MARGIN_PX), max(0, column - _MARGIN_PX)
    part = frame[top : row + _MARGIN_PX + 1, left : column + _MARGIN_PX + 1].astype(np.float64)
    wanted = np.zeros(part.shape[:2], bool)
    at_row, at_column = row - top, column - left
    wanted[
        max(0, at_row - _CHOICE_PX) : at_row + _CHOICE_PX + 1,
        max(0, at_column - _CHOICE_PX) : at_column + _CHOICE_PX + 1,
    ] = True
    excess = np.stack(
        [part[..., c] - fill(part[..., c], ~wanted, wanted) for c in range(channels)], axis=-1
    )
    spreads = np.array([noise_dn(part[..., c], ~wanted) for c in range(channels)])
    spoiled = (np.abs(excess) > np.maximum(2 * spreads, FLOOR_DN)) & wanted[..., None]
    spoiled[at_row, at_column] = True
    return tuple(
        FootprintPixel(
            int(r) + top,
            int(c) + left,
            tuple(float(value) for value in excess[r, c]),
            tuple(bool(value) for value in spoiled[r, c]),
        )
        for r, c in np.argwhere(spoiled.any(axis=2))
    )


def _patch(frame: Frame, changed: dict[tuple[int, int], npt.NDArray[np.integer]]) -> Patch:
    places = sorted(changed)
    rows = np.array([row for row, _ in places], np.intp)
    columns = np.array([column for _, column in places], np.intp)
    values = frame[rows, columns]
    for index, place in enumerate(places):
        values[index] = changed[place]
    return Patch(rows, columns, values)


def _inside(pixel: FootprintPixel, shape: tuple[int, ...]) -> bool:
    return 0 <= pixel.row < shape[0] and 0 <= pixel.column < shape[1]


def _groups(footprints: Iterable[Footprint], shape: tuple[int, ...]) -> list[list[FootprintPixel]]:
    """Merge footprints that share a pixel; a channel is spoiled if one of them spoils it."""
    groups: list[dict[tuple[int, int], FootprintPixel]] = []
    for footprint in footprints:
        merged = {(p.row, p.column): p for p in footprint if _inside(p, shape)}
        apart = []
        for group in groups:
            if group.keys().isdisjoint(merged):
                apart.append(group)
                continue
            for place, pixel in group.items():
                merged[place] = _both(merged[place], pixel) if place in merged else pixel
        groups = [*apart, merged] if merged else apart
    return [list(group.values()) for group in groups]


def _both(one: FootprintPixel, other: FootprintPixel) -> FootprintPixel:
    excess = tuple(max(a, b, key=abs) for a, b in zip(one.excess_dn, other.excess_dn, strict=True))
    spoiled = tuple(a or b for a, b in zip(one.spoiled, other.spoiled, strict=True))
    return FootprintPixel(one.row, one.column, excess, spoiled)


@dataclass(frozen=True)
class _KnownPixels:
    """Every spoiled pixel of the frame."""

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    spoiled: npt.NDArray[np.bool_]  # (n, channels)

    @classmethod
    def of(cls, footprints: Iterable[Footprint], shape: tuple[int, ...]) -> "_KnownPixels":
        pixels = [p for footprint in footprints for p in footprint if _inside(p, shape)]
        return cls(
            np.array([p.row for p in pixels], np.intp),
            np.array([p.column for p in pixels], np.intp),
            np.array([p.spoiled for p in pixels], bool).reshape(len(pixels), shape[2]),
        )


@dataclass(frozen=True)
class _View:
    """The surroundings of one group of defects.

    Attributes
    ----------
    top, left : int
        Where the view lies in the frame.
    values : (height, width, channels) float64
    good : (height, width, channels) bool
        True where no known defect spoils the subpixel.
    whole : numpy.iinfo
        The range of the frame's values.
    """

    top: int
    left: int
    values: npt.NDArray[np.float64]
    good: npt.NDArray[np.bool_]
    whole: np.iinfo

    @classmethod
    def round(cls, group: Sequence[FootprintPixel], frame: Frame, known: _KnownPixels) -> "_View":
        top = max(0, min(p.row for p in group) - _MARGIN_PX)
        left = max(0, min(p.column for p in group) - _MARGIN_PX)
        bottom = max(p.row for p in group) + _MARGIN_PX + 1
        right = max(p.column for p in group) + _MARGIN_PX + 1
        values = frame[top:bottom, left:right].astype(np.float64)
        good = np.ones(values.shape, bool)
        height, width = values.shape[:2]
        rows, columns = known.rows - top, known.columns - left
        held = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        for row, column, spoiled in zip(
            rows[held], columns[held], known.spoiled[held], strict=True
        ):
            good[row, column, spoiled] = False
        return cls(top, left, values, good, np.iinfo(frame.dtype))

    def repaired(
        self, group: Sequence[FootprintPixel], *, when: When
    ) -> dict[tuple[int, int], npt.NDArray[np.integer]]:
        """Return the new values of the group's pixels in the frame; empty if nothing shows."""
        result = self.values.copy()
        visible = when == "always"
        for channel in range(self.values.shape[2]):
            wanted = np.zeros(self.values.shape[:2], bool)
            for pixel in group:
                if pixel.spoiled[channel]:
                    wanted[pixel.row - self.top, pixel.column - self.left] = True
            visible |= self._fill_channel(result, channel, wanted)
        if not visible:
            return {}
        whole = np.clip(np.rint(result), self.whole.min, self.whole.max).astype(self.whole.dtype)
        return {(p.row, p.column): whole[p.row - self.top, p.column - self.left] for p in group}

    def _fill_channel(self, result: Window, channel: int, wanted: Mask) -> bool:
        values, good = self.values[..., channel], self.good[..., channel]
        result[..., channel] = fill(values, good, wanted)
        residuals = (values - result[..., channel])[wanted]
        floor = FLOOR_DN if self.whole.max == 255 else 0.0
        return shows(residuals, noise_dn(values, good), floor_dn=floor)
