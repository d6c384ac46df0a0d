"""Tell whether a photo shows a scene that is already counted.

Bursts, tripod series, near-duplicates and edited copies show the same texture at the same place,
photo after photo: to the running moments that looks like a defect. The signature of a photo is its
brightness in 16 x 16 blocks, each block against its neighbours (so that exposure, vignetting and
plain skies say nothing), in units of the photo's own median contrast and clipped (so that one
horizon or lamp does not decide). Two photos of one scene correlate; two scenes do not: 256 nearly
independent blocks give a spread of 1/16 by chance.

Everything is integer arithmetic, so that a rebuild decides as the daemon did.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hotpixeld.core import kernel

BLOCKS = 16
SIGNATURE_BYTES = BLOCKS * BLOCKS
SIMILAR_PERCENT = 75  # by chance: 6 % spread, at most 20 in real series; bursts: over 80
_UNIT = 16  # one median contrast
_LIMIT = 48  # three median contrasts
_FLAT_DN = 1  # less contrast than this is noise, not a scene

Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def signature(frame: Frame) -> bytes:
    """Return the signature of a frame.

    Parameters
    ----------
    frame : (height, width, channels) uint8 or uint16
        At least 16 x 16 pixels; smaller frames are all alike flat.

    Returns
    -------
    bytes
        256 int8; all zero where the photo shows no structure: it is similar to nothing.
    """
    height, width = frame.shape[:2]
    if height < BLOCKS or width < BLOCKS:
        return bytes(SIGNATURE_BYTES)
    blocks = _block_means(frame)
    relief = 8 * blocks - _sum_of_neighbours(blocks)  # in 1/8 of a block mean's 1/16 DN
    contrast = int(np.median(np.abs(relief)))
    depth_shift = 8 if frame.dtype == np.uint16 else 0
    if contrast < (8 * 16 * _FLAT_DN << depth_shift) // 4:
        return bytes(SIGNATURE_BYTES)
    levels = (relief * _UNIT) // contrast
    clipped: npt.NDArray[np.int8] = np.clip(levels, -_LIMIT, _LIMIT).astype(np.int8)
    return clipped.tobytes()


def is_similar(one: bytes, other: bytes) -> bool:
    """Return True where both signatures show one scene; a flat photo is similar to none."""
    return find_similar(one, (other,)) is not None


def find_similar(new: bytes, known: Sequence[bytes]) -> int | None:
    """Return the position in ``known`` of the photo most similar to ``new``, or None if none is."""
    if not known or not any(new):
        return None
    mine = np.frombuffer(new, np.int8).astype(np.int64)
    theirs = np.frombuffer(b"".join(known), np.int8).reshape(len(known), -1).astype(np.int64)
    common = theirs @ mine
    own, others = int(mine @ mine), np.einsum("ij,ij->i", theirs, theirs)
    # correlation >= p, without roots: common > 0 and common^2 * 100^2 >= p^2 * own * others
    alike = (common > 0) & (others > 0)
    alike &= common * common * 10_000 >= SIMILAR_PERCENT**2 * own * others
    if not alike.any():
        return None
    return int(np.argmax(np.where(alike, common * common // np.maximum(others, 1), -1)))


def _block_means(frame: Frame) -> npt.NDArray[np.int64]:
    """Return (16, 16) means in 1/16 DN, summed over the channels and divided by their number.

    Of large blocks every few rows are read: a mean over thousands of pixels needs no more.
    """
    height, width, channels = frame.shape
    step = max(1, height // (BLOCKS * 32))
    edges = [*_edges(-(-height // step)), -(-height // step)]
    rows = _grey_sums(frame, edges, step)
    sums = np.add.reduceat(rows, _edges(width), axis=1, dtype=np.int64)
    counts = np.diff(edges)[:, None] * np.diff([*_edges(width), width])
    means: npt.NDArray[np.int64] = sums * 16 // (counts * channels)
    return means


def _grey_sums(frame: Frame, edges: Sequence[int], step: int) -> npt.NDArray[np.uint32]:
    """Return (blocks, width) sums over channels and every ``step``-th row between ``edges``."""
    height, width, channels = frame.shape
    sums = np.zeros((len(edges) - 1, width), np.uint32)
    if (compiled := kernel.chosen()) is not None:
        frame = kernel.laid_out(frame)
        for out, (a, b) in zip(sums, pairwise(edges), strict=True):
            compiled.grey_sums(frame, out, a * step, min(b * step, height), step)
        return sums
    read = frame[::step]
    # Channel by channel, then row by row: numpy is ten times slower over an axis of three.
    greys: npt.NDArray[np.unsignedinteger] = np.zeros(
        read.shape[:2], np.uint16 if frame.dtype == np.uint8 else np.uint32
    )
    for channel in range(channels):
        np.add(greys, read[..., channel], out=greys)
    for out, (a, b) in zip(sums, pairwise(edges), strict=True):
        greys[a:b].sum(axis=0, out=out, dtype=np.uint32)
    return sums


def _edges(length: int) -> list[int]:
    return [length * block // BLOCKS for block in range(BLOCKS)]


def _sum_of_neighbours(blocks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    wide = np.pad(blocks, 1, mode="reflect")
    total = -blocks
    for row in range(3):
        for column in range(3):
            total = total + wide[row : row + BLOCKS, column : column + BLOCKS]
    return total
