"""What stood where a defect is: an estimate from good pixels and from the spoiled ones themselves.

The photo round a defect is taken as a Gaussian field (kriging): samples resemble each other by
exp(-distance / 12 px), where distance counts less along edges, as the surroundings show; channels
as they do there. The good samples then give each doubtful one an expected value and a covariance.
A defect adds a signal of unknown sign whose spread at each subpixel is known roughly: from its
profile learned over many photos, or from how demosaicing and JPEG usually spread one photosite.
What of the doubtful samples' residual is that signal and what is picture follows by Bayes' rule, so
that the core is interpolated, the rim keeps its grain, and a channel that is less spoiled tells of
the others.
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
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
_LEAST_STEPS = 8
_STEP_NOISE_DN2 = 0.5
_EDGES, _MOST_ALONG = 0.7, 4.0  # how far to follow them, how much nearer along them; measured

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


@dataclass(frozen=True)
class Field:
    """How the good pixels of some surroundings resemble each other.

    Attributes
    ----------
    channels_dn2 : (channels, channels) float64
        Variance at one pixel, such that neighbours differ as they do.
    metric : (2, 2) float64
        The squared distance of two pixels is this form of their distances down and across; that of
        neighbours is 1 on average.
    """

    channels_dn2: npt.NDArray[np.float64]
    metric: npt.NDArray[np.float64]

    def alike(self, height: int, width: int) -> npt.NDArray[np.float64]:
        """Return how alike each two pixels of a window are, (height * width, height * width)."""
        down, across = np.mgrid[1 - height : height, 1 - width : width]
        (rows, both), (_, columns) = self.metric
        apart = np.sqrt(rows * down**2 + 2 * both * down * across + columns * across**2)
        table = np.exp(-apart / _REACH_PX) + _LEVEL
        found: npt.NDArray[np.float64] = table.ravel()[_offsets(height, width)]
        return found


@lru_cache(maxsize=16)
def _offsets(height: int, width: int) -> npt.NDArray[np.intp]:
    """Return where in a table of all offsets each pair of a window's pixels stands."""
    rows, columns = (axis.ravel() for axis in np.mgrid[:height, :width])
    down, across = rows[:, None] - rows, columns[:, None] - columns
    offsets: npt.NDArray[np.intp] = (down + height - 1) * (2 * width - 1) + across + width - 1
    return offsets


def expectation(window: Window, doubtful: Mask, field: Field) -> Expectation:
    """Predict the doubtful samples (height, width, channels) of a window from all others."""
    pixels = np.logical_or.reduce(doubtful, axis=2)
    residuals, covariance = _of_whole_pixels(window, pixels, field)
    unsure = doubtful[pixels].ravel()
    if not unsure.all():
        residuals, covariance = _given(residuals, covariance, unsure)
    return Expectation(np.nonzero(doubtful), residuals, covariance)


def _of_whole_pixels(
    window: Window, pixels: npt.NDArray[np.bool_], field: Field
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Predict all channels of n pixels from the other pixels: residuals and their covariance.

    The channels' principal axes do not tell of each other, so that each is solved alone.
    """
    along_dn2, axes = np.linalg.eigh(field.channels_dn2)
    scale = along_dn2[:, None, None]
    known, unknown = np.flatnonzero(~pixels), np.flatnonzero(pixels)
    alike = field.alike(*pixels.shape)
    across = alike[np.ix_(known, unknown)]
    among_known = scale * alike[np.ix_(known, known)]
    each = np.arange(len(known))
    among_known[:, each, each] += _GRAIN_DN2
    weights = np.linalg.solve(among_known, scale * across)
    left = scale * (alike[np.ix_(unknown, unknown)] - across.T @ weights)
    each = np.arange(len(unknown))
    left[:, each, each] += _GRAIN_DN2
    # the level is taken out first, so that its great variance costs no digits
    level = window[~pixels].mean() if len(known) else window.mean()
    projected = ((window[~pixels] - level) @ axes).T
    expected = level + (projected[:, None] @ weights)[:, 0].T @ axes.T
    size = len(unknown) * len(axes)
    covariance = np.empty((len(unknown), len(axes), len(unknown), len(axes)))
    flat = left.reshape(len(axes), -1)
    for one, row in enumerate(axes):
        for other in range(one + 1):
            block = ((row * axes[other]) @ flat).reshape(left.shape[1:])
            covariance[:, one, :, other] = (block + block.T) / 2
            covariance[:, other, :, one] = covariance[:, one, :, other]
    return (window[pixels] - expected).ravel(), covariance.reshape(size, size)


def _given(
    residuals: npt.NDArray[np.float64],
    covariance: npt.NDArray[np.float64],
    unsure: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what is left of the unsure samples' residuals, and how sure, given the others'."""
    between = covariance[np.ix_(~unsure, unsure)]
    told = np.linalg.solve(covariance[np.ix_(~unsure, ~unsure)], between)
    return (
        residuals[unsure] - told.T @ residuals[~unsure],
        covariance[np.ix_(unsure, unsure)] - between.T @ told,
    )


def field_of(surroundings: Window, good: Mask) -> Field:
    """Learn from the good pixels of some surroundings how neighbours differ."""
    whole = np.logical_and.reduce(good, axis=2)
    steps = [_steps(surroundings, whole, *offset) for offset in _NEIGHBOURS]
    near = np.concatenate(steps[:2])
    least = _LEAST_VARIANCE_DN2 * np.eye(surroundings.shape[2])
    if not len(near):
        return Field(least, np.eye(2))
    channels_dn2 = near.T @ near / len(near) / _STEP_VARIANCE + least
    if min(map(len, steps)) < _LEAST_STEPS:
        return Field(channels_dn2, np.eye(2))
    return Field(channels_dn2, _metric([float(np.mean(some**2)) for some in steps]))


def _steps(
    surroundings: Window, whole: npt.NDArray[np.bool_], down: int, right: int
) -> npt.NDArray[np.float64]:
    """Return the differences (n, channels) of good pixels that lie so far apart."""
    height, width = whole.shape
    one = np.s_[: max(0, height - down), max(0, -right) : max(0, width - max(0, right))]
    other = np.s_[down:, max(0, right) : max(0, width + min(0, right))]
    difference = surroundings[other] - surroundings[one]
    steps: npt.NDArray[np.float64] = difference[whole[one] & whole[other]]
    return steps


def _metric(steps_dn2: list[float]) -> npt.NDArray[np.float64]:
    """Return a field's metric from the mean squares of its differences in four directions.

    In a field of this kind they grow with distance itself, so that their squares are those of
    distances.
    """
    across, down, falling, rising = ((each + _STEP_NOISE_DN2) ** 2 for each in steps_dn2)
    both = (falling - rising) / 4
    sizes, axes = np.linalg.eigh(np.array([[down, both], [both, across]]))
    sizes = np.clip(sizes, 1e-9, None) ** _EDGES
    sizes = np.maximum(sizes, sizes.max() / _MOST_ALONG**2)
    metric: npt.NDArray[np.float64] = (axes * sizes) @ axes.T
    return metric / np.mean(np.sqrt(np.diag(metric))) ** 2
