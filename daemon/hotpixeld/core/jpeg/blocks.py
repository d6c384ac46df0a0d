"""Reads and writes the coefficients of single blocks (T.81, F.1.2 and F.2.2).

A block is 64 integers in the order of the scan, its DC value absolute.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hotpixeld.core.jpeg.huffman import HuffmanTable
from hotpixeld.core.jpeg.parse import Header
from hotpixeld.core.jpeg.unsupported import JpegUnsupported
from hotpixeld.core.jpeg.walk import Coding

_BLOCK_BYTES = 264  # 64 symbols of at most 32 bits, what lies before, and 16 bits to look at


def coding_of(header: Header) -> Coding:
    """Return the tables of ``header`` as `walk` wants them."""
    numbers: dict[tuple[int, bool], int] = {}
    tables: list[npt.NDArray[np.int32]] = []

    def number(table: HuffmanTable, *, dc: bool) -> int:
        key = (id(table), dc)
        if key not in numbers:
            numbers[key] = len(tables)
            tables.append(table.decoding(dc=dc))
        return numbers[key]

    components = [header.components[index] for index in header.block_components]
    dc = tuple(number(component.dc, dc=True) for component in components)
    ac = tuple(number(component.ac, dc=False) for component in components)
    return Coding(np.stack(tables), dc, ac)


def dc_values(
    stream: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64], header: Header
) -> npt.NDArray[np.int64]:
    """Decode the DC value of every block of one restart interval.

    Parameters
    ----------
    stream : (n,) uint8
        The interval without stuffing.
    positions : (mcus * blocks + 1,) int64
        As `walk` returns them.

    Returns
    -------
    (mcus, blocks) int64
    """
    owners = header.block_components
    starts = positions[:-1].reshape(-1, len(owners))
    values = np.empty(starts.shape, np.int64)
    padded = np.concatenate([stream, np.zeros(8, np.uint8)])
    for index, component in enumerate(header.components):
        mine = [block for block, owner in enumerate(owners) if owner == index]
        at = starts[:, mine].ravel()
        bits = np.zeros(len(at), np.int64)  # 40 bits from the byte of each start
        for byte in range(5):
            bits = bits << 8 | padded[(at >> 3) + byte]
        room = 40 - (at & 7)
        lengths, sizes = _dc_lookup(component.dc)
        code = bits >> (room - 16) & 0xFFFF
        size = sizes[code]
        raw = bits >> (room - lengths[code] - size) & ((1 << size) - 1)
        difference = np.where(raw < 1 << np.maximum(size - 1, 0), raw - (1 << size) + 1, raw)
        difference[size == 0] = 0
        values[:, mine] = np.cumsum(difference).reshape(-1, len(mine))
    return values


def _dc_lookup(table: HuffmanTable) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    lengths, sizes = np.ones(65536, np.int64), np.zeros(65536, np.int64)
    for symbol, (code, length) in table.codes.items():
        first = code << (16 - length)
        span = slice(first, first + (1 << (16 - length)))
        lengths[span], sizes[span] = length, min(symbol, 15)
    return lengths, sizes


def read_block(
    stream: bytes, position: int, dc: HuffmanTable, ac: HuffmanTable, value: int
) -> tuple[list[int], int]:
    """Decode the block at bit ``position``, whose DC value is ``value`` if not 0 is given.

    Returns
    -------
    list of int, int
        The block with ``value`` plus the coded DC difference first, and the bit after the block.
    """
    first = position >> 3
    piece = stream[first : first + _BLOCK_BYTES].ljust(_BLOCK_BYTES, b"\0")
    bits, left = int.from_bytes(piece, "big"), 8 * _BLOCK_BYTES - (position & 7)

    def take(count: int) -> int:
        nonlocal left
        left -= count
        return bits >> left & ((1 << count) - 1)

    def symbol(table: HuffmanTable) -> int:
        nonlocal left
        found, length = table.symbols[bits >> (left - 16) & 0xFFFF]
        left -= length
        if found < 0:
            raise JpegUnsupported("scan-damaged", f"impossible code at bit {position}")
        return found

    def number(size: int) -> int:
        raw = take(size)
        return raw if not size or raw >> (size - 1) else raw - (1 << size) + 1

    block = [0] * 64
    block[0] = value + number(min(symbol(dc), 15))
    index = 1
    while index < 64:
        run, size = divmod(symbol(ac), 16)
        if not size and run != 15:
            break
        index += run
        if index > 63:
            raise JpegUnsupported("scan-damaged", f"impossible run at bit {position}")
        block[index] = number(size)
        index += 1
    return block, 8 * (first + _BLOCK_BYTES) - left


class NoCodeError(Exception):
    """The file's tables have no code for what is to be written."""


def write_block(
    block: Sequence[int], difference: int, dc: HuffmanTable, ac: HuffmanTable
) -> tuple[int, int]:
    """Code one block with the file's own tables.

    Parameters
    ----------
    block : sequence of 64 int
        In the order of the scan; its first value is not used.
    difference : int
        DC value less that of the component's block before.

    Returns
    -------
    int, int
        The bits as a number, and how many they are.

    Raises
    ------
    NoCodeError
        A symbol has no code.
    """
    try:
        size = abs(difference).bit_length()
        bits, length = dc.codes[size]
        bits = bits << size | (difference if difference > 0 else difference + (1 << size) - 1)
        length += size
        run = 0
        for value in block[1:]:
            if not value:
                run += 1
                continue
            while run > 15:
                code, width = ac.codes[0xF0]
                bits, length, run = bits << width | code, length + width, run - 16
            size = abs(value).bit_length()
            code, width = ac.codes[run << 4 | size]
            value_bits = value if value > 0 else value + (1 << size) - 1
            bits = (bits << width | code) << size | value_bits
            length += width + size
            run = 0
        if run:
            code, width = ac.codes[0]
            bits, length = bits << width | code, length + width
    except KeyError as error:
        raise NoCodeError(f"no code for symbol {error}") from error
    return bits, length
