"""Codes the touched MCUs of a restart interval, and the DC differences that depend on them."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hotpixeld.core.jpeg.blocks import Blocks, Numbers, read_blocks, write_blocks
from hotpixeld.core.jpeg.opened import OpenedInterval
from hotpixeld.core.jpeg.splice import Replacement


@dataclass(frozen=True)
class Pieces:
    """What of an interval is coded anew, each a block or a block's DC difference, rising.

    Attributes
    ----------
    kinds : (p,) intp
        Each piece's block number within its MCU.
    dc_only : (p,) bool
        True for a DC difference alone: those of the MCU after a touched one.
    starts, ends : (p,) int64
        The bits that it stands for.
    blocks : (p, 64) int64
        What it is to hold; DC absolute, and zeros for what stays as it is.
    before : (p,) int64
        The DC value that its difference counts from.
    old_values : (p,) int64
        The DC value that was there.
    """

    kinds: Numbers
    dc_only: npt.NDArray[np.bool_]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    blocks: Blocks
    before: npt.NDArray[np.int64]
    old_values: npt.NDArray[np.int64]


def pieces_of(part: OpenedInterval, new: Blocks) -> Pieces:
    """Return what must be coded anew for the touched MCUs to hold ``new`` (t, blocks, 64)."""
    owners = np.array(part.coding.owners)
    values = part.places.values.copy()
    values[part.rows(part.local)] = new[:, :, 0]
    affected = np.union1d(part.local, part.local + 1)
    affected = affected[affected < part.interval.mcus]
    rows, touched = part.rows(affected), np.isin(affected, part.local)
    earlier = values[part.rows(np.maximum(affected - 1, 0))]
    earlier[affected == 0] = 0
    before, firsts = np.empty_like(earlier), np.zeros(len(owners), bool)
    for component in range(max(part.coding.owners) + 1):
        mine = np.flatnonzero(owners == component)
        firsts[mine[0]] = True
        before[:, mine[0]] = earlier[:, mine[-1]]
        before[:, mine[1:]] = values[rows][:, mine[:-1]]
    mcu, kinds = np.nonzero(touched[:, None] | firsts)
    dc_only = ~touched[mcu]
    blocks = np.zeros((len(mcu), 64), np.int64)
    blocks[~dc_only] = new.reshape(-1, 64)
    blocks[:, 0] = values[rows[mcu], kinds]
    starts, ends = (part.places.starts[rows[mcu], kinds + later] for later in (0, 1))
    _, after_dc, _ = read_blocks(part.stream, starts[dc_only], kinds[dc_only], part.coding)
    ends[dc_only] = after_dc
    old_values = part.places.values[rows[mcu], kinds]
    return Pieces(kinds, dc_only, starts, ends, blocks, before[mcu, kinds], old_values)


def coded(part: OpenedInterval, pieces: Pieces) -> list[Replacement]:
    """Code the pieces; those that follow each other at once are one replacement.

    Raises
    ------
    NoCodeError
        The file's tables have no code for a value.
    """
    bits, widths = _written(part, pieces)
    at = [0, *np.cumsum(widths).tolist()]
    apart = np.flatnonzero(pieces.starts[1:] != pieces.ends[:-1]) + 1
    bounds = [0, *apart.tolist(), len(widths)]
    starts, ends = pieces.starts.tolist(), pieces.ends.tolist()
    return [
        Replacement(
            starts[first],
            ends[stop - 1],
            np.packbits(bits[at[first] : at[stop]]),
            at[stop] - at[first],
        )
        for first, stop in pairwise(bounds)
    ]


def widths_of(part: OpenedInterval, pieces: Pieces) -> npt.NDArray[np.int64]:
    """Return how many bits each piece takes once it is coded."""
    return _written(part, pieces)[1]


def _written(
    part: OpenedInterval, pieces: Pieces
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    differences = pieces.blocks.copy()
    differences[:, 0] -= pieces.before
    return write_blocks(differences, pieces.kinds, part.coding, pieces.dc_only)
