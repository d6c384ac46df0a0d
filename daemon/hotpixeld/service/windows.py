"""A few rows and columns of a sensor's running moments, for pictures, without loading them all."""

from collections.abc import Callable
from pathlib import Path

from hotpixeld.core.moments import Moments
from hotpixeld.edge.generations import read_window
from hotpixeld.edge.ledger import Ledger
from hotpixeld.errors import StateError

Resident = Callable[[int], tuple[int, Moments] | None]


def nothing_resident(_sensor_id: int) -> None:
    """Stand in for the memory of a daemon that is another process."""
    return


def window_of(
    ledger: Ledger, folder: Path, resident: Resident, sensor_id: int, place: tuple[slice, slice]
) -> Moments | None:
    """Return the moments of a window: of the current epoch and the previous one.

    Parameters
    ----------
    folder
        Where the generations are.
    resident
        What this process holds of a sensor's current epoch, newer than what the disk has.
    place
        Rows and columns.

    Returns
    -------
    Moments or None
        Of the window's shape; None where nothing is at hand, such as before the first commit.
    """
    held = resident(sensor_id)
    newest = ledger.db.execute(
        "SELECT epoch, file, max(generation) FROM generations WHERE sensor_id = ? "
        "GROUP BY epoch ORDER BY epoch DESC LIMIT 2",
        (sensor_id,),
    ).fetchall()
    parts = [_cut(held[1], *place)] if held is not None and held[1].count else []
    current = held[0] if held is not None else (newest[0]["epoch"] if newest else 0)
    for generation in newest:
        in_memory = held is not None and generation["epoch"] == current
        if not in_memory and generation["epoch"] >= current - 1:
            try:
                parts.append(read_window(folder / generation["file"], *place))
            except StateError:  # superseded this moment, or damaged: the daemon tells of that
                continue
    if not parts:
        return None
    whole = parts[0]
    for part in parts[1:]:
        whole.merge(part)
    return whole


def _cut(moments: Moments, rows: slice, columns: slice) -> Moments:
    arrays = {
        "sum_dn": moments.sum_dn[rows, columns].copy(),
        "sum_squares_dn2": moments.sum_squares_dn2[rows, columns].copy(),
        "residual": moments.residual[rows, columns].copy(),
    }
    height, width, channels = arrays["sum_dn"].shape
    return Moments.from_arrays((height, width, channels), moments.depth_bits, moments.count, arrays)
