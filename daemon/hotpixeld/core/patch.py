"""What a repair changes: some pixels of one frame and their new values."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Patch:
    """New values for some pixels of one frame.

    Attributes
    ----------
    rows, columns : (n,) intp
        Where, each pixel once, 0-based from the top left of the stored frame.
    values_dn : (n, channels) of the frame's dtype
        The new value of every channel; channels that stay carry the frame's own value.
    """

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    values_dn: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.rows)

    def applied_to(self, frame: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Return a copy of ``frame`` (height, width, channels) with the new values in place."""
        patched = frame.copy()
        patched[self.rows, self.columns] = self.values_dn
        return patched
