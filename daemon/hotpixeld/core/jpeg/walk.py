"""Finds the bits at which blocks of a scan begin, and their DC values.

`walk` is the whole interface: plain arrays in, plain arrays out. The compiled kernel, where it is
there, decodes block after block. In numpy the stream is cut into chunks, and all of them are
decoded in lockstep, one symbol a step, each from a guessed state. Huffman codes find their step
again by themselves (Klein & Wiseman 2003; Weissenberger & Schmidt 2021), and a chunk that meets an
impossible symbol goes on in another phase of the MCU, so that the phase locks as well. The true
state is then handed from chunk to chunk: where it was met by the guess the records hold from there
on, elsewhere the chunk is decoded again from the true state until it meets a record. So the result
is exact.
"""

from array import array
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hotpixeld.core import kernel
from hotpixeld.core.jpeg.huffman import END_OF_BLOCK, IMPOSSIBLE, HuffmanTable
from hotpixeld.core.jpeg.unsupported import JpegUnsupported

_LANES = 8192
_CHUNK_BYTES = 640  # a block has at most 64 * 32 bits, so it ends in the next chunk
_SERIAL_BYTES = 30_000  # below, plain Python is done before the lanes are set up
_CHECK_EVERY = 32

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Coding:
    """How the blocks of an MCU are coded.

    Attributes
    ----------
    tables : tuple of HuffmanTable
        Those for DC first, then those for AC.
    dc, ac : tuple of int
        For each block of an MCU, in the order of the scan, its tables' numbers.
    owners : tuple of int
        For each block of an MCU its component.
    """

    tables: tuple[HuffmanTable, ...]
    dc: tuple[int, ...]
    ac: tuple[int, ...]
    owners: tuple[int, ...]

    @cached_property
    def symbols(self) -> npt.NDArray[np.uint16]:
        """(tables, 65536): each table by the next 16 bits, as `HuffmanTable.symbols`."""
        return np.stack([table.symbols for table in self.tables])


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
    steps = _Steps.of(coding)
    phases = 1 if len(set(zip(coding.dc, coding.ac, strict=True))) == 1 else len(coding.dc)
    steps = _Steps(steps.tables, steps.dc[:phases], steps.ac[:phases])
    blocks, bits = mcus * len(coding.dc), len(stream) * 8
    method = _walk_serially if len(stream) < _SERIAL_BYTES else _walk_lanes
    positions = method(_windows(stream), steps, bits, blocks)
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


@dataclass(frozen=True)
class _Steps:
    """The tables of a coding as the numpy walk takes them, (tables, 65536) int32."""

    tables: npt.NDArray[np.int32]
    dc: tuple[int, ...]
    ac: tuple[int, ...]

    @classmethod
    def of(cls, coding: Coding) -> "_Steps":
        entries = [
            table.decoding(dc=number in coding.dc) for number, table in enumerate(coding.tables)
        ]
        return cls(np.stack(entries), coding.dc, coding.ac)


