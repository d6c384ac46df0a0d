"""The numpy walk over a long scan: chunks decoded in lockstep, each from a guessed state.

Huffman codes find their step again by themselves (Klein & Wiseman 2003; Weissenberger & Schmidt
2021), and a chunk that meets an impossible symbol goes on in another phase of the MCU, so that the
phase locks as well. The true state is then handed from chunk to chunk: where it was met by the
guess the records hold from there on, elsewhere the chunk is decoded again from the true state until
it meets a record. So the result is exact.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hotpixeld.core.jpeg.huffman import END_OF_BLOCK, IMPOSSIBLE
from hotpixeld.core.jpeg.serialwalk import Positions, Records, Serial, Steps, walk_serially
from hotpixeld.core.jpeg.unsupported import JpegUnsupported

_LANES = 8192
_CHUNK_BYTES = 640  # a block has at most 64 * 32 bits, so it ends in the next chunk
_CHECK_EVERY = 32


def walk_lanes(windows: npt.NDArray[np.int32], coding: Steps, bits: int, blocks: int) -> Positions:
    """Walk a long scan: all chunks from guesses, the wrongly guessed again, the rest serially."""
    lanes = _Lanes(windows, coding)
    count = min(_LANES, bits // (8 * _CHUNK_BYTES))
    chunk = -(-bits // (8 * count)) * 8
    starts = np.arange(0, bits, chunk, dtype=np.int32)
    stops = np.minimum(starts + chunk, bits).astype(np.int32)
    most = 4 * blocks + 64 * len(starts)
    guessed = lanes.run(starts, np.zeros(len(starts), np.int16), stops, most)
    if guessed is None:
        return walk_serially(windows, coding, bits, blocks)
    lane, records = guessed
    own = records.positions < stops[lane]
    first = np.searchsorted(lane[own], np.arange(len(starts) + 1))
    over = np.searchsorted(lane, np.arange(len(starts))) + np.diff(first)
    handed = Records(records.positions[over], records.states[over])
    known = Records(records.positions[own], records.states[own])
    joins = known.find(handed.positions, handed.states)
    wrong = np.flatnonzero(joins[:-1] < 0)
    again = lanes.run(handed.positions[wrong], handed.states[wrong], stops[wrong + 1], most, known)
    if again is None:
        return walk_serially(windows, coding, bits, blocks)
    chain = _Chain(Serial(windows, coding), known, len(coding.dc), blocks, bits)
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


class _Lanes:
    """Decodes many chunks in lockstep.

    A state is the block's phase in the MCU times 64, plus the coefficient's index. A block start
    that an impossible symbol led to is in a phase of its own, ``blocks`` greater: it is never
    taken for a true one.
    """

    def __init__(self, windows: npt.NDArray[np.int32], coding: Steps) -> None:
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
        known: Records | None = None,
    ) -> tuple[npt.NDArray[np.uint16], Records] | None:
        """Decode each lane until a block starts at its stop or later, or at a ``known`` start.

        Returns
        -------
        (n,) uint16, Records
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
        return lane[order], Records(where[order], what[order])


class _Chain:
    """The true block starts, put together from rising pieces."""

    def __init__(self, serial: Serial, known: Records, phases: int, blocks: int, bits: int) -> None:
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
