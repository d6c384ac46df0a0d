"""When a defect set in, when it was last seen, and whether it has healed.

The per-photo residuals of a site, in order of capture, come from one of two states: without the
defect they scatter about zero as a good pixel's do; with it they stand off by a level that varies
with light and surroundings. Each photo so speaks for the one or the other by a log likelihood
ratio, and the stretch of photos of greatest sum is when the defect was there (Page 1954,
"Continuous inspection schemes"; that hot pixels are dated from a sequence of ordinary photos is due
to Leung, Chapman et al.). With which photo it set in is weighed closer in `hotpixeld.core.onset`.
A change counts only where it is well supported.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core.observe import SHOWN, Light, Observed, signed
from hotpixeld.core.onset import onset_evidence
from hotpixeld.core.residual import RESIDUAL_LIMIT

_GAIN = 2.0  # log evidence against earlier photos having it; of old defects 1 in 100 has more
_GONE_GAIN = 10.0  # and against later ones: to let a defect go is the graver mistake
_GONE_PHOTOS = 15  # fewer photos without it do not show that it has healed
_NEARNESS = np.array([2.0, 3.0, 4.0, 5.0, 4.0, 3.0, 2.0])  # what a date off by up to 3 is worth
_HARDLY_EARLIER, _HARDLY_LATER = 0.05, 0.08  # probability of an onset before or after what is said
MOST_PHOTOS = 2000  # older observations say no more
_GOOD_SIGMA = 20.0  # a good pixel's residuals: 1.25 local spreads, in 1/16
_STRAY = 0.03  # of all photos, something of the scene stands off at the site
_GAINS = np.array([0.1, 0.3, 0.6, 1.0, 1.6, 2.4])  # a photo's level, of the mean level


@dataclass(frozen=True)
class Dating:
    """Positions of photos in the series that was given, 0-based.

    Attributes
    ----------
    after, by : int or None
        It set in after photo ``after`` and with photo ``by`` at the latest: between them lies the
        onset of 97 of 100. ``after`` is None where it was there from the first photo on, both are
        None where it never shows.
    likely : int or None
        The photo with which it most likely set in, give or take three.
    last_seen : int or None
        The last photo that shows it.
    gone : bool
        True where enough later photos would show it and do not.
    """

    after: int | None
    by: int | None
    likely: int | None
    last_seen: int | None
    gone: bool


def date(observed: Observed, light: Light | None = None) -> Dating:
    """Date one defect.

    Parameters
    ----------
    observed : (photos, channels) int16
        As `hotpixeld.core.observe.observe` gives them, in order of capture.
    light : Light or None
        What the site stood against in the same photos, where that is known.
    """
    skipped = max(0, len(observed) - MOST_PHOTOS)
    recent = signed(observed)[skipped:].astype(np.float64)
    if not len(recent) or not (recent >= SHOWN).any():
        return Dating(None, None, None, None, gone=False)
    start, stop = _segment(recent)
    for _ in range(3):
        speaks = _log_likelihood_ratio(recent, float(recent[start:stop].mean()))
        start, stop = _greatest_stretch(speaks)
    gone = len(recent) - stop >= _GONE_PHOTOS and float(-speaks[stop:].sum()) >= _GONE_GAIN
    if gone:
        since = slice(skipped + start, None)
        gone = _has_healed(observed[since], light and light.of(since))
    end = stop if gone else len(recent)
    there = slice(skipped, skipped + end)
    after, likely, by = _onset(onset_evidence(observed[there], light and light.of(there)))
    seen = np.flatnonzero(recent[:end] >= SHOWN)
    return Dating(
        after=None if after is None else after + skipped,
        by=by + skipped,
        likely=likely + skipped,
        last_seen=int(seen[-1]) + skipped if len(seen) else None,
        gone=gone,
    )


def _onset(evidence: npt.NDArray[np.float64]) -> tuple[int | None, int, int]:
    """Return after which photo it set in, most likely with which, and with which at the latest."""
    if evidence.max() - evidence[0] < _GAIN:
        return None, 0, 0
    probability = np.exp(evidence - evidence.max())
    probability /= probability.sum()
    reach = len(_NEARNESS) // 2
    worth = np.convolve(probability, _NEARNESS)[reach : reach + len(evidence)]
    likely = 1 + int(np.argmax(worth[1:]))
    sure = np.cumsum(probability[1:]) / probability[1:].sum()
    earliest, latest = 1 + np.searchsorted(sure, (_HARDLY_EARLIER, 1 - _HARDLY_LATER)).astype(int)
    return min(int(earliest), likely) - 1, likely, max(int(latest), likely)


def _has_healed(observed: Observed, light: Light | None) -> bool:
    """Tell whether later photos ought to show it, each at its light and exposure, and do not."""
    back = slice(None, None, -1)  # healing is an onset in photos told from the last one
    evidence = onset_evidence(observed[back], light and light.of(back))
    return bool(evidence[_GONE_PHOTOS:].max() - evidence[0] >= _GAIN)


def _segment(series: npt.NDArray[np.float64]) -> tuple[int, int]:
    """Return start and stop of the segment that explains most: its sum squared over its length."""
    sums = np.concatenate([[0.0], np.cumsum(series)])
    starts, stops = np.arange(len(series))[:, None], np.arange(1, len(series) + 1)[None, :]
    total = np.maximum(sums[stops] - sums[starts], 0)
    length = stops - starts
    explained = np.where(length > 0, total**2 / np.maximum(length, 1), -1.0)
    start, stop = np.unravel_index(int(np.argmax(explained)), explained.shape)
    return int(start), int(stop) + 1


def _log_likelihood_ratio(series: npt.NDArray[np.float64], level: float) -> npt.NDArray[np.float64]:
    """Return by how much each photo speaks for the defect rather than against it."""

    def density(centre: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        off = (series[:, None] - np.minimum(centre, RESIDUAL_LIMIT)[None, :]) / _GOOD_SIGMA
        bell = np.exp(-0.5 * off**2).mean(axis=1) / (_GOOD_SIGMA * np.sqrt(2 * np.pi))
        mixed: npt.NDArray[np.float64] = (1 - _STRAY) * bell + _STRAY / (2 * RESIDUAL_LIMIT)
        return mixed

    ratio: npt.NDArray[np.float64] = np.log(density(_GAINS * max(level, 1.0)))
    return ratio - np.log(density(np.zeros(1)))


def _greatest_stretch(speaks: npt.NDArray[np.float64]) -> tuple[int, int]:
    """Return start and stop of the stretch of greatest sum, at least one photo (Kadane)."""
    sums = np.concatenate([[0.0], np.cumsum(speaks)])
    lowest = np.minimum.accumulate(sums[:-1])
    stop = int(np.argmax(sums[1:] - lowest)) + 1
    return int(np.argmin(sums[:stop])), stop
