"""What one photo shows at some sites: for the share of photos, for dating and for healing."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core.residual import RESIDUAL_UNIT, residual_at, surroundings_at

Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Observed = npt.NDArray[np.int16]

SHOWN = RESIDUAL_UNIT * 3 // 2  # one and a half local spreads


def observe(frame: Frame, sites: npt.NDArray[np.intp]) -> Observed:
    """Return the residuals of one photo at some sites.

    Parameters
    ----------
    frame : (height, width, channels) uint8 or uint16
    sites : (n, 2) intp
        Row and column of each.

    Returns
    -------
    (n, channels) int16
        In 1/16 of the local spread, as `hotpixeld.core.residual` defines it.
    """
    return residual_at(frame, sites)


def surroundings(frame: Frame, sites: npt.NDArray[np.intp]) -> Observed:
    """Return what lay around some sites in one photo, so that a defect's size can be foretold.

    As `hotpixeld.core.residual.surroundings_at`: (n, channels + 1) int16.
    """
    return surroundings_at(frame, sites)


@dataclass(frozen=True)
class Light:
    """What one site stood against in each photo.

    Attributes
    ----------
    surroundings : (photos, channels + 1) int16
        As `surroundings` gives them; 0 where they were not observed.
    iso, exposure_s : (photos,) float64
        nan where the photo does not say.
    depth_bits : int
        8 or 16.
    """

    surroundings: Observed
    iso: npt.NDArray[np.float64]
    exposure_s: npt.NDArray[np.float64]
    depth_bits: int = 8

    def of(self, photos: slice | npt.NDArray[np.bool_]) -> "Light":
        """Return that of some photos."""
        of = self.surroundings[photos], self.iso[photos], self.exposure_s[photos]
        return Light(*of, self.depth_bits)


@dataclass(frozen=True)
class Observations:
    """Per-photo residuals at sites.

    Attributes
    ----------
    sites : (n, 2) intp
        Row and column.
    values : (photos, n, channels) int16
        As `observe` gives them, in order of capture.
    known : (photos, n) bool
        False where the photo was not observed at the site.
    """

    sites: npt.NDArray[np.intp]
    values: Observed
    known: npt.NDArray[np.bool_]

    def at(self, row: int, column: int) -> Observed | None:
        """Return (photos, channels) of the known photos at the site of a place."""
        site = self.site_of(row, column)
        return None if site is None else self.values[self.known[:, site], site]

    def site_of(self, row: int, column: int) -> int | None:
        """Return the number of the nearest site within 1 pixel; None where there is none."""
        if not len(self.sites):
            return None
        away = np.abs(self.sites - np.array([row, column])).max(axis=1)
        nearest = int(np.argmin(away))
        return nearest if away[nearest] <= 1 else None


def signed(observed: Observed) -> npt.NDArray[np.int64]:
    """Return (photos,): the strongest channel's residuals, positive as the defect shows.

    Of a pixel that is stuck amid the scenes' range, now brighter and now darker than they are, it
    is the size beyond that of good pixels.
    """
    channel, either = telling_channel(observed)
    values = observed[:, channel].astype(np.int64)
    if either:
        return np.abs(values) - RESIDUAL_UNIT
    return values if values.sum() >= 0 else -values


def telling_channel(observed: Observed) -> tuple[int, bool]:
    """Return the strongest channel, and whether it stands off now to one side, now to the other."""
    values = observed.astype(np.int64)
    totals = np.abs(values.sum(axis=0))
    sizes = (np.abs(values) - 2 * RESIDUAL_UNIT).sum(axis=0)
    if sizes.max() > totals.max():
        return int(np.argmax(sizes)), True
    return int(np.argmax(totals)), False


def shows_in(observed: Observed) -> float:
    """Return the share of photos, 0 to 1, that show it, beyond those that would by chance.

    Good pixels stand off as often on one side as on the other: what stands off on the wrong side
    is taken from what stands off on the right one.
    """
    series = signed(observed)
    if not len(series):
        return 0.0
    right, wrong = int((series >= SHOWN).sum()), int((series <= -SHOWN).sum())
    return max(0.0, (right - wrong) / len(series))
