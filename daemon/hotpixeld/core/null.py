"""How extreme is extreme: the null distribution, learned from the sensor's own good subpixels.

Neither a Gaussian nor a constant threshold holds: with few photos the tails are heavy, with many
the fixed pattern rules, and every camera's development is another. So the tail is fitted to the
frame itself and continued. A sum over photos is nearly Gaussian in its middle and falls more slowly
further out, where a few photos decide: a level z is as rare as a Gaussian one of g(z) = a z^k. A
straight line in log g over log z, through several quantiles (a normal quantile plot; Beirlant,
Goegebeur, Segers & Teugels 2004, "Statistics of Extremes", ch. 1 and 4), gives a and k, and k is
taken with its sampling error on the safe side. Against the Gaussian, and not against the Weibull
tail exp(-c z^k), because that bends away from every sum's true tail: fitted to what is seen and
continued by six powers of ten, it asks for a tenth more than good pixels reach.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

GREATEST_SCORE = 300.0
_SHARES = (8e-3, 4e-3, 2e-3, 1e-3, 5e-4, 2.5e-4, 1e-4)  # of all good subpixels
_ANCHOR = 1e-3  # the fitted tail holds exactly here
_LEAST_COUNT = 30  # a quantile with fewer beyond it says little
_GAUSSIAN_SHARE = 0.02  # about so many Gaussian ones are beyond the least floor in use
_STEEPEST, _FLATTEST = 1.0, 0.4  # no tail is lighter than a Gaussian's
_EXPONENTIAL = 0.5
_DENSITY = 0.5 * np.log(2 * np.pi)


@dataclass(frozen=True)
class Null:
    """The tail of good subpixels.

    Attributes
    ----------
    subpixels : float
        Good subpixels of the sensor.
    anchor : float
        The level, in local robust spreads, that `share` of them reach.
    share : float
        See `anchor`.
    power : float
        k of g(z) = a z^k, the Gaussian level that is as rare: 1 for a Gaussian, less the heavier
        the tail is; 0.5 for an exponential one.
    one_sided : bool
        True where only darker or only brighter ones could be used: the other side is full of
        defects, and whoever is judged by it must show in most photos besides.
    """

    subpixels: float
    anchor: float
    share: float
    power: float
    one_sided: bool = False

    def of_few(self, photos: int, heavier: float) -> "Null":
        """Return this null with a heavier tail for sums over ``photos`` photos.

        Of a few photos each can still decide: beyond what is seen the tail is heavier than there,
        by the share ``heavier`` over the number of photos.
        """
        return replace(self, power=self.power * (1 - min(0.5, heavier / photos)))

    def scores(self, levels: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return -log10 of the expected number of good subpixels that reach each of ``levels``.

        ``levels`` is (n,), of either sign; the scores are at most 300.
        """
        as_rare = _gaussian(self.share) * (np.abs(levels) / self.anchor) ** self.power
        log_number = np.log(self.subpixels) + _log_share(as_rare)
        scores: npt.NDArray[np.float64] = np.minimum(GREATEST_SCORE, -log_number / np.log(10))
        return scores

    def level(self, score: float) -> float:
        """Return the level whose score is ``score``; the anchor where even that has more."""
        share = max(10.0**-score / self.subpixels, 1e-300)
        ratio = max(1.0, _gaussian(min(share, self.share)) / _gaussian(self.share))
        return float(self.anchor * ratio ** (1 / self.power))


def _gaussian(share: float) -> float:
    """Return the level, in standard deviations, that ``share`` reach on either side."""
    return -NormalDist().inv_cdf(share / 2)


def _log_share(levels: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the logarithm of the share beyond a Gaussian's ``levels`` on either side.

    Mills' ratio by Laplace's continued fraction, good to 1e-6 from two standard deviations on.
    """
    x = np.maximum(np.asarray(levels, np.float64), 0.5)
    below = x
    for step in range(12, 0, -1):
        below = x + step / below
    shares: npt.NDArray[np.float64] = np.log(2) - x * x / 2 - _DENSITY - np.log(below)
    return shares


def fitted(levels: npt.NDArray[np.floating], floor: float, subpixels: int) -> Null:
    """Fit the tail.

    Parameters
    ----------
    levels : (n,) float
        All levels of good subpixels above ``floor``, in local robust spreads, without sign,
        ascending.
    floor : float
        Below this, levels were not kept.
    subpixels : int
        How many good subpixels there are in all.
    """
    ordered = levels[::-1]
    counts = [round(share * subpixels) for share in _SHARES]
    points = [(count, ordered[count]) for count in counts if _LEAST_COUNT <= count < len(ordered)]
    if len(points) < 3 or points[-1][1] <= points[0][1]:
        return _cautious(ordered, floor, subpixels)
    number, level = (np.array(column, np.float64) for column in zip(*points, strict=True))
    as_rare = np.array([_gaussian(share) for share in number / subpixels])
    power = _slope(np.log(level), np.log(as_rare))
    power *= 1 - 0.5 / np.sqrt(number[-1])
    anchor = int(np.argmin(np.abs(number / subpixels - _ANCHOR)))
    return Null(
        float(subpixels),
        float(level[anchor]),
        float(number[anchor] / subpixels),
        float(np.clip(power, _FLATTEST, _STEEPEST)),
    )


def _slope(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    away = x - x.mean()
    return float((away * (y - y.mean())).sum() / (away * away).sum())


def _cautious(levels: npt.NDArray[np.floating], floor: float, subpixels: int) -> Null:
    """Return the null of a frame too small or dull to have a tail: as if it were exponential."""
    share = float(np.clip(len(levels) / max(1, subpixels), _GAUSSIAN_SHARE, 0.5))
    return Null(float(max(subpixels, 2)), floor, share, _EXPONENTIAL)
