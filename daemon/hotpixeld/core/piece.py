"""One small window of a frame, with all that is known of its defects: judged and filled in."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hotpixeld.core.box import Box
from hotpixeld.core.fill import Expectation, expectations, fields_of
from hotpixeld.core.spoiled import Spot
from hotpixeld.core.visible import Standing, Strength, standings, strength

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
_STACKED = 16  # windows at once: more need more memory and save no time
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


Changes = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class _Bare:
    """Windows of spots of which nothing but positions is known, alike in all but the photo.

    ``usual``, ``others``: (n,) of the doubtful samples.
    """

    expected: Expectation
    usual: npt.NDArray[np.float64]
    others: npt.NDArray[np.float64]
    channels: int

    @cached_property
    def standings(self) -> list[Standing]:
        """How far the photo stands off in each window as an unknown defect's would."""
        return standings(self.expected, self.usual, self.others, self.channels)

    @cached_property
    def signals(self) -> npt.NDArray[np.float64]:
        """What the defects add to the doubtful samples (windows, n)."""
        spreads = np.stack([standing.spread_dn for standing in self.standings])
        own = spreads[:, self.expected.doubtful[2]] * self.usual
        signals = self.expected.signal(np.zeros_like(own), np.hypot(own, self.others))
        signals[~own.any(axis=1)] = 0
        return signals


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
    range_dn : (2, channels) float64
        The least and the greatest good values of the window; of a channel without any, infinite.
    bare : tuple, optional
        Where there is no profile but only the usual reach: the windows that are judged together,
        and which of them this is.
    """

    box: Box
    window: Box
    unit_dn: float
    values: npt.NDArray[np.float64]
    expected: Expectation
    profile: npt.NDArray[np.float64]
    usual: npt.NDArray[np.float64]
    others: npt.NDArray[np.float64]
    range_dn: npt.NDArray[np.float64]
    bare: tuple[_Bare, int] | None

    @cached_property
    def strength(self) -> Strength:
        """How strongly the spot's profile stands in this window."""
        return strength(self.expected, self.profile)

    def shows(self, predicted: float) -> bool:
        """Tell whether the spot shows here."""
        if self.bare is not None:
            group, index = self.bare
            return group.standings[index].shows(floor_dn=_FLOOR_UNITS)
        return self.strength.shows(floor_dn=_FLOOR_UNITS, predicted=predicted)

    def _signal(self, *, settled: bool) -> npt.NDArray[np.float64]:
        """Estimate what the defect adds to each doubtful subpixel."""
        if self.bare is not None:
            group, index = self.bare
            signal: npt.NDArray[np.float64] = group.signals[index]
            return signal
        found = self.strength
        learned = found.scale * self.profile
        # of a profile of one subpixel both are the same but for rounding
        steady = abs(found.spreads) >= found.core_spreads * (1 - 1e-9)
        share = _USUAL_SHARE if steady else 1.0
        own = np.hypot(_SPREAD * learned, share * found.peak_dn * self.usual)
        signal = self.expected.signal(_MEAN * learned, np.hypot(own, self.others))
        if settled:
            left = strength(self.expected.without(signal), self.profile)
            signal += left.scale * self.profile
        return signal

    def repaired(self, *, settled: bool) -> Changes:
        """Return rows, columns (n,) and new values (n, channels) of the box's pixels that change.

        ``settled``: nothing of the profile is left, so that the repaired photo shows it no more; it
        costs a little more error where the picture itself looks like the profile.
        """
        signal = self._signal(settled=settled)
        changes = ((self.profile != 0) | (self.usual > 0)) & (np.abs(signal) >= 1)
        place = tuple(axis[changes] for axis in self.expected.doubtful)
        least, most = self.range_dn[:, place[2]]  # widened by the noise
        result = self.values.copy()
        result[place] = np.clip(result[place] - signal[changes], least - 2, most + 2)
        changed = np.zeros(result.shape[:2], bool)
        changed[place[:2]] = True
        rows, columns = np.nonzero(changed[self.box.within_box(self.window)])
        rows, columns = rows + self.box.top, columns + self.box.left
        values = result[rows - self.window.top, columns - self.window.left] * self.unit_dn
        return rows, columns, values


@dataclass(frozen=True)
class _Laid:
    """What is known of the pixels round a box before the frame is looked at.

    ``profile``, ``usual``, ``others`` and ``doubtful``: (height, width, channels) of the window;
    ``good``: of the surroundings.
    """

    box: Box
    spot: Spot
    window: Box
    profile: npt.NDArray[np.float64]
    usual: npt.NDArray[np.float64]
    others: npt.NDArray[np.float64]
    doubtful: npt.NDArray[np.bool_]
    surroundings: Box
    good: npt.NDArray[np.bool_]

    @property
    def geometry(self) -> tuple[object, ...]:
        """What two must share to be solved together."""
        masks = self.doubtful.shape, self.doubtful.tobytes(), self.good.shape, self.good.tobytes()
        if self.spot.learned:
            return masks
        return *masks, self.usual.tobytes(), self.others.tobytes()


