"""What one photo shows at some sites: for the share of photos, for dating and for healing."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core.residual import RESIDUAL_UNIT, residual_at

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
        """Return (photos, channels) of the known photos at the nearest site within 1 pixel."""
        if not len(self.sites):
            return None
        away = np.abs(self.sites - np.array([row, column])).max(axis=1)
        nearest = int(np.argmin(away))
        return self.values[self.known[:, nearest], nearest] if away[nearest] <= 1 else None


def signed(observed: Observed) -> npt.NDArray[np.int64]:
    """Return (photos,): the strongest channel's residuals, positive as the defect shows.

    Of a pixel that is stuck amid the scenes' range, now brighter and now darker than they are, it
    is the size beyond that of good pixels.
    """
    values = observed.astype(np.int64)
    totals, sizes = values.sum(axis=0), (np.abs(values) - 2 * RESIDUAL_UNIT).sum(axis=0)
    either = int(np.argmax(sizes))
    channel = int(np.argmax(np.abs(totals)))
    if sizes[either] > abs(totals[channel]):
        return np.abs(values[:, either]) - RESIDUAL_UNIT
    return values[:, channel] if totals[channel] >= 0 else -values[:, channel]


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
