"""From single subpixels that stand out to spots: peak, footprint per channel, kind, strength."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core.defects import DefectKind, FootprintPixel
from hotpixeld.core.evidence import Suspects
from hotpixeld.core.fields import Sums
from hotpixeld.core.screening import MEDIAN_ABS_TO_SIGMA

TOUCHING_PX = 2  # suspects this near belong to one spot
_RING_PX = (5, 7)  # where a spot's surroundings are looked at
_REACH_PX = 3  # a spot reaches this far beyond its own suspects
_SHARE_OF_PEAK = 0.12  # less than this of the peak is ringing that nobody sees
_CORE_SHARE = 0.3  # suspects far below the greatest are its ringing, not its core
_SURE_SPREADS = 4.0
_CALM_RATIO = 0.6  # of the surroundings' variance: more may be chance
_CALM_SHARE = 0.3
_LEAST_AROUND = 8
_PLATEAU_SHARE = 0.9  # a pixel this near the peak's height may be the spot's middle as well
_STUCK_RATIO = 0.4  # a stuck pixel varies less than this share of its surroundings' variance


@dataclass(frozen=True)
class Spot:
    """One spot with what was measured at it, before it is judged.

    Attributes
    ----------
    row, column : int
        The middle of what stands off at least half as much as the peak (of two middle ones the
        greater), where that pixel is about as high as the peak; else the peak.
    score : float
        -log10 of the expected number of good subpixels like its surest one.
    by_calm : bool
        True where that one shows by varying too little, not by standing off to one side.
    kind : str
        ``stuck``, ``hot`` or ``dead``.
    mean_dn, variance_dn2, excess_dn : tuple of float
        There, per channel.
    footprint : tuple of FootprintPixel
        Every pixel that it spoils.
    half_area_px : int
        Pixels that stand off at least half as much as the peak.
    strength_dn : float
        How far it stands off its surroundings: in the mean, or from photo to photo if it is stuck.
    """

    row: int
    column: int
    score: float
    by_calm: bool
    kind: DefectKind
    mean_dn: tuple[float, ...]
    variance_dn2: tuple[float, ...]
    excess_dn: tuple[float, ...]
    footprint: tuple[FootprintPixel, ...]
    half_area_px: int
    strength_dn: float

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels that it spoils."""
        spoiled = np.array([pixel.spoiled for pixel in self.footprint]).any(axis=0)
        return tuple(int(channel) for channel in np.flatnonzero(spoiled))


def grouped(suspects: Suspects, scores: npt.NDArray[np.float64]) -> list[npt.NDArray[np.intp]]:
    """Return the suspects' numbers in groups of those that touch, the surest first."""
    order = np.argsort(-scores, kind="stable")
    cells: dict[tuple[int, int], list[int]] = {}
    places = list(zip(suspects.rows.tolist(), suspects.columns.tolist(), strict=True))
    for number, (row, column) in enumerate(places):
        cells.setdefault((row, column), []).append(number)
    groups = []
    steps = range(-TOUCHING_PX, TOUCHING_PX + 1)
    for first in order.tolist():
        if places[first] not in cells:
            continue
        group, ahead = cells.pop(places[first]), [places[first]]
        while ahead:
            row, column = ahead.pop()
            for near in ((row + r, column + c) for r in steps for c in steps):
                if near in cells:
                    group += cells.pop(near)
                    ahead.append(near)
        groups.append(np.array(group, np.intp))
    return groups


def measured(sums: Sums, suspects: Suspects, surest: int, *, score: float, by_calm: bool) -> Spot:
    """Measure the one spot that these suspects make; ``score`` is that of the ``surest``."""
    top, bottom = _span(suspects.rows, sums.shape[0])
    left, right = _span(suspects.columns, sums.shape[1])
    window = (slice(top, bottom), slice(left, right), slice(None))
    mean, variance = sums.mean(window), sums.variance(window)
    at = suspects.rows - top, suspects.columns - left, suspects.channels
    suspected = np.zeros(mean.shape[:2], bool)
    suspected[at[0], at[1]] = True
    around = ~_grown(suspected, _RING_PX[0] - 1)
    if around.sum() < _LEAST_AROUND:
        around = ~suspected
    excess, noise = _over_its_surroundings(mean, around)
    beside = np.median(variance[around], axis=0)
    still = np.sqrt(np.where(variance < _CALM_RATIO * beside, beside - variance, 0))
    if by_calm:
        peak = at[0][surest], at[1][surest], at[2][surest]
        sign = 1.0 if excess[peak] >= 0 else -1.0
    else:
        sign = float(np.sign(suspects.levels[surest]))
        standing = np.where(_grown(suspected, 1)[..., None], sign * excess, -np.inf)
        where = np.unravel_index(int(np.argmax(standing)), standing.shape)
        peak = where[0], where[1], where[2]
    peak_dn = float(excess[peak])
    strength_dn = float(np.hypot(peak_dn, still[peak])) if by_calm else abs(peak_dn)
    core = np.zeros_like(suspected)
    strong = np.abs(suspects.levels) >= _CORE_SHARE * np.abs(suspects.levels).max()
    core[at[0][strong], at[1][strong]] = core[peak[:2]] = True
    spoiled = np.abs(excess) >= np.maximum(3 * noise, max(1.0, _SHARE_OF_PEAK * abs(peak_dn)))
    if by_calm:
        spoiled |= still >= _CALM_SHARE * strength_dn
    spoiled &= _grown(core, _REACH_PX)[..., None]
    seen = np.hypot(excess, still) >= max(1.0, _SHARE_OF_PEAK * strength_dn)
    surely = _stands_off(sums, window, around) & _grown(core, 1)[..., None]
    surely[at[0][strong], at[1][strong], at[2][strong]] = True
    spoiled |= surely & seen
    spoiled[peak] = True
    any_channel: npt.NDArray[np.bool_] = np.any(spoiled, axis=2)
    spoiled &= _connected(any_channel, core)[..., None]
    deviation = np.hypot(excess, still) if by_calm else sign * excess
    height = deviation[..., peak[2]]
    half = (height >= 0.5 * strength_dn) & _grown(core, _REACH_PX)
    row, column = _middle(height, half, (int(peak[0]), int(peak[1])))
    quiet = bool(variance[peak] < _STUCK_RATIO * beside[peak[2]])
    always_darker = sign < 0 and abs(peak_dn) > 0.6 * strength_dn
    return Spot(
        row=row + top,
        column=column + left,
        score=score,
        by_calm=by_calm,
        kind="dead" if always_darker else "stuck" if quiet else "hot",
        mean_dn=_numbers(mean[row, column]),
        variance_dn2=_numbers(variance[row, column]),
        excess_dn=_numbers(excess[row, column]),
        footprint=_footprint(spoiled, excess, top, left),
        half_area_px=int(half.sum()),
        strength_dn=strength_dn,
    )


