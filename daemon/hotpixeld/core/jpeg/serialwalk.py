"""The numpy walk over a scan, from a known state: in plain Python, for short scans and bridges."""

from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core.jpeg.huffman import END_OF_BLOCK, IMPOSSIBLE, Coding
from hotpixeld.core.jpeg.unsupported import JpegUnsupported

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """The tables of a coding as this walk takes them, (tables, 65536) int32."""

    tables: npt.NDArray[np.int32]
    dc: tuple[int, ...]
    ac: tuple[int, ...]

    @classmethod
    def of(cls, coding: Coding) -> "Steps":
        """Return those of a coding."""
        entries = [
            table.decoding(dc=number in coding.dc) for number, table in enumerate(coding.tables)
        ]
        return cls(np.stack(entries), coding.dc, coding.ac)


def windows_of(stream: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Return at each byte the 24 bits from there on, zeros after the end."""
    padded = np.concatenate([stream, np.zeros(34, np.uint8)])
    windows = padded[:-2].astype(np.int32)
    windows <<= 8
    windows |= padded[1:-1]
    windows <<= 8
    windows |= padded[2:]
    return windows


def walk_serially(
    windows: npt.NDArray[np.int32], coding: Steps, bits: int, blocks: int
) -> Positions:
    """Return where the first ``blocks`` blocks begin, and the bit after them."""
    return Serial(windows, coding).decode(0, 0, blocks + 1, bits)[0]


class Records:
    """Block starts that lanes met, rising, and the states they were met in."""

    def __init__(self, positions: npt.NDArray[np.int32], states: npt.NDArray[np.int16]) -> None:
        self.positions = positions
        self.states = states

    def find(
        self, positions: npt.NDArray[np.int32], states: npt.NDArray[np.int16]
    ) -> npt.NDArray[np.intp]:
        """Return the index of each given start, -1 where it was not met."""
        at = np.searchsorted(self.positions, positions)
        at[at == len(self.positions)] = 0
        met = (self.positions[at] == positions) & (self.states[at] == states)
        return np.where(met, at, -1)


class Serial:
    """Decodes from a known state, in plain Python: short scans, and what the lanes left open."""

    def __init__(self, windows: npt.NDArray[np.int32], coding: Steps) -> None:
        self._windows = memoryview(windows.data)
        self._dc = [memoryview(coding.tables[table].data) for table in coding.dc]
        self._ac = [memoryview(coding.tables[table].data) for table in coding.ac]

    def decode(
        self, position: int, phase: int, most: int, bits: int, known: Records | None = None
    ) -> tuple[Positions, int]:
        """Record block starts: ``most`` of them, or up to the end, or until a known one is met.

        Returns
        -------
        (n,) int64, int
            The starts before the meeting, and the meeting's index in ``known`` (or -1).
        """
        windows, starts, blocks = self._windows, array("q"), len(self._dc)
        at = int(np.searchsorted(known.positions, position)) if known is not None else 0
        positions = memoryview(known.positions.data if known is not None else b"")
        while position <= bits:
            while at < len(positions) and positions[at] < position:
                at += 1
            met = known is not None and at < len(positions) and positions[at] == position
            if known is not None and met and known.states[at] == phase * 64:
                return np.array(starts, np.int64), at
            starts.append(position)
            if len(starts) >= most or position == bits:
                break
            position = self._block_end(windows, position, phase)
            phase = (phase + 1) % blocks
        return np.array(starts, np.int64), -1

    def _block_end(self, windows: "memoryview[int]", position: int, phase: int) -> int:
        entry = self._dc[phase][windows[position >> 3] >> (8 - (position & 7)) & 0xFFFF]
        if entry >> 8 == IMPOSSIBLE:
            raise JpegUnsupported("scan-damaged", f"impossible code at bit {position}")
        position += entry & 255
        table, index, last = self._ac[phase], 1, len(windows) - 1
        while index < 64:
            entry = table[windows[min(position >> 3, last)] >> (8 - (position & 7)) & 0xFFFF]
            position += entry & 255
            advance = entry >> 8
            if advance == END_OF_BLOCK:
                return position
            index += advance
        if index > 64:
            raise JpegUnsupported("scan-damaged", f"impossible run at bit {position}")
        return position