def _windows(stream: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Return at each byte the 24 bits from there on, zeros after the end."""
    padded = np.concatenate([stream, np.zeros(34, np.uint8)])
    windows = padded[:-2].astype(np.int32)
    windows <<= 8
    windows |= padded[1:-1]
    windows <<= 8
    windows |= padded[2:]
    return windows


def _walk_serially(
    windows: npt.NDArray[np.int32], coding: _Steps, bits: int, blocks: int
) -> Positions:
    return _Serial(windows, coding).decode(0, 0, blocks + 1, bits)[0]


class _Records:
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


class _Serial:
    """Decodes from a known state, in plain Python: short scans, and what the lanes left open."""

    def __init__(self, windows: npt.NDArray[np.int32], coding: _Steps) -> None:
        self._windows = memoryview(windows.data)
        self._dc = [memoryview(coding.tables[table].data) for table in coding.dc]
        self._ac = [memoryview(coding.tables[table].data) for table in coding.ac]

    def decode(
        self, position: int, phase: int, most: int, bits: int, known: _Records | None = None
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


class _Lanes:
    """Decodes many chunks in lockstep.

    A state is the block's phase in the MCU times 64, plus the coefficient's index. A block start
    that an impossible symbol led to is in a phase of its own, ``blocks`` greater: it is never
    taken for a true one.
    """

    def __init__(self, windows: npt.NDArray[np.int32], coding: _Steps) -> None:
        blocks = len(coding.dc)
        self._windows = windows
        self._entries = np.ascontiguousarray(coding.tables).reshape(-1)
        table = np.empty((2 * blocks, 64), np.int32)
        following = np.empty((2 * blocks, 64, 128), np.int16)
        advance = np.arange(128)
        for state in range(2 * blocks * 64):
            phase, index = state // 64 % blocks, state % 64
            table[state // 64, index] = (coding.ac if index else coding.dc)[phase] << 16
            done = (phase + 1) % blocks * 64
            # another phase each time, so that one of the tries is the right one
            lost = (blocks + (phase + 1 + index % max(blocks - 1, 1)) % blocks) * 64
            row = np.where(index + advance < 64, phase * 64 + index + advance, lost)
            row[64 - index if index else 64] = done
            row[END_OF_BLOCK] = done
            row[IMPOSSIBLE] = lost
            following[state // 64, index] = row
        self._table = table.reshape(-1)
        self._following = following.reshape(-1)

    def run(
        self,
        starts: npt.NDArray[np.int32],
        states: npt.NDArray[np.int16],
        stops: npt.NDArray[np.int32],
        most: int,
        known: _Records | None = None,
    ) -> tuple[npt.NDArray[np.uint16], _Records] | None:
        """Decode each lane until a block starts at its stop or later, or at a ``known`` start.

        Returns
        -------
        (n,) uint16, _Records
            The lane of each record, rising, and within a lane the records in order;
            None where there are more than ``most``.
        """
        lanes = np.arange(len(starts), dtype=np.uint16)
        position, state, latest, latest_state = (
            starts.copy(),
            states.astype(np.int32),
            starts.copy(),
            states.copy(),
        )
        met = [(lanes, starts.copy(), states.copy())]
        count = len(starts)
        while len(lanes):
            window, low, entry = (np.empty(len(lanes), np.int32) for _ in range(3))
            next_state = np.empty(len(lanes), np.int16)
            for _ in range(_CHECK_EVERY):
                np.right_shift(position, 3, out=low)
                np.take(self._windows, low, out=window, mode="clip")
                np.bitwise_and(position, 7, out=low)
                np.subtract(8, low, out=low)
                np.right_shift(window, low, out=window)
                np.bitwise_and(window, 0xFFFF, out=window)
                np.take(self._table, state, out=low, mode="clip")
                np.bitwise_or(window, low, out=window)
                np.take(self._entries, window, out=entry, mode="clip")
                np.bitwise_and(entry, 255, out=low)
                np.add(position, low, out=position)
                np.right_shift(entry, 8, out=entry)
                np.left_shift(state, 7, out=low)
                np.bitwise_or(low, entry, out=low)
                np.take(self._following, low, out=next_state, mode="clip")
                np.copyto(state, next_state)
                started = np.flatnonzero((next_state & 63) == 0)
                if len(started):
                    where, what = position[started], next_state[started]
                    met.append((lanes[started], where, what))
                    latest[started], latest_state[started] = where, what
                    count += len(started)
            if count > most:
                return None
            live = latest < stops
            if known is not None:
                live &= known.find(latest, latest_state) < 0
            if not live.all():
                lanes, position, state, stops = (
                    lanes[live],
                    position[live],
                    state[live],
                    stops[live],
                )
                latest, latest_state = latest[live], latest_state[live]
        lane, where, what = (np.concatenate(parts) for parts in zip(*met, strict=True))
        order = np.argsort(lane, kind="stable")
        return lane[order], _Records(where[order], what[order])


def _walk_lanes(
    windows: npt.NDArray[np.int32], coding: _Steps, bits: int, blocks: int
) -> Positions:
    """Walk a long scan: all chunks from guesses, the wrongly guessed again, the rest serially."""
    lanes = _Lanes(windows, coding)
    count = min(_LANES, bits // (8 * _CHUNK_BYTES))
    chunk = -(-bits // (8 * count)) * 8
    starts = np.arange(0, bits, chunk, dtype=np.int32)
    stops = np.minimum(starts + chunk, bits).astype(np.int32)
    most = 4 * blocks + 64 * len(starts)
    guessed = lanes.run(starts, np.zeros(len(starts), np.int16), stops, most)
    if guessed is None:
        return _walk_serially(windows, coding, bits, blocks)
    lane, records = guessed
    own = records.positions < stops[lane]
    first = np.searchsorted(lane[own], np.arange(len(starts) + 1))
    over = np.searchsorted(lane, np.arange(len(starts))) + np.diff(first)
    handed = _Records(records.positions[over], records.states[over])
    known = _Records(records.positions[own], records.states[own])
    joins = known.find(handed.positions, handed.states)
    wrong = np.flatnonzero(joins[:-1] < 0)
    again = lanes.run(handed.positions[wrong], handed.states[wrong], stops[wrong + 1], most, known)
    if again is None:
        return _walk_serially(windows, coding, bits, blocks)
    chain = _Chain(_Serial(windows, coding), known, len(coding.dc), blocks, bits)
    meets = known.find(again[1].positions, again[1].states)
    retries = np.searchsorted(again[0], np.arange(len(wrong) + 1))
    part_of = {
        int(index): slice(*bounds) for index, bounds in zip(wrong, pairwise(retries), strict=True)
    }
    owner, current, at = lane[own], 0, 0
    while at >= 0:
        chain.add(known.positions[at : first[current + 1]], known.states[at : first[current + 1]])
        if current + 1 == len(starts):
            chain.add(handed.positions[current:], handed.states[current:])
            break
        at = int(joins[current])
        if at < 0:
            part = part_of[current]
            at = chain.bridge(again[1].positions[part], again[1].states[part], meets[part])
        current = int(owner[at])
    return chain.positions()


class _Chain:
    """The true block starts, put together from rising pieces."""

    def __init__(
        self, serial: _Serial, known: _Records, phases: int, blocks: int, bits: int
    ) -> None:
        self._serial, self._known, self._phases = serial, known, phases
        self._blocks, self._bits = blocks, bits
        self._positions, self._states = (
            list[npt.NDArray[np.integer]](),
            list[npt.NDArray[np.integer]](),
        )

    def add(self, positions: npt.NDArray[np.integer], states: npt.NDArray[np.integer]) -> None:
        """Append starts and the states they were met in."""
        self._positions.append(positions)
        self._states.append(states)

    def bridge(
        self,
        positions: npt.NDArray[np.int32],
        states: npt.NDArray[np.int16],
        meets: npt.NDArray[np.intp],
    ) -> int:
        """Append starts up to the first that meets a known one; return that.

        Where none does (-1), decode on from the last.
        """
        met = np.flatnonzero(meets >= 0)
        if len(met):
            self.add(positions[: met[0]], states[: met[0]])
            return int(meets[met[0]])
        self.add(positions[:-1], states[:-1])
        phase = int(states[-1]) // 64
        if phase >= self._phases:
            raise JpegUnsupported("scan-damaged", f"impossible code before bit {positions[-1]}")
        starts, at = self._serial.decode(
            int(positions[-1]), phase, self._blocks + 1, self._bits, self._known
        )
        self.add(starts, (phase + np.arange(len(starts))) % self._phases * 64)
        return at

    def positions(self) -> Positions:
        """Return all starts, once it is clear that the phases follow each other as they must."""
        states = np.concatenate(self._states)[: self._blocks + 1]
        if not np.array_equal(states, np.arange(len(states)) % self._phases * 64):
            raise JpegUnsupported("scan-damaged", "impossible code")
        return np.concatenate(self._positions)[: self._blocks + 1].astype(np.int64)