def _middle(
    height: npt.NDArray[np.float64], half: npt.NDArray[np.bool_], peak: tuple[int, int]
) -> tuple[int, int]:
    """Return the middle of the half-height area if it is as high as the peak, else the peak.

    On the plateau of a wide spot the greatest of the equals is a matter of noise.
    """
    start = np.zeros_like(half)
    start[peak] = True
    rows, columns = np.nonzero(_connected(half | start, start))
    middle = int(np.floor(rows.mean() + 0.5)), int(np.floor(columns.mean() + 0.5))
    return middle if height[middle] >= _PLATEAU_SHARE * height[peak] else peak


def _stands_off(
    sums: Sums, window: tuple[slice, slice, slice], around: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return where the residuals stand off surely, by themselves: they tell more than the mean."""
    residual = np.abs(sums.residuals(window))
    usual = MEDIAN_ABS_TO_SIGMA * np.median(residual[around], axis=0)
    sure: npt.NDArray[np.bool_] = residual >= np.maximum(
        _SURE_SPREADS * usual, _CORE_SHARE * residual.max()
    )
    return sure


def _over_its_surroundings(
    mean: npt.NDArray[np.float64], around: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what stands over the plane through the pixels ``around``, and their spread about it.

    The plane is fitted twice, the second time without what is far off the first.
    """
    rows, columns = np.indices(around.shape)
    basis = np.stack([np.ones(around.shape), rows, columns], axis=2)
    excess, noise = np.empty_like(mean), np.empty(mean.shape[2])
    for channel in range(mean.shape[2]):
        chosen = around
        for _ in range(2):
            plane = np.linalg.lstsq(basis[chosen], mean[chosen][:, channel], rcond=None)[0]
            off = mean[..., channel] - basis @ plane
            spread = MEDIAN_ABS_TO_SIGMA * float(np.median(np.abs(off[around])))
            chosen = around & (np.abs(off) <= 2.5 * spread + 0.5)
        excess[..., channel], noise[channel] = off, spread
    return excess, noise


def _footprint(
    spoiled: npt.NDArray[np.bool_], excess: npt.NDArray[np.float64], top: int, left: int
) -> tuple[FootprintPixel, ...]:
    return tuple(
        FootprintPixel(
            int(row) + top,
            int(column) + left,
            _numbers(excess[row, column]),
            tuple(bool(channel) for channel in spoiled[row, column]),
        )
        for row, column in zip(*np.nonzero(spoiled.any(axis=2)), strict=True)
    )


def _numbers(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)


def _span(positions: npt.NDArray[np.intp], length: int) -> tuple[int, int]:
    reach = _RING_PX[1]
    return max(0, int(positions.min()) - reach), min(length, int(positions.max()) + reach + 1)


def _grown(mask: npt.NDArray[np.bool_], by: int) -> npt.NDArray[np.bool_]:
    """Return ``mask`` with every pixel within ``by`` of it (a square)."""
    tall = mask.copy()
    for step in range(1, by + 1):
        tall[step:] |= mask[:-step]
        tall[:-step] |= mask[step:]
    wide = tall.copy()
    for step in range(1, by + 1):
        wide[:, step:] |= tall[:, :-step]
        wide[:, :-step] |= tall[:, step:]
    return wide


def _connected(mask: npt.NDArray[np.bool_], start: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return what of ``mask`` hangs together with ``start``."""
    reached = start
    while True:
        further = (_grown(reached, 1) & mask) | start
        if np.array_equal(further, reached):
            return reached
        reached = further


def without_ghosts(spots: Sequence[Spot]) -> list[Spot]:
    """Return the spots that are not a much stronger one's JPEG ghosts.

    A defect spreads over the blocks that hold it (16 x 16 with subsampled chroma); what stands
    there, or beside them, where the matched filter still sees it, at less than a third of its
    strength is its own echo.
    """
    kept: list[Spot] = []
    by_block: dict[tuple[int, int], list[Spot]] = {}
    for spot in sorted(spots, key=lambda spot: -spot.strength_dn):
        near = range(spot.row - 1, spot.row + 2), range(spot.column - 1, spot.column + 2)
        blocks = {(row // 16, column // 16) for row in near[0] for column in near[1]}
        others = [other for block in blocks for other in by_block.get(block, ())]
        if any(spot.strength_dn < 0.3 * other.strength_dn for other in others):
            continue
        kept.append(spot)
        for pixel in spot.footprint:
            held = by_block.setdefault((pixel.row // 16, pixel.column // 16), [])
            if spot not in held[-1:]:
                held.append(spot)
    return kept
