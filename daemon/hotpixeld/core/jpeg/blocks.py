"""Reads and writes the coefficients of some blocks, all at once (T.81, F.1.2 and F.2.2).

A block is 64 integers in the order of the scan. Its first one is here the DC difference.
"""

import numpy as np
import numpy.typing as npt

from hotpixeld.core import kernel
from hotpixeld.core.jpeg.huffman import Coding, HuffmanTable
from hotpixeld.core.jpeg.parse import Header
from hotpixeld.core.jpeg.unsupported import JpegUnsupported
from hotpixeld.core.jpeg.walk import signed

Blocks = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.intp]

_MOST_DC_SIZE, _MOST_AC_SIZE = 15, 15
_ZERO_RUN, _END_OF_BLOCK = 0xF0, 0x00


def coding_of(header: Header) -> Coding:
    """Return how the MCUs of ``header`` are coded."""
    components = [header.components[index] for index in header.block_components]
    dc_tables = list(dict.fromkeys(component.dc for component in components))
    ac_tables = list(dict.fromkeys(component.ac for component in components))
    return Coding(
        (*dc_tables, *ac_tables),
        tuple(dc_tables.index(component.dc) for component in components),
        tuple(len(dc_tables) + ac_tables.index(component.ac) for component in components),
        header.block_components,
    )


class _Reader:
    """Takes bits at many places of a stream at once."""

    def __init__(self, stream: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64]) -> None:
        self._stream, self._bytes = stream, len(stream)
        self.positions = positions.copy()

    def window(self, which: Numbers) -> npt.NDArray[np.int64]:
        """Return the next 32 bits at some of the places, zeros after the end."""
        at = self.positions[which]
        byte = at >> 3
        if len(at) and int(byte.max()) + 5 > len(self._stream):  # rarely, so not for all streams
            self._stream = np.concatenate([self._stream[: self._bytes], np.zeros(16, np.uint8)])
            byte = np.minimum(byte, self._bytes + 8)
        bits = np.zeros(len(which), np.int64)
        for ahead in range(5):
            bits = bits << 8 | self._stream[byte + ahead]
        return bits >> (8 - (at & 7)) & 0xFFFFFFFF


