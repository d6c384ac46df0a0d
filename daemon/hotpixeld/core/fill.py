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
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hotpixeld.core.hole import halves, pairs, patterns, solved_in_halves, symmetric

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
    """What the good samples of a window say about the doubtful ones; or of windows, stacked.

    Attributes
    ----------
    doubtful : tuple of three (n,) intp
        Their rows, columns and channels in the window.
    residuals_dn : (..., n) float64
        Value less expected value.
    covariance_dn2 : (..., n, n) float64
        Of the residuals, were there no defect.
    turned : int
        Where the doubtful samples, so many to a pixel, look the same when the window is turned by
        half; else 0.
    """

    doubtful: tuple[npt.NDArray[np.intp], ...]
    residuals_dn: npt.NDArray[np.float64]
    covariance_dn2: npt.NDArray[np.float64]
    turned: int = 0

    def __getitem__(self, index: int | slice | None) -> "Expectation":
        """Return one window's, or a stack of one."""
        return replace(
            self,
            residuals_dn=self.residuals_dn[index],
            covariance_dn2=self.covariance_dn2[index],
        )

    def without(self, signal_dn: npt.NDArray[np.float64]) -> "Expectation":
        """Return what is left when a signal (..., n) is taken out."""
        return replace(self, residuals_dn=self.residuals_dn - signal_dn)

    def signal(
        self, mean_dn: npt.NDArray[np.float64], spread_dn: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return the likeliest signal (..., n) of defects with these means and spreads (..., n)."""
        variance = spread_dn**2
        solved = self.solved(variance, (self.residuals_dn - mean_dn)[..., None])
        signal: npt.NDArray[np.float64] = mean_dn + variance * solved[..., 0]
        return signal

    def solved(
        self, more_dn2: npt.NDArray[np.float64], right: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Solve for ``right`` (..., n, k) the covariance with more variance (..., n) of each."""
        if self.turned and more_dn2.ndim + 1 == self.covariance_dn2.ndim:
            by_pixel = more_dn2.reshape(*more_dn2.shape[:-1], -1, self.turned)
            if np.array_equal(by_pixel, by_pixel[..., ::-1, :]):
                return solved_in_halves(self._halves, more_dn2, right, self.turned)
        covariance = self.covariance_dn2 + more_dn2[..., None] * np.eye(more_dn2.shape[-1])
        return np.asarray(np.linalg.solve(covariance, right), np.float64)

    @cached_property
    def _halves(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return halves(self.covariance_dn2, self.turned)


@dataclass(frozen=True)
class Field:
    """How the good pixels of some surroundings resemble each other, or of several, stacked.

    Attributes
    ----------
    channels_dn2 : (..., channels, channels) float64
        Variance at one pixel, such that neighbours differ as they do.
    metric : (..., 2, 2) float64
        The squared distance of two pixels is this form of their distances down and across; that of
        neighbours is 1 on average.
    """

    channels_dn2: npt.NDArray[np.float64]
    metric: npt.NDArray[np.float64]

    def table(self, height: int, width: int) -> npt.NDArray[np.float64]:
        """Return how alike pixels of a window are, (..., offsets): see `pairs`."""
        down, across = np.mgrid[1 - height : height, 1 - width : width].reshape(2, -1)
        rows, both, columns = (self.metric[..., i, j, None] for i, j in ((0, 0), (0, 1), (1, 1)))
        apart = np.sqrt(rows * down**2 + 2 * both * (down * across) + columns * across**2)
        table: npt.NDArray[np.float64] = np.exp(-apart / _REACH_PX) + _LEVEL
        return table

    def alike(self, height: int, width: int) -> npt.NDArray[np.float64]:
        """Return how alike each two pixels of a window are, (..., pixels, pixels)."""
        pixels = np.arange(height * width)
        return self.table(height, width)[..., pairs(pixels, pixels, (height, width))]


def expectation(window: Window, doubtful: Mask, field: Field) -> Expectation:
    """Predict the doubtful samples (height, width, channels) of a window from all others."""
    stacked = Field(field.channels_dn2[None], field.metric[None])
    return expectations(window[None], doubtful, stacked)[0]


def expectations(windows: npt.NDArray[np.float64], doubtful: Mask, fields: Field) -> Expectation:
    """Predict the same samples of n windows (n, height, width, channels), each in its field."""
    pixels = np.logical_or.reduce(doubtful, axis=2)
    residuals, covariances = _of_whole_pixels(windows, pixels, fields)
    unsure = doubtful[pixels].ravel()
    whole = bool(unsure.all())
    if not whole:
        residuals, covariances = _given(residuals, covariances, unsure)
    turned = doubtful.shape[2] if whole and symmetric(pixels) else 0
    return Expectation(np.nonzero(doubtful), residuals, covariances, turned)


def _of_whole_pixels(
    windows: npt.NDArray[np.float64], pixels: npt.NDArray[np.bool_], fields: Field
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Predict all channels of u pixels from the others: residuals and their covariances.

    The channels' principal axes do not tell of each other, so that each is solved alone; so are
    the patterns that the hole's symmetry sets apart.
    """
    along_dn2, axes = np.linalg.eigh(fields.channels_dn2)
    scale = along_dn2[:, :, None, None]
    table = fields.table(*pixels.shape)
    good, bad = windows[:, ~pixels], windows[:, pixels]
    # the level is taken out first, so that its great variance costs no digits
    level = (good if good.size else bad).mean(axis=(1, 2))[:, None, None]
    projected = axes.swapaxes(1, 2) @ (good - level).swapaxes(1, 2)
    expected = np.zeros((*projected.shape[:2], bad.shape[1]))
    left = np.zeros((len(windows), len(axes[0]), bad.shape[1], bad.shape[1]))
    for part in patterns(pixels):
        across = part.known_unknown(table)[:, None]
        among_known = scale * part.known_known(table)[:, None]
        each = np.arange(among_known.shape[-1])
        among_known[..., each, each] += _GRAIN_DN2
        weights = np.linalg.solve(among_known, scale * across)
        unexplained = part.unknown_unknown(table)[:, None] - across.swapaxes(2, 3) @ weights
        told = ((projected @ part.known)[:, :, None] @ weights)[:, :, 0]
        expected += told @ part.unknown.T
        left += part.unknown @ unexplained @ part.unknown.T
    left *= scale
    each = np.arange(bad.shape[1])
    left[..., each, each] += _GRAIN_DN2
    residuals = bad - level - (axes @ expected).swapaxes(1, 2)
    return residuals.reshape(len(windows), -1), _over_channels(left, axes)


def _over_channels(
    left: npt.NDArray[np.float64], axes: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the covariances of all samples, from those along each of the channels' axes."""
    count, channels, size, _ = left.shape
    both = (axes[:, :, None] * axes[:, None]).reshape(count, channels**2, channels)
    spread = (both @ left.reshape(count, channels, -1)).reshape(
        count, channels, channels, size, size
    )
    return spread.transpose(0, 3, 1, 4, 2).reshape(count, size * channels, size * channels)


def _given(
    residuals: npt.NDArray[np.float64],
    covariances: npt.NDArray[np.float64],
    unsure: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what is left of the unsure samples' residuals, and how sure, given the others'."""
    sure_rows, unsure_rows = covariances[:, ~unsure], covariances[:, unsure]
    between = sure_rows[:, :, unsure]
    told = np.linalg.solve(sure_rows[:, :, ~unsure], between).swapaxes(1, 2)
    return (
        residuals[:, unsure] - (told @ residuals[:, ~unsure, None])[..., 0],
        unsure_rows[:, :, unsure] - told @ between,
    )


def field_of(surroundings: Window, good: Mask) -> Field:
    """Learn from the good pixels of some surroundings how neighbours differ."""
    stacked = fields_of(surroundings[None], good)
    return Field(stacked.channels_dn2[0], stacked.metric[0])


def fields_of(surroundings: npt.NDArray[np.float64], good: Mask) -> Field:
    """Learn the fields of n surroundings (n, height, width, channels) with the same good pixels."""
    count, channels = len(surroundings), surroundings.shape[3]
    whole = np.logical_and.reduce(good, axis=2)
    steps = [_steps(surroundings, whole, *offset) for offset in _NEIGHBOURS]
    counts = [number for _, number in steps]
    least = np.tile(_LEAST_VARIANCE_DN2 * np.eye(channels), (count, 1, 1))
    blind = np.tile(np.eye(2), (count, 1, 1))
    near = counts[0] + counts[1]
    if not near:
        return Field(least, blind)
    products = [some.swapaxes(1, 2) @ some for some, _ in steps]
    channels_dn2 = (products[0] + products[1]) / near / _STEP_VARIANCE + least
    if min(counts) < _LEAST_STEPS:
        return Field(channels_dn2, blind)
    sums = [np.trace(product, axis1=1, axis2=2) for product in products]
    means = [total / number / channels for total, number in zip(sums, counts, strict=True)]
    return Field(channels_dn2, _metric(means))


def _steps(
    surroundings: npt.NDArray[np.float64], whole: npt.NDArray[np.bool_], down: int, right: int
) -> tuple[npt.NDArray[np.float64], int]:
    """Return the differences (n, steps, channels) of pixels that lie so far apart.

    They are 0 where not both pixels are good; and how many are.
    """
    height, width = whole.shape
    one = np.s_[: max(0, height - down), max(0, -right) : max(0, width - max(0, right))]
    other = np.s_[down:, max(0, right) : max(0, width + min(0, right))]
    both = whole[one] & whole[other]
    steps = surroundings[:, *other] - surroundings[:, *one]
    steps *= both[..., None]
    return steps.reshape(len(steps), -1, steps.shape[3]), int(np.count_nonzero(both))


def _metric(steps_dn2: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return n fields' metrics from the mean squares (n,) of their differences in four directions.

    In a field of this kind they grow with distance itself, so that their squares are those of
    distances.
    """
    across, down, falling, rising = ((each + _STEP_NOISE_DN2) ** 2 for each in steps_dn2)
    both = (falling - rising) / 4
    form = np.stack([down, both, both, across], axis=1).reshape(-1, 2, 2)
    sizes, axes = np.linalg.eigh(form)
    sizes = np.clip(sizes, 1e-9, None) ** _EDGES
    sizes = np.maximum(sizes, sizes.max(axis=1, keepdims=True) / _MOST_ALONG**2)
    metric: npt.NDArray[np.float64] = (axes * sizes[:, None]) @ axes.swapaxes(1, 2)
    size = np.sqrt(np.diagonal(metric, axis1=1, axis2=2)).mean(axis=1) ** 2
    metric /= size[:, None, None]
    return metric
