"""Rank a sensor's pixels: which ones are defective, how surely, and what speaks against it.

Pure arithmetic on the running moments, band by band. That a bad pixel shows in the statistics of
many ordinary photos is due to Dudas, Leung, Chapman et al. (2007, "Identification of in-field
defect development in digital image sensors") and Kuthirummal, Agarwala, Goldman & Nayar (2008,
"Priors for large photo collections and what they reveal about cameras").
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hotpixeld.core import reasons
from hotpixeld.core.crowds import Usual, usual
from hotpixeld.core.defects import Candidate, PixelState
from hotpixeld.core.evidence import (
    Evidence,
    Found,
    block_spreads,
    every_suspect,
    normal_of,
    overall_spread,
    weighed,
)
from hotpixeld.core.fields import Field, Progress, Steadiness, Sums, combined
from hotpixeld.core.matched import Matched, is_matchable
from hotpixeld.core.moments import Moments
from hotpixeld.core.observe import Observations, shows_in
from hotpixeld.core.regions import held_back
from hotpixeld.core.residual import RESIDUAL_UNIT
from hotpixeld.core.screening import BAND_ROWS
from hotpixeld.core.spots import Spot, grouped, measured, without_ghosts
from hotpixeld.core.spread import Spread, bands_of
from hotpixeld.core.variety import repeats, stands_still

LEAST_PHOTOS = 5
MOST_CANDIDATES = 500
BRIGHT_FLOOR = 4.0 / 255  # of full scale: less is block corners and fixed pattern, and not seen
DARK_FLOOR = 8.0 / 255  # small faint dark spots are specks of dust, and less seen than bright ones
CLIPPED = 235 / 255  # of full scale, about a spot in the mean: most photos are white there
LEAST_SHARE = 0.1  # of the photos
RANKINGS_MARGIN = 1.0  # a sensor is ranked again and again, with mostly the same photos
CALM_MARGIN = 2.0  # a texture that keeps its brightness varies little too, of a few photos
ONE_SIDED_PER_PHOTO = 2.0  # local spreads: what shows in most photos is no coincidence of lights
REPEATED_MARGIN = 9.0  # the sharpest points of a scene that comes again and again have such scores
_STEADINESS_ROWS = 4 * BAND_ROWS  # a margin of three rows on either side is little then
_MOST_SUSPECTS = 30_000
_MOST_SPOTS = 1_500
_MOST_SHARE_BAD = 2e-3  # of all pixels
_CANDIDATE_SCORE = -1.0  # candidates from ten expected good ones on


@dataclass(frozen=True)
class VarianceSummary:
    """The original finder's three figures, in DN^2 over all subpixels."""

    least: float
    greatest: float
    mean: float


@dataclass(frozen=True)
class LeastVariance:
    """One of the ten least varying subpixels."""

    row: int
    column: int
    channel: int
    variance_dn2: float
    sum_of_squared_differences_dn2: float


@dataclass(frozen=True)
class Ranking:
    """What the photos so far say of a sensor.

    Attributes
    ----------
    candidates : tuple of Candidate
        Best first; ``state`` and ``reason`` are the statistics' own, before people's words.
    photos : int
        How many photos it rests on.
    held_reason : str or None
        Why everything is held back, a string of `hotpixeld.core.reasons`; None where it is not.
    variance : VarianceSummary
    least_variance : tuple of LeastVariance
        The ten least varying subpixels, as the original finder ranked.
    """

    candidates: tuple[Candidate, ...]
    photos: int
    held_reason: str | None
    variance: VarianceSummary
    least_variance: tuple[LeastVariance, ...]


def _quietly() -> None:
    """Report no progress."""


