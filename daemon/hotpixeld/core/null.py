"""How extreme is extreme: the null distribution, learned from the sensor's own good subpixels.

Neither a Gaussian nor a constant threshold holds: with few photos the tails are heavy, with many
the fixed pattern rules, and every camera's development is another. So the tail is fitted to the
frame itself: beyond a high threshold u, exceedances follow a generalised Pareto law (Pickands 1975,
"Statistical inference using extreme order statistics"; Davison & Smith 1990, "Models for
exceedances over high thresholds"); the exponential member of it bounds every tail that falls
faster, as those of sums over many photos do, and is taken with its sampling error on the safe side.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

GREATEST_SCORE = 300.0
_TAIL_SHARES = (1e-3, 2e-4)  # of all good subpixels, the thresholds that the tail is fitted above
_LEAST_EXCEEDANCES = 100


@dataclass(frozen=True)
class Null:
    """The tail of good subpixels: how many of them reach a level.

    Attributes
    ----------
    threshold : float
        u, in local robust spreads.
    count : float
        Good subpixels of the whole sensor beyond u.
    slope : float
        Mean exceedance over u.
    """

    threshold: float
    count: float
    slope: float

    def expected(self, level: float) -> float:
        """Return the expected number of good subpixels of the sensor that reach ``level``."""
        return self.count * float(np.exp(-(level - self.threshold) / self.slope))

    def score(self, level: float) -> float:
        """Return -log10 of `expected`, at most 300."""
        log_expected = np.log(self.count) - (level - self.threshold) / self.slope
        return float(min(GREATEST_SCORE, -log_expected / np.log(10)))

    def level(self, score: float) -> float:
        """Return the level that has ``score``."""
        return self.threshold + self.slope * float(np.log(self.count) + score * np.log(10))


def first_guess(levels: npt.NDArray[np.floating], floor: float, subpixels: int) -> Null:
    """Return a null from two quantiles, which defects (fewer than 1 in 1,000) hardly move."""
    ordered = np.sort(levels)[::-1]
    near, far = (min(round(share * subpixels), len(ordered) - 1) for share in (8e-3, 2e-3))
    if far < 10 or far >= near:
        return Null(floor, max(1.0, float(len(ordered))), 0.5)
    slope = float(ordered[far] - ordered[near]) / np.log((near + 1) / (far + 1))
    return Null(float(ordered[far]), float(far), max(slope, 0.05))


def fitted(levels: npt.NDArray[np.floating], floor: float, subpixels: int) -> Null:
    """Fit the tail.

    Parameters
    ----------
    levels : (n,) float
        All levels of good subpixels above ``floor``, in local robust spreads.
    floor : float
        Below this, levels were not kept.
    subpixels : int
        How many good subpixels there are in all.

    Returns
    -------
    Null
        Of the thresholds tried, the one that expects most at the far end: the safe one.
    """
    ordered = np.sort(levels)[::-1]
    nulls = []
    for share in _TAIL_SHARES:
        wanted = max(_LEAST_EXCEEDANCES, round(share * subpixels))
        count = min(wanted, len(ordered) - 1)
        if count < _LEAST_EXCEEDANCES // 2:
            continue
        threshold = max(float(ordered[count]), floor)
        slope = float(np.mean(ordered[:count] - threshold))
        slope *= 1 + 1.5 / np.sqrt(count)
        nulls.append(Null(threshold, float(count), max(slope, 0.05)))
    if not nulls:  # a frame too small or too dull to have a tail: as if it were exponential
        return Null(floor, max(1.0, float(len(ordered))), 0.5)
    return max(nulls, key=lambda null: null.level(2.0))
