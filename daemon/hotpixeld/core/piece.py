"""One small window of a frame, with all that is known of its defects: judged and filled in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hotpixeld.core.fill import Expectation, Field, expectation, field_of
from hotpixeld.core.spoiled import Box, Spot
from hotpixeld.core.visible import Standing, Strength, standing, strength

Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_MARGIN_PX = 2  # good pixels round a piece; measured: more change nothing
_WIDEST_MARGIN_PX = 8
_KNOWN_SHARE = 1 / 3
_SURROUNDINGS_PX = 7
_USUAL_SHARE = 0.3  # how far to trust the usual reach beside the learned profile; measured
_OTHERS = 2.0  # factor on the profile of other defects in the window, whose strength is not fitted
_MEAN, _SPREAD = 0.5, 0.8  # of the fitted profile: what is subtracted, and how surely; measured
_BARE_OTHERS_DN = 100.0  # of other defects of which nothing was learned
_FLOOR_UNITS = 3.0
_UNIT_DN = {np.dtype(np.uint8): 1.0, np.dtype(np.uint16): 16.0}  # 16 bits seldom hold more than 12


class Spots:
    """All spots of a frame, to be asked which lie in a box."""

    def __init__(self, spots: Sequence[Spot]) -> None:
        self.all = spots
        boxes = [spot.box for spot in spots]
        self._edges = np.array([(b.top, b.left, b.bottom, b.right) for b in boxes]).reshape(-1, 4)

    def overlapping(self, box: Box) -> Iterator[Spot]:
        """Yield the spots whose boxes share a pixel with ``box``."""
        top, left, bottom, right = self._edges.T
        down = (top < box.bottom) & (bottom > box.top)
        for index in np.flatnonzero(down & (left < box.right) & (right > box.left)):
            yield self.all[int(index)]


@dataclass(frozen=True)
class Piece:
    """A window round a spot or a part of one.

    Attributes
    ----------
    box : Box
        The part whose pixels are to be repaired.
    window : Box
        The part and the good pixels round it.
    unit_dn : float
        What counts as one DN: all fields below are in this unit.
    values : (height, width, channels) float64
        Of the window.
    expected : Expectation
        Of the n doubtful subpixels of the window.
    profile, usual : (n,) float64
        Of the own spot; 0 where only others are doubtful.
    others : (n,) float64
        Spread that other spots give.
    learned : bool
        False: there is no profile but only the usual reach.
    """

    box: Box
    window: Box
    unit_dn: float
    values: npt.NDArray[np.float64]
    expected: Expectation
    profile: npt.NDArray[np.float64]
    usual: npt.NDArray[np.float64]
    others: npt.NDArray[np.float64]
    learned: bool

    @cached_property
    def strength(self) -> Strength:
        """How strongly the spot's profile stands in this window."""
        return strength(self.expected, self.profile)

    @cached_property
    def standing(self) -> Standing:
        """How far the photo stands off as an unknown defect's would."""
        return standing(self.expected, self.usual, self.others, self.values.shape[2])

    def shows(self, predicted: float) -> bool:
        """Tell whether the spot shows here."""
        if not self.learned:
            return self.standing.shows(floor_dn=_FLOOR_UNITS)
        return self.strength.shows(floor_dn=_FLOOR_UNITS, predicted=predicted)

    def _signal(self, *, settled: bool) -> npt.NDArray[np.float64]:
        """Estimate what the defect adds to each doubtful subpixel."""
        if not self.learned:
            own = self.standing.spread_dn[self.expected.doubtful[2]] * self.usual
            if not own.any():
                return own
            return self.expected.signal(np.zeros_like(own), np.hypot(own, self.others))
        found = self.strength
        learned = found.scale * self.profile
        share = _USUAL_SHARE if abs(found.spreads) >= found.core_spreads else 1.0
        own = np.hypot(_SPREAD * learned, share * found.peak_dn * self.usual)
        signal = self.expected.signal(_MEAN * learned, np.hypot(own, self.others))
        if settled:
            left = strength(self.expected.without(signal), self.profile)
            signal += left.scale * self.profile
        return signal

    def repaired(self, *, settled: bool) -> dict[tuple[int, int], npt.NDArray[np.float64]]:
        """Return the new values (channels,) in DN of those pixels of the box that change.

        ``settled``: nothing of the profile is left, so that the repaired photo shows it no more; it
        costs a little more error where the picture itself looks like the profile.
        """
        rows, columns, channels = self.expected.doubtful
        signal = self._signal(settled=settled)
        result = self.values.copy()
        result[rows, columns, channels] -= signal
        result = self._within_good_range(result)
        own = (self.profile != 0) | (self.usual > 0)
        whole = np.zeros(self.values.shape, bool)
        whole[rows, columns, channels] = own & (np.abs(signal) >= 1)
        result = np.where(whole, result, self.values) * self.unit_dn
        return {
            (row + self.window.top, column + self.window.left): result[row, column]
            for row, column in np.argwhere(whole.any(axis=2)).tolist()
            if self.box.top <= row + self.window.top < self.box.bottom
            and self.box.left <= column + self.window.left < self.box.right
        }

    def _within_good_range(self, result: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Draw changed values to the range of the good ones, widened by the noise."""
        rows, columns, channels = self.expected.doubtful
        good = np.ones(self.values.shape, bool)
        good[rows, columns, channels] = False
        clipped = result.copy()
        for channel in range(self.values.shape[2]):
            held = self.values[..., channel][good[..., channel]]
            if len(held):
                mine = channels == channel
                at = (rows[mine], columns[mine], channel)
                clipped[at] = np.clip(result[at], held.min() - 2, held.max() + 2)
        return clipped


def cut(frame: Frame, box: Box, spot: Spot, spots: Spots) -> Piece | None:
    """Cut the window round ``box`` out of the frame; None: nothing to do, or to tell by."""
    mine = box.within(spot.rows, spot.columns)
    if not spot.doubtful[mine].any():
        return None
    unit_dn = _UNIT_DN[frame.dtype]
    for margin in (_MARGIN_PX, 2 * _MARGIN_PX, _WIDEST_MARGIN_PX):
        window = box.widened(margin, frame.shape)
        profile, usual, others = _laid_out(window, frame.shape[2], spot, spots)
        doubtful = (profile != 0) | (usual > 0) | (others > 0)
        if 1 - doubtful.mean() >= _KNOWN_SHARE:
            break
    if doubtful.all():
        return None
    values = window.of(frame).astype(np.float64) / unit_dn
    expected = expectation(values, doubtful, _field(frame, box, spot, spots, unit_dn))
    return Piece(
        box,
        window,
        unit_dn,
        values,
        expected,
        profile[doubtful] / unit_dn,
        usual[doubtful],
        others[doubtful] / unit_dn,
        spot.learned,
    )


def _laid_out(
    window: Box, channels: int, spot: Spot, spots: Spots
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Lay the spot's profile and usual reach, and the others' spread, on the window."""
    shape = (window.bottom - window.top, window.right - window.left, channels)
    profile, usual, others = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for each in spots.overlapping(window):
        held = window.within(each.rows, each.columns)
        at = (each.rows[held] - window.top, each.columns[held] - window.left)
        if each is spot:
            profile[at], usual[at] = each.profile_dn[held], each.usual[held]
        else:
            others[at] = np.hypot(others[at], _spread_of_other(each)[held])
    return profile, usual, others


def _spread_of_other(spot: Spot) -> npt.NDArray[np.float64]:
    if not spot.learned:
        return _BARE_OTHERS_DN * spot.usual
    peak = np.abs(spot.profile_dn).max()
    spread: npt.NDArray[np.float64] = np.hypot(spot.profile_dn, _USUAL_SHARE * peak * spot.usual)
    return _OTHERS * spread


def _field(frame: Frame, box: Box, spot: Spot, spots: Spots, unit_dn: float) -> Field:
    """Return what the wider surroundings of a box are like."""
    wide = box.widened(_SURROUNDINGS_PX, frame.shape)
    profile, usual, others = _laid_out(wide, frame.shape[2], spot, spots)
    good = (profile == 0) & (usual == 0) & (others == 0)
    return field_of(wide.of(frame).astype(np.float64) / unit_dn, good)