def rank(
    parts: Sequence[Moments],
    *,
    false_alarms: float = 0.01,
    observations: Observations | None = None,
    on_progress: Progress = _quietly,
    spread: Spread = map,
) -> Ranking:
    """Rank the pixels of one sensor.

    Parameters
    ----------
    parts : sequence of Moments
        The epochs, at least one, of one shape and depth; they stay as they are.
    false_alarms : float
        Expected number of good subpixels confirmed by mistake.
    observations : Observations or None
        Per-photo residuals at earlier candidates' sites, for the share of photos that show it.
    on_progress : callable
        Called now and then; may raise to give up.
    spread : callable
        What works on the bands of rows, on several cores or not; the ranking is the same.

    Raises
    ------
    ValueError
        If there is no part, or they differ in shape or depth.
    """
    sums = combined(parts)
    full_scale = 255.0 if parts[0].depth_bits == 8 else 65535.0
    steadiness = Steadiness(sums.shape, (full_scale / 255) ** 2)
    variance, least = _variances(sums, steadiness, spread, on_progress)
    if sums.count < LEAST_PHOTOS:
        return Ranking((), sums.count, reasons.FEW_PHOTOS, variance, least)
    overall = overall_spread(sums)
    spreads = block_spreads(sums, overall, spread, on_progress)
    found = _found(sums, overall, spreads, steadiness, spread=spread, on_progress=on_progress)
    del steadiness  # it is large, and so is what follows
    off, steady = (one.evidence() for one in found)
    spots = _spots(sums, off, steady, on_progress)
    asked = float(-np.log10(false_alarms) + RANKINGS_MARGIN)
    if repeats(sums, spreads):
        asked += REPEATED_MARGIN
    candidates = _judged(
        sums,
        spots,
        usual(overall, off),
        asked,
        observations,
        full_scale=full_scale,
        one_sided=off.null.one_sided,
    )
    held = _reason_to_hold_all(sums, overall, candidates)
    if held is None and stands_still(sums, variance.mean, full_scale):
        held = reasons.LITTLE_VARIETY
    if held is not None:
        candidates = [
            replace(candidate, state="held", reason=held)
            if candidate.state == "confirmed"
            else candidate
            for candidate in candidates
        ]
    best_first = sorted(candidates, key=lambda found: (-found.score, found.row, found.column))
    confirmed = sum(candidate.state == "confirmed" for candidate in best_first)
    kept = tuple(best_first[: max(MOST_CANDIDATES, confirmed)])
    return Ranking(kept, sums.count, held, variance, least)


def _found(
    sums: Sums,
    overall: npt.NDArray[np.float32],
    spreads: npt.NDArray[np.float32],
    steadiness: Steadiness,
    *,
    spread: Spread,
    on_progress: Progress,
) -> tuple[Found, Found]:
    """Return what stands off its neighbours, and what varies less than they do."""
    standing: Field = sums
    if is_matchable(sums.shape):
        standing = Matched(sums, overall, spread, on_progress)
        spreads = block_spreads(standing, overall_spread(standing), spread, on_progress)
    calm_spreads = block_spreads(steadiness, overall_spread(steadiness), spread, on_progress)
    fields = standing, steadiness
    normals = (
        normal_of(standing, spreads, spread, on_progress),
        normal_of(steadiness, calm_spreads, spread, on_progress),
    )
    return weighed(sums.count, fields, normals, spread, on_progress)


def _spots(sums: Sums, off: Evidence, steady: Evidence, on_progress: Progress) -> list[Spot]:
    """Return one spot per group of suspects of either evidence, without JPEG ghosts."""
    chosen = [part.suspects(_CANDIDATE_SCORE) for part in (off, steady)]
    suspects = every_suspect(chosen)
    scores = np.concatenate(
        [part.null.scores(found.levels) for part, found in zip((off, steady), chosen, strict=True)]
    )
    by_calm = np.repeat([False, True], [len(found) for found in chosen])
    if len(suspects) > _MOST_SUSPECTS:
        best = np.argpartition(-scores, _MOST_SUSPECTS)[:_MOST_SUSPECTS]
        suspects, scores, by_calm = suspects.where(best), scores[best], by_calm[best]
    spots = []
    for group in grouped(suspects, scores)[:_MOST_SPOTS]:
        surest = int(np.argmax(scores[group]))
        score, calm = float(scores[group[surest]]), bool(by_calm[group[surest]])
        spots.append(measured(sums, suspects.where(group), surest, score=score, by_calm=calm))
        on_progress()
    return without_ghosts(spots)