def seen_round(box: Box, shape: tuple[int, ...]) -> Box:
    """Return the part of a frame of ``shape`` outside of which `cut` reads nothing for ``box``."""
    return box.widened(max(_WIDEST_MARGIN_PX, _SURROUNDINGS_PX), shape)


def cut(frame: Frame, boxes: Sequence[tuple[Box, Spot]], spots: Spots) -> list[Piece | None]:
    """Cut the windows round boxes out of the frame; None: nothing to do there, or to tell by."""
    pieces: list[Piece | None] = [None] * len(boxes)
    alike = defaultdict[tuple[object, ...], list[tuple[int, _Laid]]](list)
    for index, (box, spot) in enumerate(boxes):
        laid = _laid_out(frame.shape, box, spot, spots)
        if laid is not None:
            alike[laid.geometry].append((index, laid))
    for group in alike.values():
        for start in range(0, len(group), _STACKED):
            some = group[start : start + _STACKED]
            found = _pieces(frame, [laid for _, laid in some])
            for (index, _), piece in zip(some, found, strict=True):
                pieces[index] = piece
    return pieces


def _pieces(frame: Frame, group: Sequence[_Laid]) -> Iterator[Piece]:
    """Look at the frame where several of the same geometry lie."""
    unit_dn = _UNIT_DN[frame.dtype]
    doubtful, good = group[0].doubtful, group[0].good
    wide = np.stack([laid.surroundings.of(frame) for laid in group]) / unit_dn
    windows = np.stack([laid.window.of(frame) for laid in group]) / unit_dn
    expected = expectations(windows, doubtful, fields_of(wide, good))
    some = (~doubtful).any(axis=(0, 1))  # a channel without any good value is not limited
    least = np.where(doubtful, np.inf, windows).min(axis=(1, 2))
    most = np.where(doubtful, -np.inf, windows).max(axis=(1, 2))
    ranges = np.stack([np.where(some, least, -np.inf), np.where(some, most, np.inf)], axis=1)
    usual, others = group[0].usual[doubtful], group[0].others[doubtful] / unit_dn
    bare = None if group[0].spot.learned else _Bare(expected, usual, others, frame.shape[2])
    for index, laid in enumerate(group):
        yield Piece(
            laid.box,
            laid.window,
            unit_dn,
            windows[index],
            expected[index],
            laid.profile[doubtful] / unit_dn,
            laid.usual[doubtful],
            laid.others[doubtful] / unit_dn,
            ranges[index],
            None if bare is None else (bare, index),
        )


def _laid_out(shape: tuple[int, ...], box: Box, spot: Spot, spots: Spots) -> _Laid | None:
    """Lay the spot's profile and usual reach, and the others' spread, on the box's surroundings."""
    if not spot.doubtful[box.within(spot.rows, spot.columns)].any():
        return None
    widest = seen_round(box, shape)
    size = (*widest.size, shape[2])
    profile, usual, others = np.zeros(size), np.zeros(size), np.zeros(size)
    for each in spots.overlapping(widest):
        held = widest.within(each.rows, each.columns)
        at = (each.rows[held] - widest.top, each.columns[held] - widest.left)
        if each is spot:
            profile[at], usual[at] = each.profile_dn[held], each.usual[held]
        else:
            others[at] = np.hypot(others[at], _spread_of_other(each)[held])
    doubtful = (profile != 0) | (usual > 0) | (others > 0)
    for margin in (_MARGIN_PX, 2 * _MARGIN_PX, _WIDEST_MARGIN_PX):
        window = box.widened(margin, shape)
        inside = window.within_box(widest)
        known = np.count_nonzero(~doubtful[inside])
        if known >= _KNOWN_SHARE * doubtful[inside].size:
            break
    if not known:
        return None
    wide = box.widened(_SURROUNDINGS_PX, shape)
    return _Laid(
        box,
        spot,
        window,
        profile[inside],
        usual[inside],
        others[inside],
        doubtful[inside],
        wide,
        ~doubtful[wide.within_box(widest)],
    )


def _spread_of_other(spot: Spot) -> npt.NDArray[np.float64]:
    if not spot.learned:
        return _BARE_OTHERS_DN * spot.usual
    peak = np.abs(spot.profile_dn).max()
    spread: npt.NDArray[np.float64] = np.hypot(spot.profile_dn, _USUAL_SHARE * peak * spot.usual)
    return _OTHERS * spread
