"""What to put where a defect was: values from good pixels outside the footprint."""

import numpy as np
import numpy.typing as npt

Window = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_MOST_DISTANCE_PX = 8


def inverse_distance(window: Window, good: Mask, row: int, column: int) -> float | None:
    """Predict one sample from the nearest good ones, weighted by 1 / distance.

    The weights are those of the first program, 1 beside and 1/sqrt(2) on the diagonal, carried on
    to where the eight neighbours are not all good: rings grow until one holds a good sample on
    each of two opposite sides, or two rings with any.

    Parameters
    ----------
    window : (height, width) float64
        One channel.
    good : (height, width) bool
        True where a sample may be used.

    Returns
    -------
    float or None
        None where no good sample lies within 8 pixels.
    """
    rows, columns = np.nonzero(good)
    reach = np.maximum(np.abs(rows - row), np.abs(columns - column))
    near = (reach > 0) & (reach <= _MOST_DISTANCE_PX)
    rows, columns, reach = rows[near], columns[near], reach[near]
    if not len(rows):
        return None
    for ring in range(1, _MOST_DISTANCE_PX + 1):
        held = reach <= ring
        down, right = rows[held] - row, columns[held] - column
        if _surrounded(down, right):
            break
    distance = np.hypot(rows[held] - row, columns[held] - column)
    return float(np.average(window[rows[held], columns[held]], weights=1 / distance))


def _surrounded(down: npt.NDArray[np.intp], right: npt.NDArray[np.intp]) -> bool:
    across = (right < 0).any() and (right > 0).any()
    along = (down < 0).any() and (down > 0).any()
    return bool(len(down) >= 3 and (across or along))


def fill(window: Window, good: Mask, wanted: Mask) -> Window:
    """Return the window with the ``wanted`` samples predicted from the ``good`` ones.

    Samples that no good one is near stay as they are.
    """
    filled = window.copy()
    for row, column in np.argwhere(wanted):
        value = inverse_distance(window, good, int(row), int(column))
        if value is not None:
            filled[row, column] = value
    return filled
