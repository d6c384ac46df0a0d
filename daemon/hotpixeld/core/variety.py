"""Whether the photos are of different scenes, as the sums themselves show it."""

import numpy as np
import numpy.typing as npt

from hotpixeld.core.fields import Sums
from hotpixeld.core.residual import RESIDUAL_UNIT

STILL_DN = 15.0 / 255  # of full scale: photos of a tripod series differ by less, by noise alone
_STEP_ROWS = 8
# A residual's spread in one photo, and its fixed part, at most: of 45 made cameras and two real
# ones, at 15 to 200 photos, nine tenths of the blocks stay below 0.8 of this.
_VARIED, _PATTERN = 1.5, 0.2
_REPEATED_SHARE = 0.1  # of the blocks: a date stamp has fewer


def repeats(sums: Sums, spreads: npt.NDArray[np.float32]) -> bool:
    """Return True where some of the photos show one scene.

    Residuals of photos that have but the sensor's fixed pattern in common add up by chance, those
    of one scene to more: ``spreads`` (blocks down, blocks across, channels) are of the sums.
    """
    most = RESIDUAL_UNIT * np.sqrt(sums.count * (_VARIED**2 + _PATTERN**2 * sums.count))
    return bool(np.quantile(np.median(spreads, axis=2), 1 - _REPEATED_SHARE) > most)


def stands_still(sums: Sums, mean_variance: float, full_scale: float) -> bool:
    """Return True where the photos differ from one another less than one photo does in itself."""
    if mean_variance >= (STILL_DN * full_scale) ** 2:
        return False
    picture = sums.mean((slice(None, None, _STEP_ROWS),))
    return mean_variance < float(picture.var(axis=(0, 1)).mean())
