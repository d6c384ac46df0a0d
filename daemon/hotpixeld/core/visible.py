"""Whether a defect shows in a photo: its residual against what the photo's noise allows."""

import numpy as np
import numpy.typing as npt

from hotpixeld.core.fill import Mask, Window

#: A residual shows from this many robust spreads of its surroundings on ...
SPREADS = 4.0
#: ... and from this many DN on, in 8 bits; a 16-bit frame has no such floor.
FLOOR_DN = 3.0


def noise_dn(window: Window, good: Mask) -> float:
    """Estimate the spread of good samples about what their neighbours predict.

    Parameters
    ----------
    window : (height, width) float64
        One channel round the defect.
    good : (height, width) bool
        True where no defect is known.

    Returns
    -------
    float
        1.4826 times the median absolute residual against the four neighbours' mean; 0 where there
        are too few good samples.
    """
    neighbours = (window[:-2, 1:-1] + window[2:, 1:-1] + window[1:-1, :-2] + window[1:-1, 2:]) / 4
    usable = good[1:-1, 1:-1] & good[:-2, 1:-1] & good[2:, 1:-1] & good[1:-1, :-2] & good[1:-1, 2:]
    residuals = (window[1:-1, 1:-1] - neighbours)[usable]
    if len(residuals) < 8:
        return 0.0
    return float(1.4826 * np.median(np.abs(residuals)))


def shows(residuals_dn: npt.NDArray[np.float64], noise: float, *, floor_dn: float) -> bool:
    """Tell whether any residual stands off the noise."""
    if not len(residuals_dn):
        return False
    return bool(np.abs(residuals_dn).max() > max(floor_dn, SPREADS * noise))
