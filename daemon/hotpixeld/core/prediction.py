"""How strongly exposure and ISO let one expect a defect to show.

A hot pixel's signal grows with exposure time and ISO speed (Leung, Chapman et al.: dark current and
offset, both amplified), a stuck one's does not. The per-photo residuals of a site tell which: where
they rise with the dose, ISO times exposure, the line through them predicts a photo's.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_LEAST_PHOTOS = 8
_LEAST_RANGE = 2.0  # doses that hardly differ tell nothing
_SURE_SPREADS = 3.0  # the slope must stand out of its own error so far
_MOST = 4.0


@dataclass(frozen=True)
class Prediction:
    """A line through a site's residuals over the dose, relative to their mean.

    Attributes
    ----------
    base, slope : float
        Of the factor on the usual strength; the dose is ISO times seconds.
    """

    base: float = 1.0
    slope: float = 0.0

    def at(self, iso: float | None, exposure_s: float | None) -> float:
        """Return the factor to expect, 0 to 4; 1 where the photo does not say."""
        if not self.slope or not iso or not exposure_s:
            return 1.0
        return float(np.clip(self.base + self.slope * iso * exposure_s, 0.0, _MOST))


def predict(series: npt.NDArray[np.int64], doses: npt.NDArray[np.float64]) -> Prediction:
    """Fit how a site's residuals depend on the dose.

    Parameters
    ----------
    series : (photos,) int
        As `hotpixeld.core.observe.signed` gives them: positive as the defect shows.
    doses : (photos,) float64
        ISO times exposure in seconds; not a number where a photo does not say.

    Returns
    -------
    Prediction
        Flat where too few photos tell, or the strength does not surely rise with the dose.
    """
    told = np.isfinite(doses)
    shown, dose = series[told].astype(np.float64), doses[told]
    if len(dose) < _LEAST_PHOTOS or dose.max() < _LEAST_RANGE * dose.min():
        return Prediction()
    away = dose - dose.mean()
    slope = float(away @ shown / (away @ away))
    mean = float(shown.mean())
    left = shown - mean - slope * away
    error = float(np.sqrt(left @ left / (len(dose) - 2) / (away @ away)))
    if mean <= 0 or slope <= _SURE_SPREADS * error:
        return Prediction()
    return Prediction(1.0 - slope * float(dose.mean()) / mean, slope / mean)
