"""Huffman tables of a JPEG file, for reading and for writing (ITU-T T.81, annexes C and F)."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from hotpixeld.core.jpeg.unsupported import JpegUnsupported

#: Advance in coefficients that stands for "end of block" and for "no such code" in `decoding`.
END_OF_BLOCK, IMPOSSIBLE = 127, 126


@dataclass(frozen=True, eq=False)
class HuffmanTable:
    """A table as the file defines it.

    Attributes
    ----------
    codes : dict of int to (int, int)
        For each symbol its code and the code's length in bits.
    """

    codes: dict[int, tuple[int, int]]

    @classmethod
    @lru_cache(maxsize=32)  # most files hold the same four
    def read(cls, counts: bytes, symbols: bytes) -> "HuffmanTable":
        """Build the table from 16 ``counts`` of codes by length and their ``symbols``.

        Raises
        ------
        JpegUnsupported
            ``header-damaged`` where the counts ask for more codes than there are.
        """
        codes: dict[int, tuple[int, int]] = {}
        code = at = 0
        for length, count in enumerate(counts, start=1):
            for symbol in symbols[at : at + count]:
                codes.setdefault(symbol, (code, length))
                code += 1
            at += count
            if code > 1 << length:
                raise JpegUnsupported("header-damaged", "Huffman table has too many codes")
            code <<= 1
        return cls(codes)

    @cached_property
    def symbols(self) -> npt.NDArray[np.uint16]:
        """By the next 16 bits, the symbol they begin with and, above, its code's length, or 0."""
        entries = np.zeros(65536, np.uint16)
        for symbol, (code, length) in self.codes.items():
            first = code << (16 - length)
            entries[first : first + (1 << (16 - length))] = symbol | length << 8
        return entries

    @cached_property
    def by_symbol(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """By symbol, its code and the code's length, 0 where it has none."""
        codes, lengths = np.zeros(256, np.int64), np.zeros(256, np.int64)
        for symbol, coded in self.codes.items():
            codes[symbol], lengths[symbol] = coded
        return codes, lengths

    @lru_cache(maxsize=64)  # noqa: B019  tables are few, small and shared by all files
    def decoding(self, *, dc: bool) -> npt.NDArray[np.int32]:
        """Return a table by the next 16 bits of the scan.

        Returns
        -------
        (65536,) int32
            Low byte: bits to advance, code and value together. Above: coefficients to advance,
            or `END_OF_BLOCK`, or `IMPOSSIBLE` (with one bit to advance).
        """
        entries = np.full(65536, 1 | IMPOSSIBLE << 8, np.int32)
        for symbol, (code, length) in self.codes.items():
            run, size = symbol >> 4, symbol & 15
            if dc:
                advance = 1 if symbol < 16 else IMPOSSIBLE
            elif symbol == 0:
                advance = END_OF_BLOCK
            else:
                advance = run + 1 if size or run == 15 else IMPOSSIBLE
            bits = 1 if advance == IMPOSSIBLE else length + size
            first = code << (16 - length)
            entries[first : first + (1 << (16 - length))] = bits | advance << 8
        return entries


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
