"""With which photo a defect set in: every kind of defect foretells what each photo shows of it.

What a defect adds to a photo depends on the light around it and on the exposure. A stuck pixel
stands off by its level less the light's, a dead one by a share of the light, a hot one adds charge
before the tone curve, in proportion to the gain or to gain and exposure (Leung, Chapman et al.
2009, "Automatic detection of in-field defect growth in image sensors"). Where it ought to show and
does not, it is not there yet; where it could not show, nothing is known. Each hypothesis, of a
channel, a kind and a strength, gives each photo a log likelihood ratio against a good pixel; the
evidence for an onset is the sum over the hypotheses of the likelihood that they hold from there on
(Smith 1975, "A Bayesian approach to inference about a change-point in a sequence of random
variables"). Which channel, kind and strength it is need not be known, so none is chosen.

Residuals scatter as Student's t: edges and texture make some of them large, and no one photo must
outweigh the others (Lange, Little and Taylor 1989, "Robust statistical modeling using the t
distribution").
"""

import numpy as np
import numpy.typing as npt

from hotpixeld.core.observe import Light, Observed
from hotpixeld.core.residual import RESIDUAL_LIMIT

Floats = npt.NDArray[np.float64]

_SCATTER = 15.0  # of a good pixel's residuals, in 1/16 of a local spread
_FREEDOM = 5.0  # of Student's t: how heavy its tails are
_FORETOLD = (0.4, 0.7, 0.9, 1.1, 1.4)  # what a photo shows, of what is foretold
_UNFORETOLD = (0.1, 0.3, 0.6, 1.0, 1.6, 2.4)  # of the level that it has on average
_GAMMA = 2.2  # about what cameras' tone curves do
_WHITE, _QUARTERS = 250 / 255, 4
_STUCK_LEVELS = np.linspace(0.02, 1.0, 21)
_CHARGES = np.geomspace(2e-4, 0.3, 22)  # of full scale, at the median gain and exposure
_OFFSETS = np.geomspace(0.01, 0.5, 14)  # after the tone curve, or of raw data without one
_RESPONSES = np.linspace(0.0, 0.9, 10)
_ON_AVERAGE = np.geomspace(8, RESIDUAL_LIMIT, 8)


def onset_evidence(observed: Observed, light: Light | None) -> Floats:
    """Return (photos,): the log evidence that a defect is there from each photo on, not before.

    Parameters
    ----------
    observed : (photos, channels) int16
        As `hotpixeld.core.observe.observe` gives them, in order of capture.
    light : Light or None
        None: without knowledge of the light; dates are coarser then.
    """
    ratios = [_channel_ratios(observed, light, channel) for channel in range(observed.shape[1])]
    from_here_on = np.cumsum(np.concatenate(ratios)[:, ::-1], axis=1)[:, ::-1]
    evidence: Floats = np.logaddexp.reduce(from_here_on, axis=0)
    return evidence


def _channel_ratios(observed: Observed, light: Light | None, channel: int) -> Floats:
    """Return (hypotheses, photos): how much each photo speaks for a defect seen in a channel."""
    series = observed[:, channel].astype(np.float64)
    levels = np.concatenate([_ON_AVERAGE, -_ON_AVERAGE])
    on_average = np.repeat(levels[:, None], len(series), axis=1)
    ratios = _log_ratios(series, on_average, _UNFORETOLD)
    if light is None:
        return ratios
    known, foretold = _foretold(light, channel)
    ratios = np.concatenate([ratios, _log_ratios(series, foretold, _FORETOLD) * known])
    return ratios * _speaks(light, channel)


def _log_ratios(series: Floats, centres: Floats, shares: tuple[float, ...]) -> Floats:
    """Return (hypotheses, photos): how much each photo speaks for each, against a good pixel."""
    good = _off(series)
    odds = np.zeros_like(centres)
    for share in shares:
        centre = np.clip(share * centres, -RESIDUAL_LIMIT, RESIDUAL_LIMIT)
        ratio = good / _off(series - centre)
        odds += ratio * ratio * ratio  # to the power of half of (freedom + 1)
    ratios: Floats = np.log(odds / len(shares))
    return ratios


def _off(residuals: Floats) -> Floats:
    """Return what Student's t falls with, by a power."""
    return 1 + (residuals / _SCATTER) ** 2 / _FREEDOM


def _full_scale(light: Light) -> float:
    return _QUARTERS * (255.0 if light.depth_bits == 8 else 4095.0)


def _speaks(light: Light, channel: int) -> npt.NDArray[np.bool_]:
    """Return False where clipped surroundings say nothing."""
    level = light.surroundings[:, channel] / _full_scale(light)
    unknown = light.surroundings[:, -1] == 0
    speaks: npt.NDArray[np.bool_] = unknown | ((level > 0) & (level < _WHITE))
    return speaks


def _foretold(light: Light, channel: int) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Return where the light is known, and (hypotheses, photos) the residuals to be seen."""
    weight = light.surroundings[:, -1] / 4096
    level = np.clip(light.surroundings[:, channel] / _full_scale(light), 1 / 255, 1.0)
    gain = _relative(light.iso)
    exposures = [gain]
    if np.isfinite(light.exposure_s).any():
        exposures.append(_relative(gain * light.exposure_s))
    offs = [_STUCK_LEVELS[:, None] - level, -(1 - _RESPONSES[:, None]) * level]
    for exposure in exposures:
        charged = np.minimum(level**_GAMMA + _CHARGES[:, None] * exposure, 1.0)
        offs.append(charged ** (1 / _GAMMA) - level)
    offs += [_OFFSETS[:, None] * gain, np.repeat(_OFFSETS[:, None], len(gain), axis=1)]
    return weight > 0, np.concatenate(offs) * _full_scale(light) * weight


def _relative(values: Floats) -> Floats:
    """Return values over their median, 1 where they are unknown."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.ones_like(values)
    relative: Floats = np.nan_to_num(values / np.median(known), nan=1.0)
    return relative
