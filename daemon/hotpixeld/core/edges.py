"""What is normal in the outermost rows and columns of a frame.

Beyond the edge the frame is mirrored, so that a gradient does not cancel out there: these lines
have a bias and a wider spread of their own, learned from each of them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core.fields import Field
from hotpixeld.core.screening import (
    BAND_ROWS,
    BLOCK_PX,
    MEAN_ABS_TO_SIGMA,
    MOST_SPREADS,
    Beyond,
    Normal,
)
from hotpixeld.core.spread import bands_of

EDGE_PX = 3  # a field compares with pixels so far away at most
_LEAST_PX = 100  # a shorter line tells nothing

Levels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Edges:
    """The bias of each edge line, and what its wider spread divides by.

    Attributes
    ----------
    shape : (height, width, channels)
    lines : (2, 6, 2, channels) float32
        Of rows and of columns, the first three and the last three: bias, factor (1 at most).
    """

    shape: tuple[int, int, int]
    lines: Levels

    def eased(self, beyond: Beyond, least: float) -> Beyond:
        """Return what is beyond the screen, the edge lines' in their own spreads."""
        height, width, channels = self.shape
        pixels, channel = np.divmod(beyond.places, channels)
        levels = beyond.levels.copy()
        for axis, (position, length) in enumerate(
            zip(np.divmod(pixels, width), (height, width), strict=True)
        ):
            outer = np.flatnonzero((position < EDGE_PX) | (position >= length - EDGE_PX))
            number = (position[outer] + EDGE_PX) % length - EDGE_PX  # the last three from below 0
            bias, factor = self.lines[axis, number, :, channel[outer]].T
            levels[outer] = (levels[outer] - bias) * factor
        kept = np.abs(levels) >= least
        return Beyond(beyond.places[kept], levels[kept])


def edges_of(field: Field, normal: Normal) -> Edges:
    """Learn a field's edge lines; a small frame has none."""
    height, width, channels = field.shape
    lines = np.zeros((2, 2 * EDGE_PX, 2, channels), np.float32)
    lines[:, :, 1] = 1
    if min(height, width) >= _LEAST_PX:
        ends = np.r_[0:EDGE_PX, -EDGE_PX:0]
        rows, columns = np.arange(height), np.arange(width)
        values = [field.values(slice(row, row + 1)) for row in ends % height]
        lines[0] = _learned(np.concatenate(values), normal, ends % height, columns)
        values = [field.values(band)[:, ends % width] for band in bands_of(height, BAND_ROWS)]
        lines[1] = _learned(np.concatenate(values), normal, rows, ends % width, along=0)
    return Edges((height, width, channels), lines)


def _learned(
    values: npt.NDArray[np.signedinteger],
    normal: Normal,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    along: int = 1,
) -> Levels:
    """Return (lines, 2, channels): bias and factor of each line of ``values``."""
    block = np.ix_(rows // BLOCK_PX, columns // BLOCK_PX)
    phase = np.ix_(rows % BLOCK_PX, columns % BLOCK_PX)
    levels = (values * normal.inverse[block] - normal.bias[phase]) * normal.factor[phase]
    clipped = np.clip(levels, -MOST_SPREADS, MOST_SPREADS)
    bias = clipped.mean(axis=along, keepdims=True)
    spread = MEAN_ABS_TO_SIGMA * np.abs(clipped - bias).mean(axis=along)
    learned: Levels = np.stack([bias.squeeze(along), 1 / np.maximum(spread, 1)], axis=1)
    return learned.astype(np.float32)
