"""Parts of a frame."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Box:
    """Rows ``top <= row < bottom`` and columns ``left <= column < right``."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """How many rows and columns."""
        return self.bottom - self.top, self.right - self.left

    def widened(self, margin_px: int, shape: tuple[int, ...]) -> "Box":
        """Return the box with a margin, within a frame of ``shape``."""
        return Box(
            max(0, self.top - margin_px),
            max(0, self.left - margin_px),
            min(shape[0], self.bottom + margin_px),
            min(shape[1], self.right + margin_px),
        )

    def within(
        self, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.bool_]:
        """Tell which places lie in the box."""
        down = (rows >= self.top) & (rows < self.bottom)
        inside: npt.NDArray[np.bool_] = down & (columns >= self.left) & (columns < self.right)
        return inside

    def within_box(self, other: "Box") -> tuple[slice, slice]:
        """Return the box as the rows and columns of one that holds it."""
        return (
            slice(self.top - other.top, self.bottom - other.top),
            slice(self.left - other.left, self.right - other.left),
        )

    def of(self, frame: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Return the frame's part."""
        return frame[self.top : self.bottom, self.left : self.right]

    def pieces(self, most_px: int) -> Iterator["Box"]:
        """Cut the box into even pieces of at most ``most_px`` rows and columns."""
        down = -(-(self.bottom - self.top) // most_px)
        across = -(-(self.right - self.left) // most_px)
        rows = np.linspace(self.top, self.bottom, down + 1).astype(int).tolist()
        columns = np.linspace(self.left, self.right, across + 1).astype(int).tolist()
        for top, bottom in pairwise(rows):
            for left, right in pairwise(columns):
                yield Box(top, left, bottom, right)
