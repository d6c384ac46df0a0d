"""Putting a patch of frame values into the samples that a file stores.

A frame has neither alpha nor palette; a file may. Alpha stays as it is, and a palette pixel gets
the nearest colour of its palette, or a new one where the palette has an entry that no pixel uses.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from hotpixeld.core.patch import Patch
from hotpixeld.edge import reasons
from hotpixeld.edge.decode import Frame
from hotpixeld.errors import PhotoError

_OPAQUE = 255
_TILE_PX, _LARGE_PX = 256, 1_000_000
_OTHER_ALPHA = 1 << 20  # farther than any two colours


@dataclass(frozen=True)
class Palette:
    """The colours of a palette image.

    Attributes
    ----------
    colours : (n, 3) uint8
        RGB, at most 256.
    alphas : (n,) uint8
        255 is opaque.
    free : tuple of int
        Entries that no pixel uses, at most to be given new colours; they may lie beyond n.
    """

    colours: npt.NDArray[np.uint8]
    alphas: npt.NDArray[np.uint8]
    free: tuple[int, ...]


def patched(stored: Frame, patch: Patch) -> Frame:
    """Return ``stored`` (height, width, samples) with the patch in its colours; alpha stays."""
    result = stored.copy()
    result[patch.rows, patch.columns, : patch.values_dn.shape[1]] = patch.values_dn
    return result


def patched_indices(
    stored: Frame, patch: Patch, palette: Palette
) -> tuple[Frame, dict[int, tuple[int, ...]]]:
    """Return the indices with the patch in them, and the new colours by palette entry."""
    result = stored.copy()
    free = list(palette.free)
    size = max(len(palette.colours), *(entry + 1 for entry in free), 0)
    colours = np.zeros((size, 3), np.int32)
    colours[: len(palette.colours)] = palette.colours
    alphas = np.zeros(size, np.int32) - 1  # entries that are still to come match no alpha
    alphas[: len(palette.alphas)] = palette.alphas
    added: dict[int, tuple[int, ...]] = {}
    for row, column, value in zip(patch.rows, patch.columns, patch.values_dn, strict=True):
        alpha = alphas[stored[row, column, 0]]
        distances = ((colours - value.astype(np.int32)) ** 2).sum(axis=1)
        distances[alphas != alpha] += _OTHER_ALPHA
        index = int(distances.argmin())
        if distances[index] and alpha == _OPAQUE and free:
            index = free[0]
            colours[index], alphas[index] = value, _OPAQUE
            added[index] = tuple(int(v) for v in value)
        if index in free:
            free.remove(index)
        result[row, column, 0] = index
    return result, added


def unused_tail(indices: Frame, size: int, keep: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the entries of a palette of ``size`` behind the last one that a pixel uses."""
    last_used = max(int(indices.max()), *keep, -1)
    return tuple(range(last_used + 1, size))


def quality_of_equal_size(
    encoded_bytes: Callable[[Frame, int], int], values: Frame, size_bytes: int
) -> int:
    """Return a quality at which a lossy coder needs no less than ``size_bytes``, and little more.

    Parameters
    ----------
    encoded_bytes : callable
        Gives the size of some values (height, width, samples) at a quality of 1 to 100.
    values : (height, width, samples)
        The whole picture; of a large one, tiles from all over it stand for it.
    size_bytes : int
        What the coder made of the whole picture before.
    """
    tiles = _tiles(values)
    wanted_bytes = size_bytes * tiles.size // values.size
    low, high = 1, 100
    while low < high:
        middle = (low + high) // 2
        if encoded_bytes(tiles, middle) < wanted_bytes:
            low = middle + 1
        else:
            high = middle
    while low < 100 and encoded_bytes(values, low) < size_bytes:  # the tiles' seams cost bytes
        low += -(-(100 - low) // 4)
    return low


def _tiles(values: Frame) -> Frame:
    """Return every fourth tile down and across, put together; all of a small picture."""
    height, width = values.shape[0] // _TILE_PX * _TILE_PX, values.shape[1] // _TILE_PX * _TILE_PX
    if height * width < _LARGE_PX:
        return values
    tiles = values[:height, :width].reshape(
        height // _TILE_PX, _TILE_PX, width // _TILE_PX, _TILE_PX, -1
    )[::4, :, ::4]
    across, down = tiles.shape[2] * _TILE_PX, tiles.shape[0] * _TILE_PX
    return cast("Frame", np.ascontiguousarray(tiles).reshape(down, across, -1))


def check_same(decoded: Frame, wanted: Frame) -> None:
    """Raise ``PhotoError("not-writable")`` unless a copy decodes to exactly what it shall."""
    if decoded.shape != wanted.shape or not np.array_equal(decoded, wanted):
        raise PhotoError(reasons.NOT_WRITABLE, "the copy would not decode to the same pixels")
