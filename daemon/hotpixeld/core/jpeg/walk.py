"""Finds the bits at which blocks of a scan begin, and their DC values.

`walk` is the whole interface: plain arrays in, plain arrays out. The compiled kernel, where it is
there, decodes block after block; numpy does short scans in plain Python and long ones in `lanes`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core import kernel
from hotpixeld.core.jpeg.huffman import Coding
from hotpixeld.core.jpeg.lanes import walk_lanes
from hotpixeld.core.jpeg.serialwalk import Positions, Steps, walk_serially, windows_of
from hotpixeld.core.jpeg.unsupported import JpegUnsupported

_SERIAL_BYTES = 30_000  # below, plain Python is done before the lanes are set up


@dataclass(frozen=True)
class Places:
    """Where some MCUs of a restart interval lie.

    Attributes
    ----------
    starts : (n, blocks + 1) int64
        Bit position of each block's first bit, and of the bit after the MCU.
    values : (n, blocks) int64
        DC values.
    end : int
        The bit after the interval's last MCU.
    """

    starts: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]
    end: int


def walk(
    stream: npt.NDArray[np.uint8], coding: Coding, mcus: int, wanted: npt.NDArray[np.int64]
) -> Places:
    """Find some MCUs of one restart interval, and check that it holds what it should.

    Parameters
    ----------
    stream : (n,) uint8
        The interval's bytes without stuffing, fewer than 2**28.
    coding : Coding
        Tables and order of the blocks.
    mcus : int
        How many MCUs the interval holds.
    wanted : (n,) int64
        The numbers of the MCUs to be found, rising.

    Raises
    ------
    JpegUnsupported
        ``scan-damaged`` where the stream does not hold that many MCUs, ``too-large``.
    """
    if len(stream) >= 1 << 28:
        raise JpegUnsupported("too-large", "the scan has more than 256 MiB")
    if (compiled := kernel.chosen()) is not None:
        return _walk_compiled(compiled, stream, coding, mcus, wanted)
    positions = block_starts(stream, coding, mcus)
    blocks = len(coding.dc)
    starts = positions[wanted[:, None] * blocks + np.arange(blocks + 1)]
    values = dc_values(stream, positions, coding)
    return Places(starts, values[wanted], int(positions[-1]))


def _walk_compiled(
    compiled: kernel.Kernel,
    stream: npt.NDArray[np.uint8],
    coding: Coding,
    mcus: int,
    wanted: npt.NDArray[np.int64],
) -> Places:
    blocks = len(coding.dc)
    starts = np.empty((len(wanted), blocks + 1), np.int64)
    values = np.empty((len(wanted), blocks), np.int64)
    dc, ac, owners = (bytes(numbers) for numbers in (coding.dc, coding.ac, coding.owners))
    end = compiled.walk(stream, coding.symbols, dc, ac, owners, mcus, wanted, starts, values)
    if end < 0:
        raise JpegUnsupported("scan-damaged", "the scan ends before the picture does")
    return Places(starts, values, end)


def block_starts(stream: npt.NDArray[np.uint8], coding: Coding, mcus: int) -> Positions:
    """Find where all blocks begin, with numpy.

    Returns
    -------
    (mcus * blocks + 1,) int64
        Bit position of each block's first bit, and of the bit after the last block.
    """
    steps = Steps.of(coding)
    phases = 1 if len(set(zip(coding.dc, coding.ac, strict=True))) == 1 else len(coding.dc)
    steps = Steps(steps.tables, steps.dc[:phases], steps.ac[:phases])
    blocks, bits = mcus * len(coding.dc), len(stream) * 8
    method = walk_serially if len(stream) < _SERIAL_BYTES else walk_lanes
    positions = method(windows_of(stream), steps, bits, blocks)
    if len(positions) != blocks + 1 or positions[-1] > bits:
        raise JpegUnsupported("scan-damaged", "the scan ends before the picture does")
    return positions


def dc_values(
    stream: npt.NDArray[np.uint8], positions: Positions, coding: Coding
) -> npt.NDArray[np.int64]:
    """Decode the DC value of every block of one restart interval, (mcus, blocks) int64.

    ``positions`` are those of `block_starts`.
    """
    owners = np.array(coding.owners)
    starts = positions[:-1].reshape(-1, len(owners))
    values = np.empty(starts.shape, np.int64)
    padded = np.concatenate([stream, np.zeros(8, np.uint8)])
    eight = np.ndarray((len(stream) + 1,), ">u8", padded.data, strides=(1,))  # from each byte on
    for component in range(max(coding.owners) + 1):
        mine = np.flatnonzero(owners == component)
        at = starts[:, mine].ravel()
        bits = eight[at >> 3].astype(np.uint64) << (at & 7).astype(np.uint64)
        entry = coding.tables[coding.dc[mine[0]]].symbols[bits >> np.uint64(48)]
        size = (entry & 15).astype(np.uint64)
        raw = bits << (entry >> 8).astype(np.uint64) >> np.uint64(1) >> np.uint64(63) - size
        differences = signed(raw.astype(np.int64), size.astype(np.int64))
        values[:, mine] = np.cumsum(differences).reshape(-1, len(mine))
    return values


def signed(raw: npt.NDArray[np.int64], size: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the values that ``size`` bits stand for (T.81, F.1.2.1)."""
    low = raw < 1 << np.maximum(size - 1, 0)
    return np.where(low & (size > 0), raw - (1 << size) + 1, raw)
