"""Whether a defect shows in a photo: its residual against what the photo's noise allows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core.fill import Expectation

#: Of good pixels 98 % stay below 3.5 spreads and 99 % below 4.0 (simulated
#: cameras, real scenes); what JPEG leaves of a repaired spot, mostly below 4.7.
_ENOUGH_SPREADS = 4.7
#: Where exposure and ISO say that it cannot show, the evidence must be stronger.
_UNEXPECTED_SPREADS = 6.0
_CAN_SHOW_SPREADS = 1.0
_BARE_SPREADS = 5.0  # where nothing was learned, so that any channel may stand off either way
_DOUBT_SPREADS2 = 3.0  # a channel; measured: fewer repairs that are worse than none
_OTHER_CHANNELS = 0.2  # the least that a channel is spoiled, of the most spoiled one; measured


@dataclass(frozen=True)
class Strength:
    """How strongly a defect's profile stands in a photo.

    Attributes
    ----------
    scale : float
        Factor on the profile that fits best; 1 is the strength it was learned at.
    spreads : float
        How many standard deviations of the photo itself that is.
    expected_spreads : float
        How many a scale of 1 would be.
    peak_dn : float
        The greatest change of a subpixel.
    core_spreads : float
        The residual of the most spoiled pixel alone, whatever the profile's sign: stuck pixels
        have none.
    """

    scale: float
    spreads: float
    expected_spreads: float
    peak_dn: float
    core_spreads: float

    def shows(self, *, floor_dn: float, predicted: float = 1.0) -> bool:
        """Tell whether the defect shows.

        Parameters
        ----------
        floor_dn : float
            What no eye would see.
        predicted : float
            How strong exposure and ISO let one expect it, as a factor on the profile.
        """
        can_show = abs(predicted) * self.expected_spreads >= _CAN_SHOW_SPREADS
        enough = _ENOUGH_SPREADS if can_show else _UNEXPECTED_SPREADS
        return self.peak_dn >= floor_dn and max(abs(self.spreads), self.core_spreads) >= enough


def strength(expected: Expectation, profile_dn: npt.NDArray[np.float64]) -> Strength:
    """Fit a profile to the residuals of one photo (matched filter).

    Parameters
    ----------
    expected : Expectation
        Of n doubtful samples.
    profile_dn : (n,) float64
        The learned excess of each; 0 where none was learned.
    """
    held = profile_dn != 0
    if not held.any():
        return Strength(0.0, 0.0, 0.0, 0.0, 0.0)
    profile, residuals = profile_dn[held], expected.residuals_dn[held]
    covariance = expected.covariance_dn2[np.ix_(held, held)]
    weights = np.linalg.solve(covariance, profile)
    information = float(weights @ profile)
    scale = float(weights @ residuals) / information
    core = np.abs(profile) >= 0.7 * np.abs(profile).max()
    core_dn = np.abs(residuals[core])
    core_spreads = core_dn / np.sqrt(np.diag(covariance)[core])
    return Strength(
        scale,
        scale * information**0.5,
        information**0.5,
        float(max(np.abs(scale * profile).max(), core_dn.max())),
        float(core_spreads.max()),
    )


@dataclass(frozen=True)
class Standing:
    """How far a photo stands off round positions of which nothing was learned.

    Attributes
    ----------
    spread_dn : (channels,) float64
        What a defect there is thought to add at the positions, of unknown sign.
    spreads : float
        How many standard deviations all channels together stand off, as a defect would.
    peak_dn : float
        The channel that stands off most.
    """

    spread_dn: npt.NDArray[np.float64]
    spreads: float
    peak_dn: float

    def shows(self, *, floor_dn: float) -> bool:
        """Tell whether a defect shows; ``floor_dn`` is what no eye would see."""
        return self.peak_dn >= floor_dn and self.spreads >= _BARE_SPREADS


def standing(
    expected: Expectation,
    usual: npt.NDArray[np.float64],
    others_dn: npt.NDArray[np.float64],
    channels: int,
) -> Standing:
    """Fit the usual reach of a defect to the residuals of one photo: see `standings`."""
    return standings(expected[None], usual, others_dn, channels)[0]


def standings(
    expected: Expectation,
    usual: npt.NDArray[np.float64],
    others_dn: npt.NDArray[np.float64],
    channels: int,
) -> list[Standing]:
    """Fit the usual reach of a defect to the residuals of windows, each channel for itself.

    What stands off no farther than the picture itself may is not taken for a defect.

    Parameters
    ----------
    expected : Expectation
        Of n doubtful samples of each window.
    usual, others_dn : (n,) float64
        How far a defect usually reaches, 1 at the positions, and the spread that other defects add;
        the same in all windows.
    channels : int
        Of the frame.
    """
    of_sample = expected.doubtful[2]
    held = np.unique(of_sample[usual > 0])
    shape = np.where(of_sample[:, None] == held, usual[:, None], 0.0)
    windows = expected.residuals_dn.shape
    weights = expected.solved(
        np.broadcast_to(others_dn**2, windows), np.broadcast_to(shape, (*windows, len(held)))
    ).swapaxes(1, 2)
    told = weights @ expected.residuals_dn[..., None]
    fitted = np.linalg.solve(weights @ shape, told)
    off = np.zeros((len(told), channels))
    off[:, held] = np.abs(fitted[..., 0])
    for sample in np.flatnonzero(usual == 1):
        mine = off[:, of_sample[sample]]
        np.maximum(mine, np.abs(expected.residuals_dn[:, sample]), out=mine)
    spreads2 = np.maximum((told * fitted).sum(axis=(1, 2)), 1e-9)
    sure = np.maximum(0.0, 1 - _DOUBT_SPREADS2 * len(held) / spreads2)
    peaks = off.max(axis=1)
    spreads_dn = np.hypot(off, _OTHER_CHANNELS * peaks[:, None]) * np.sqrt(sure)[:, None]
    return [
        Standing(spread_dn, spreads, peak_dn)
        for spread_dn, spreads, peak_dn in zip(
            spreads_dn, np.sqrt(spreads2).tolist(), peaks.tolist(), strict=True
        )
    ]