def read_blocks(
    stream: npt.NDArray[np.uint8],
    positions: npt.NDArray[np.int64],
    kinds: Numbers,
    coding: Coding,
) -> tuple[Blocks, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Decode some blocks.

    Parameters
    ----------
    stream : (n,) uint8
        A restart interval without stuffing.
    positions : (b,) int64
        Bit position of each block.
    kinds : (b,) intp
        For each block its number within its MCU.

    Returns
    -------
    (b, 64) int64, (b,) int64, (b,) int64
        The blocks, the bit after the DC difference of each, and the bit after each.

    Raises
    ------
    JpegUnsupported
        ``scan-damaged`` where one of them holds a code that there is not.
    """
    dc, ac = np.array(coding.dc)[kinds], np.array(coding.ac)[kinds]
    if (compiled := kernel.chosen()) is None:
        return _read_at_once(_Reader(stream, positions), coding.symbols, dc, ac)
    blocks = np.empty((len(positions), 64), np.int64)
    after_dc, ends = np.empty_like(positions), np.empty_like(positions)
    dc_bytes, ac_bytes = bytes(dc.tolist()), bytes(ac.tolist())
    if not compiled.read_blocks(
        stream, coding.symbols, dc_bytes, ac_bytes, positions, blocks, after_dc, ends
    ):
        raise JpegUnsupported("scan-damaged", "impossible code")
    return blocks, after_dc, ends


def _read_at_once(
    reader: _Reader, tables: npt.NDArray[np.uint16], dc: Numbers, ac: Numbers
) -> tuple[Blocks, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    each = np.arange(len(dc))
    blocks = np.zeros((len(dc), 64), np.int64)

    def take(which: Numbers, table: Numbers) -> tuple[Blocks, Blocks]:
        bits = reader.window(which)
        entry = tables[table[which], bits >> 16].astype(np.int64)
        length, symbol = entry >> 8, entry & 255
        if not length.all():
            raise JpegUnsupported("scan-damaged", "impossible code")
        size = symbol & 15
        raw = bits >> (32 - length - size) & ((1 << size) - 1)
        reader.positions[which] += length + size
        return symbol, signed(raw, size)

    symbol, difference = take(each, dc)
    if (symbol > _MOST_DC_SIZE).any():
        raise JpegUnsupported("scan-damaged", "impossible DC code")
    blocks[:, 0] = difference
    after_dc = reader.positions.copy()
    index, live = np.ones(len(dc), np.int64), each
    while len(live):
        symbol, value = take(live, ac)
        run, size = symbol >> 4, symbol & 15
        goes_on = (size > 0) | (run == 15)
        if symbol[~goes_on].any():
            raise JpegUnsupported("scan-damaged", "impossible AC code")
        live, run, value = live[goes_on], run[goes_on], value[goes_on]
        index[live] += run
        if (index[live] > 63).any():
            raise JpegUnsupported("scan-damaged", "impossible run")
        blocks[live, index[live]] = value
        index[live] += 1
        live = live[index[live] < 64]
    return blocks, after_dc, reader.positions


class NoCodeError(Exception):
    """The file's tables have no code for what is to be written."""


def _sizes(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the bits of each magnitude."""
    sizes: npt.NDArray[np.int64] = np.frexp(np.abs(values).astype(np.float64))[1].astype(np.int64)
    return sizes


def write_blocks(
    blocks: Blocks, kinds: Numbers, coding: Coding, dc_only: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Code some blocks with the file's own tables.

    Parameters
    ----------
    blocks : (b, 64) int64
        As `read_blocks` returns them.
    kinds : (b,) intp
        For each block its number within its MCU.
    dc_only : (b,) bool
        True where nothing but the DC difference is to be coded.

    Returns
    -------
    (n,) uint8, (b,) int64
        All bits, each 0 or 1, and how many of them are each block's.

    Raises
    ------
    NoCodeError
        A symbol has no code.
    """
    owner, place = np.nonzero(np.where(dc_only[:, None], 0, blocks[:, 1:]))
    place += 1
    first = np.diff(owner, prepend=-1) > 0
    run = place - np.where(first, 0, np.concatenate([[0], place[:-1]])) - 1
    last = np.zeros(len(blocks), np.int64)
    np.maximum.at(last, owner, place)
    ends = np.flatnonzero((last < 63) & ~dc_only)
    every = np.arange(len(blocks))
    long_runs = np.repeat(np.arange(len(owner)), run >> 4)
    values = blocks[owner, place]
    sizes, dc_sizes = _sizes(values), _sizes(blocks[:, 0])
    events = [  # block, order within it, table, symbol, value, its bits
        (every, 0 * every, np.array(coding.dc)[kinds], dc_sizes, blocks[:, 0], dc_sizes),
        *(
            (which, order, np.array(coding.ac)[kinds[which]], symbol, value, size)
            for which, order, symbol, value, size in (
                (owner, 2 * place, (run & 15) << 4 | sizes, values, sizes),
                (owner[long_runs], 2 * place[long_runs] - 1, _ZERO_RUN, 0, 0),
                (ends, 2 * 64, _END_OF_BLOCK, 0, 0),
            )
        ),
    ]
    block, order, table, symbol, value, size = (
        np.concatenate([np.broadcast_to(event[part], event[0].shape) for event in events])
        for part in range(6)
    )
    sorted_by = np.argsort(block * 256 + order, kind="stable")
    block, table, symbol, value, size = (
        part[sorted_by] for part in (block, table, symbol, value, size)
    )
    codes, lengths = (
        np.stack(parts) for parts in zip(*map(_by_symbol, coding.tables), strict=True)
    )
    if (size > _MOST_AC_SIZE).any():
        raise NoCodeError("a value is too great")
    length = lengths[table, symbol]
    if not length.all():
        raise NoCodeError(f"no code for symbol {int(symbol[length == 0][0])}")
    coded = codes[table, symbol] << size | np.where(value < 0, value + (1 << size) - 1, value)
    width = length + size
    which = np.repeat(np.arange(len(width)), width)
    left = np.repeat(np.cumsum(width), width) - 1 - np.arange(len(which))
    bits = (coded[which] >> left & 1).astype(np.uint8)
    return bits, np.bincount(block, weights=width, minlength=len(blocks)).astype(np.int64)


def _by_symbol(
    table: HuffmanTable,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return table.by_symbol
