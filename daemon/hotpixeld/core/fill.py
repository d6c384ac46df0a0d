"""What stood where a defect is: an estimate from good pixels and from the spoiled ones themselves.

The photo round a defect is taken as a Gaussian field (kriging): samples resemble each other by
exp(-distance / 12 px), channels as they do in the surroundings. The good samples then give each
doubtful one an expected value and a covariance. A defect adds a signal of unknown sign whose spread
at each subpixel is known roughly: from its profile learned over many photos, or from how
demosaicing and JPEG usually spread one photosite. What of the doubtful samples' residual is that
signal and what is picture follows by Bayes' rule, so that the core is interpolated, the rim keeps
its grain, and a channel that is less spoiled tells of the others.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Window = npt.NDArray[np.float64]  # (height, width, channels), in units of 8-bit DN
Mask = npt.NDArray[np.bool_]  # (height, width, channels)

_REACH_PX = 12.0
_LEVEL = 1e3  # variance of the unknown level, in units of the field's own
_STEP_VARIANCE = 2 * (1 - np.exp(-1 / _REACH_PX))  # of neighbours' difference, per field variance
_GRAIN_DN2 = 1.0
_LEAST_VARIANCE_DN2 = 1e-3

_FALLOFF_PX = (0.0, 1.0, 1.42, 2.0, 2.24, 2.83, 4.3)
_FALLOFF = (1.0, 0.6, 0.4, 0.2, 0.15, 0.06, 0.01)


def falloff(distance_px: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how far a defect usually reaches, 1 at its photosite."""
    return np.interp(distance_px, _FALLOFF_PX, _FALLOFF)


@dataclass(frozen=True)
class Expectation:
    """What the good samples of a window say about the doubtful ones.

    Attributes
    ----------
    doubtful : tuple of three (n,) intp
        Their rows, columns and channels in the window.
    residuals_dn : (n,) float64
        Value less expected value.
    covariance_dn2 : (n, n) float64
        Of the residuals, were there no defect.
    """

    doubtful: tuple[npt.NDArray[np.intp], ...]
    residuals_dn: npt.NDArray[np.float64]
    covariance_dn2: npt.NDArray[np.float64]

    def without(self, signal_dn: npt.NDArray[np.float64]) -> "Expectation":
        """Return what is left when a signal (n,) is taken out."""
        return replace(self, residuals_dn=self.residuals_dn - signal_dn)

    def signal(
        self, mean_dn: npt.NDArray[np.float64], spread_dn: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return the most probable signal (n,) of a defect with these means and spreads (n,)."""
        variance = spread_dn**2
        both = self.covariance_dn2 + np.diag(variance)
        signal: npt.NDArray[np.float64] = mean_dn + variance * np.linalg.solve(
            both, self.residuals_dn - mean_dn
        )
        return signal


def expectation(
    window: Window, doubtful: Mask, channels_dn2: npt.NDArray[np.float64]
) -> Expectation:
    """Predict the doubtful samples of a window from all others.

    Parameters
    ----------
    window : (height, width, channels) float64
    doubtful : (height, width, channels) bool
    channels_dn2 : (channels, channels) float64
        As `channel_covariance` returns it.
    """
    unknown, known = np.nonzero(doubtful), np.nonzero(~doubtful)
    alike = _alike(*window.shape[:2])

    def covariance(
        one: tuple[npt.NDArray[np.intp], ...], other: tuple[npt.NDArray[np.intp], ...]
    ) -> npt.NDArray[np.float64]:
        pixels = [place[0] * window.shape[1] + place[1] for place in (one, other)]
        product: npt.NDArray[np.float64] = alike[pixels[0][:, None], pixels[1]]
        product *= channels_dn2[one[2][:, None], other[2]]
        return product

    among_known = covariance(known, known)
    among_known[np.diag_indices_from(among_known)] += _GRAIN_DN2
    across = covariance(known, unknown)
    weights = np.linalg.solve(among_known, across)
    # the level is taken out first, so that its great variance costs no digits
    level = window[known].mean() if len(known[0]) else window.mean()
    expected = level + weights.T @ (window[known] - level)
    left = covariance(unknown, unknown) - across.T @ weights
    left = (left + left.T) / 2
    left[np.diag_indices_from(left)] += _GRAIN_DN2
    return Expectation(unknown, window[unknown] - expected, left)


@lru_cache(maxsize=4)
def _alike(height: int, width: int) -> npt.NDArray[np.float64]:
    """Return how alike each two pixels of a window are, (height * width, height * width)."""
    rows, columns = (axis.ravel() for axis in np.mgrid[:height, :width])
    apart = np.hypot(rows[:, None] - rows, columns[:, None] - columns)
    alike: npt.NDArray[np.float64] = np.exp(-apart / _REACH_PX) + _LEVEL
    return alike


def channel_covariance(surroundings: Window, good: Mask) -> npt.NDArray[np.float64]:
    """Return how much neighbouring good pixels differ, as the field's covariance of channels.

    Returns
    -------
    (channels, channels) float64
        Variance of the field at one pixel, such that neighbours differ as they do.
    """
    whole = np.logical_and.reduce(good, axis=2)
    down, across = whole[1:] & whole[:-1], whole[:, 1:] & whole[:, :-1]
    steps = np.concatenate(
        [np.diff(surroundings, axis=0)[down], np.diff(surroundings, axis=1)[across]]
    )
    channels = surroundings.shape[2]
    least = _LEAST_VARIANCE_DN2 * np.eye(channels)
    if not len(steps):
        return least
    field: npt.NDArray[np.float64] = steps.T @ steps / len(steps) / _STEP_VARIANCE
    return field + least