def _judged(
    sums: Sums,
    spots: Sequence[Spot],
    usual: Usual,
    asked: float,
    observations: Observations | None,
    *,
    full_scale: float,
    one_sided: bool,
) -> list[Candidate]:
    regions = held_back(sums, spots, usual, sure=asked)
    candidates = []
    for spot, region in zip(spots, regions, strict=True):
        share = _share_of_photos(sums, spot, observations)
        state, reason = _judge(spot, share, region, asked, full_scale)
        if one_sided and state == "confirmed" and _per_photo(sums, spot) < ONE_SIDED_PER_PHOTO:
            state, reason = "candidate", reasons.NOT_SURE
        candidates.append(
            Candidate(
                row=spot.row,
                column=spot.column,
                channels=spot.channels,
                kind=spot.kind,
                score=round(spot.score, 2),
                mean_dn=spot.mean_dn,
                variance_dn2=spot.variance_dn2,
                excess_dn=spot.excess_dn,
                photos=sums.count,
                shows_in=round(share, 3),
                footprint=spot.footprint,
                state=state,
                reason=reason,
            )
        )
    return candidates


def _judge(
    spot: Spot, share: float, region: str | None, asked: float, full_scale: float
) -> tuple[PixelState, str]:
    floor_dn = (DARK_FLOOR if spot.kind == "dead" else BRIGHT_FLOOR) * full_scale
    if spot.score < asked + (CALM_MARGIN if spot.by_calm else 0):
        return "candidate", reasons.NOT_SURE
    if region is not None:
        return "held", region
    light_dn = max(m - e for m, e in zip(spot.mean_dn, spot.excess_dn, strict=True))
    if light_dn >= CLIPPED * full_scale:
        return "candidate", reasons.CLIPPED
    if spot.strength_dn < floor_dn:
        return "candidate", reasons.TOO_FAINT
    if share < LEAST_SHARE:
        return "candidate", reasons.RARELY_SHOWS
    return "confirmed", reasons.CLEAR


def _share_of_photos(sums: Sums, spot: Spot, observations: Observations | None) -> float:
    """Return the observed share, or an estimate from the sums where it was not observed yet."""
    if observations is not None:
        seen = observations.at(spot.row, spot.column)
        if seen is not None and len(seen) >= LEAST_PHOTOS:
            return shows_in(seen)
    return 1.0 if spot.by_calm else min(1.0, _per_photo(sums, spot) / 2.0)


def _per_photo(sums: Sums, spot: Spot) -> float:
    """Return by how many local spreads a spot stands off in a photo, on average."""
    peak = sums.values(slice(spot.row, spot.row + 1))[0, spot.column]
    return float(np.abs(peak).max()) / (RESIDUAL_UNIT * sums.count)


def _reason_to_hold_all(
    sums: Sums, spread: npt.NDArray[np.float32], candidates: Sequence[Candidate]
) -> str | None:
    confirmed = sum(candidate.state == "confirmed" for candidate in candidates)
    if confirmed > max(50.0, _MOST_SHARE_BAD * sums.shape[0] * sums.shape[1]):
        return reasons.TOO_MANY
    per_photo = float(np.median(spread)) / RESIDUAL_UNIT
    if per_photo > 2.2 * np.sqrt(sums.count) + 0.3 * sums.count:
        return reasons.LITTLE_VARIETY
    return None


def _variances(
    sums: Sums, steadiness: Steadiness, spread: Spread, on_progress: Progress
) -> tuple[VarianceSummary, tuple[LeastVariance, ...]]:
    if not sums.count:
        return VarianceSummary(0.0, 0.0, 0.0), ()
    least, greatest, total = [], 0, 0
    bands = bands_of(sums.shape[0], _STEADINESS_ROWS)
    for seen in spread(lambda rows: steadiness.take_in(sums, rows), bands):
        least.append(seen.least)
        greatest, total = max(greatest, seen.greatest), total + seen.total
        on_progress()
    ten = _ten_least(sums, np.concatenate(least))
    return VarianceSummary(
        ten[0].variance_dn2,
        greatest * (1 / float(sums.count) ** 2),
        total / sums.count**2 / int(np.prod(sums.shape)),
    ), tuple(ten)


def _ten_least(sums: Sums, least: npt.NDArray[np.uint64]) -> list[LeastVariance]:
    """Return the ten; ``least`` (height,) is each row's, and they are in the ten least rows."""
    found = []
    for row in np.argsort(least, kind="stable")[:10].tolist():
        variance = sums.variance((slice(row, row + 1),))[0]
        flat = variance.ravel()
        found += [
            (float(flat[place]), row, *divmod(place, variance.shape[1]))
            for place in np.argsort(flat, kind="stable")[:10].tolist()
        ]
    return [
        LeastVariance(row, column, channel, variance, variance * sums.count)
        for variance, row, column, channel in sorted(found)[:10]
    ]
