"""When a defect set in, when it was last seen, and whether it has healed.

The per-photo residuals of a site, in order of capture, are modelled as zero before the onset, a
constant level while it is there, and zero after it has healed: the two change points of greatest
likelihood (Page 1954, "Continuous inspection schemes"; for hot pixels Leung, Chapman et al. date by
such a sequence of photos). A change point counts only where it gains enough over none.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core.observe import SHOWN

_GAIN = 6.0  # log likelihood that a change point must gain: 1 in 400 by chance
_GONE_PHOTOS = 10  # fewer photos without it do not show that it has healed
_UNSURE = 1.0  # onsets within this log likelihood of the best are possible too
_MOST_PHOTOS = 2000  # older observations say no more


@dataclass(frozen=True)
class Dating:
    """Positions of photos in the series that was given, 0-based.

    Attributes
    ----------
    after, by : int or None
        It set in after photo ``after`` and by photo ``by``; ``after`` is None where it was there
        from the first photo on, both are None where it never shows.
    last_seen : int or None
        The last photo that shows it.
    gone : bool
        True where enough later photos would show it and do not.
    """

    after: int | None
    by: int | None
    last_seen: int | None
    gone: bool


def date(series: npt.NDArray[np.int64]) -> Dating:
    """Date one defect.

    Parameters
    ----------
    series : (photos,) int
        `hotpixeld.core.observe.signed` residuals in order of capture: positive as the defect shows.
    """
    skipped = max(0, len(series) - _MOST_PHOTOS)
    recent = series[skipped:].astype(np.float64)
    if not len(recent) or not (recent >= SHOWN).any():
        return Dating(None, None, None, gone=False)
    start, stop = _segment(recent)
    noise = _noise(recent, start, stop)
    if start and _gain(recent, start, stop, noise) - _gain(recent, 0, stop, noise) < _GAIN:
        start = 0
    gone = len(recent) - stop >= _GONE_PHOTOS and (
        _gain(recent, start, stop, noise) - _gain(recent, start, len(recent), noise) >= _GAIN
    )
    stop = stop if gone else len(recent)
    earliest, latest = _possible_onsets(recent, start, stop, noise)
    seen = np.flatnonzero(recent[:stop] >= SHOWN)
    return Dating(
        after=earliest - 1 + skipped if earliest else None,
        by=latest + skipped,
        last_seen=int(seen[-1]) + skipped if len(seen) else None,
        gone=gone,
    )


def _segment(series: npt.NDArray[np.float64]) -> tuple[int, int]:
    """Return start and stop of the segment that explains most: its sum squared over its length."""
    sums = np.concatenate([[0.0], np.cumsum(series)])
    starts, stops = np.arange(len(series))[:, None], np.arange(1, len(series) + 1)[None, :]
    total = np.maximum(sums[stops] - sums[starts], 0)
    length = stops - starts
    explained = np.where(length > 0, total**2 / np.maximum(length, 1), -1.0)
    start, stop = np.unravel_index(int(np.argmax(explained)), explained.shape)
    return int(start), int(stop) + 1


def _noise(series: npt.NDArray[np.float64], start: int, stop: int) -> float:
    """Return the variance that the segment leaves unexplained."""
    level = np.zeros(len(series))
    level[start:stop] = series[start:stop].mean()
    return float(max(((series - level) ** 2).mean(), 64.0))  # no less than half a spread


def _gain(series: npt.NDArray[np.float64], start: int, stop: int, noise: float) -> float:
    """Return the log likelihood gained over no defect at all."""
    part = series[start:stop]
    return float(max(part.sum(), 0) ** 2 / max(len(part), 1) / (2 * noise))


def _possible_onsets(
    series: npt.NDArray[np.float64], start: int, stop: int, noise: float
) -> tuple[int, int]:
    if not start:
        return 0, 0
    best = _gain(series, start, stop, noise)
    possible = [
        onset
        for onset in range(max(0, start - 20), min(stop, start + 20))
        if _gain(series, onset, stop, noise) >= best - _UNSURE
    ]
    return min(possible), max(possible)
