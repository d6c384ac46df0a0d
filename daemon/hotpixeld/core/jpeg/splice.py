"""Puts bits together: kept runs of the old stream and newly coded MCUs."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core import kernel


@dataclass(frozen=True)
class Replacement:
    """The bits ``[start, end)`` of a stream give way to the first ``length`` of ``coded``."""

    start: int
    end: int
    coded: npt.NDArray[np.uint8]
    length: int


class Bits:
    """A growing stream of bits."""

    def __init__(self, capacity_bytes: int) -> None:
        self._bytes = np.empty(capacity_bytes, np.uint8)
        self.length = 0

    def put(self, source: npt.NDArray[np.uint8], start: int, end: int) -> None:
        """Append the bits ``[start, end)`` of ``source``."""
        if end <= start:
            return
        if (compiled := kernel.chosen()) is not None:
            compiled.copy_bits(source, start, end - start, self._bytes, self.length)
            self.length += end - start
            return
        piece = _shifted(source, start, end, self.length & 7)
        at = self.length >> 3
        self._bytes[at] = piece[0] | (self._bytes[at] if self.length & 7 else 0)
        self._bytes[at + 1 : at + len(piece)] = piece[1:]
        self.length += end - start

    def pad(self) -> None:
        """Fill the last byte with ones."""
        missing = -self.length % 8
        if missing:
            self._bytes[self.length >> 3] |= (1 << missing) - 1
            self.length += missing

    def whole(self) -> npt.NDArray[np.uint8]:
        """Return the whole bytes."""
        return self._bytes[: self.length >> 3]


def _shifted(
    source: npt.NDArray[np.uint8], start: int, end: int, lead: int
) -> npt.NDArray[np.uint8]:
    """Return the bits ``[start, end)`` of ``source`` after ``lead`` zero bits, zero-padded."""
    shift = (start & 7) - lead
    taken = source[start >> 3 : (end + 7) // 8]
    piece = np.zeros(len(taken) + 1, np.uint8)
    if shift >= 0:
        np.left_shift(taken, shift, out=piece[:-1])
        piece[: len(taken) - 1] |= taken[1:] >> (8 - shift) if shift else np.uint8(0)
    else:
        np.right_shift(taken, -shift, out=piece[:-1])
        piece[1:] |= taken << (8 + shift)
    total = lead + end - start
    piece = piece[: (total + 7) // 8]
    piece[0] &= 0xFF >> lead
    if total & 7:
        piece[-1] &= 0xFF << (8 - (total & 7)) & 0xFF
    return piece


def spliced(
    stream: npt.NDArray[np.uint8], replacements: list[Replacement], end: int
) -> npt.NDArray[np.uint8]:
    """Return ``stream`` with the replacements made.

    Parameters
    ----------
    stream : (n,) uint8
        One restart interval without stuffing.
    replacements : list of Replacement
        Rising, not overlapping.
    end : int
        The bit after the last MCU. The rest of its byte is filled with ones, as an encoder does;
        stray bytes that some cameras leave after it are kept.
    """
    room = sum(len(replacement.coded) + 1 for replacement in replacements)
    bits = Bits(len(stream) + room + 16)
    at = 0
    for replacement in replacements:
        bits.put(stream, at, replacement.start)
        bits.put(replacement.coded, 0, replacement.length)
        at = replacement.end
    bits.put(stream, at, end)
    bits.pad()
    bits.put(stream, -(-end // 8) * 8, len(stream) * 8)
    return bits.whole()


def same_bits(
    one: npt.NDArray[np.uint8],
    one_at: int,
    other: npt.NDArray[np.uint8],
    other_at: int,
    count: int,
) -> bool:
    """Tell whether ``count`` bits of two streams are equal, each from its own position."""
    if count == 0:
        return True
    if one_at + count > 8 * len(one) or other_at + count > 8 * len(other):
        return False
    if (compiled := kernel.chosen()) is not None:
        return compiled.same_bits(one, one_at, other, other_at, count)
    return np.array_equal(
        _shifted(one, one_at, one_at + count, 0), _shifted(other, other_at, other_at + count, 0)
    )
