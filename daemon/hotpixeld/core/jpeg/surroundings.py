"""Cuts small JPEG files out of a great one, so that a decoder need not read the rest.

The parts that are wanted are widened to whole MCUs, and those of one size are put one above the
other into a file of its own: with the great one's tables, its bits copied but for the DC difference
of the first MCU of each row, which now counts from another one. A decoder shows the pixels of a
part in it as in the great file, because a part lies in it with the pixels that chroma is smoothed
over, or at the same edge of the picture.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from hotpixeld.core.box import Box
from hotpixeld.core.jpeg.blocks import (
    NoCodeError,
    Numbers,
    coding_of,
    read_blocks,
    write_blocks,
)
from hotpixeld.core.jpeg.huffman import Coding
from hotpixeld.core.jpeg.markers import (
    APP0,
    APP14,
    DHT,
    DQT,
    EOI,
    FRAMES,
    SOI,
    SOS,
    JpegLayout,
    read_layout,
)
from hotpixeld.core.jpeg.opened import OpenedInterval, OpenedJpeg
from hotpixeld.core.jpeg.parse import Header, read_header
from hotpixeld.core.jpeg.scan import stuffed
from hotpixeld.core.jpeg.splice import Bits
from hotpixeld.core.jpeg.unsupported import JpegUnsupported

_SMOOTHED_PX = 2  # a chroma sample beside a pixel's own, where there is one for two pixels
_TALLEST_PX = 65_500  # of libjpeg
_KEPT = frozenset({APP0, APP14, DQT, DHT, SOS}) | FRAMES
_DC_SIZES = bytes(range(12))


@dataclass(frozen=True)
class Area:
    """A wanted part of the picture and the MCUs that show it.

    Attributes
    ----------
    part : Box
        In pixels.
    mcus : Box
        In MCUs.
    pixels : Box
        What of the picture the MCUs hold.
    """

    part: Box
    mcus: Box
    pixels: Box


@dataclass(frozen=True)
class Cutting:
    """A small file.

    Attributes
    ----------
    data : bytes
        A whole JPEG.
    parts : tuple of (Box, int, int)
        Parts of the picture, and at which row and column of the small one each begins.
    """

    data: bytes
    parts: tuple[tuple[Box, int, int], ...]


def areas_of(header: Header, parts: Sequence[Box]) -> list[Area]:
    """Return for each part the MCUs that a decoder must read to show it."""
    shape = (header.height, header.width)
    high, wide = 8 * header.down, 8 * header.across
    areas = []
    for part in parts:
        box = part.widened(_SMOOTHED_PX, shape)
        mcus = Box(box.top // high, box.left // wide, -(-box.bottom // high), -(-box.right // wide))
        whole = Box(mcus.top * high, mcus.left * wide, mcus.bottom * high, mcus.right * wide)
        areas.append(Area(part, mcus, whole.widened(0, shape)))
    return areas


def mcus_of(header: Header, areas: Sequence[Area]) -> Numbers:
    """Return the numbers of the areas' MCUs, rising."""
    held = [
        np.add.outer(
            np.arange(area.mcus.top, area.mcus.bottom) * header.mcus_across,
            np.arange(area.mcus.left, area.mcus.right),
        ).ravel()
        for area in areas
    ]
    return np.unique(np.concatenate([np.zeros(0, np.intp), *held]))


def cuttings(opened: OpenedJpeg, layout: JpegLayout, areas: Sequence[Area]) -> Iterator[Cutting]:
    """Cut out areas whose MCUs were found.

    Raises
    ------
    JpegUnsupported
        ``no-code`` where a DC difference cannot be coded, and where the file's codes are damaged.
    """
    for pile in _piles(opened.header, areas):
        high, wide = pile[0].pixels.size
        head = _head(opened.data, layout, high * len(pile), wide)
        end = bytes((0xFF, EOI))
        coding = coding_of(read_header(head + end, read_layout(head + end)))
        scan = _scan(opened, coding, pile)
        parts = (
            (
                area.part,
                number * high + area.part.top - area.pixels.top,
                area.part.left - area.pixels.left,
            )
            for number, area in enumerate(pile)
        )
        yield Cutting(head + scan.tobytes() + end, tuple(parts))


def _piles(header: Header, areas: Sequence[Area]) -> Iterator[list[Area]]:
    """Yield areas of one size; what lies at the upper or lower edge is alone, to stay there."""
    alike = defaultdict[tuple[int, int], list[Area]](list)
    for area in areas:
        if area.pixels.top == 0 or area.pixels.bottom == header.height:
            yield [area]
        else:
            alike[area.pixels.size].append(area)
    for (height, _), same in alike.items():
        most = max(1, _TALLEST_PX // height)
        for start in range(0, len(same), most):
            yield same[start : start + most]


def _head(data: bytes, layout: JpegLayout, height: int, width: int) -> bytes:
    """Return a header of another size up to the scan, with a code for every usual DC difference."""
    pieces = [bytes((0xFF, SOI))]
    scan = next(i for i, segment in enumerate(layout.segments) if segment.marker == SOS)
    for segment in layout.segments[: scan + 1]:
        if segment.marker not in _KEPT:
            continue
        piece = data[segment.start : segment.end]
        if segment.marker in FRAMES:
            piece = piece[:5] + height.to_bytes(2) + width.to_bytes(2) + piece[9:]
        if segment.marker == DHT:
            payload = _completed(segment.payload(data))
            piece = piece[:2] + (len(payload) + 2).to_bytes(2) + payload
        pieces.append(piece)
    return b"".join(pieces)


def _completed(tables: bytes) -> bytes:
    """Return Huffman tables, to those for DC codes of 16 bits added for what they lack.

    Longer codes come after shorter ones, so that those that there are stay.
    """
    pieces = []
    while tables:
        counts, size = tables[1:17], sum(tables[1:17])
        symbols = tables[17 : 17 + size]
        is_dc = tables[0] >> 4 == 0
        lacking = bytes(set(_DC_SIZES) - set(symbols)) if is_dc else b""
        taken = sum(count << 16 - length for length, count in enumerate(counts, 1))
        if taken + len(lacking) >= 1 << 16 or size + len(lacking) > 255:  # all ones is no code
            lacking = b""
        counts = counts[:15] + bytes([counts[15] + len(lacking)])
        pieces += [tables[:1], counts, symbols, lacking]
        tables = tables[17 + size :]
    return b"".join(pieces)


@dataclass(frozen=True)
class _Runs:
    """Runs of MCUs side by side, all in one restart interval.

    ``first`` and ``last``: (runs,) rows of its places.
    """

    part: OpenedInterval
    first: Numbers
    last: Numbers

    def after_dc(self, firsts: Numbers) -> npt.NDArray[np.int64]:
        """Return the bits after the DC differences of some blocks of each first MCU."""
        starts = self.part.places.starts[self.first[:, None], firsts]
        kinds = np.tile(firsts, len(starts))
        _, after, _ = read_blocks(self.part.stream, starts.ravel(), kinds, self.part.coding)
        return after.reshape(starts.shape)

    def stops(self, firsts: Numbers) -> npt.NDArray[np.int64]:
        """Return the bits where the next of these blocks begins, or the run ends."""
        starts = self.part.places.starts
        ends = starts[self.last, -1:]
        return np.concatenate([starts[self.first[:, None], firsts[1:]], ends], axis=1)


def _runs(opened: OpenedJpeg, pile: Sequence[Area]) -> Iterator[_Runs]:
    """Yield the rows of areas, cut where a restart interval ends."""
    across, every = opened.header.mcus_across, opened.header.interval_mcus
    runs = (
        (max(begin, start), min(end, begin + every) - 1)
        for area in pile
        for row in range(area.mcus.top, area.mcus.bottom)
        for start, end in [(row * across + area.mcus.left, row * across + area.mcus.right)]
        for begin in range(start - start % every, end, every)
    )
    for begin, own in groupby(runs, key=lambda run: run[0] - run[0] % every):
        part = opened.part_from(begin)
        first, last = part.rows(np.array(list(own)).T - begin)
        yield _Runs(part, first, last)


def _scan(opened: OpenedJpeg, coding: Coding, pile: Sequence[Area]) -> npt.NDArray[np.uint8]:
    """Return the stuffed scan of areas one above the other."""
    groups = list(_runs(opened, pile))
    owners = np.array(coding.owners)
    firsts = np.flatnonzero(np.diff(owners, prepend=-1))  # blocks of an MCU, one a component
    lasts = np.flatnonzero(np.diff(owners, append=-1))
    values = [runs.part.places.values for runs in groups]
    begin, end = (
        np.concatenate([held[rows][:, blocks] for held, rows in zip(values, places, strict=True)])
        for places, blocks in (
            ([runs.first for runs in groups], firsts),
            ([runs.last for runs in groups], lasts),
        )
    )
    differences = np.zeros((begin.size, 64), np.int64)
    differences[:, 0] = (begin - np.concatenate([0 * end[:1], end[:-1]])).ravel()
    kinds, dc_only = np.tile(firsts, len(begin)), np.ones(begin.size, bool)
    try:
        coded, widths = write_blocks(differences, kinds, coding, dc_only)
    except NoCodeError as error:
        raise JpegUnsupported("no-code", str(error)) from error
    return stuffed(_joined(groups, firsts, coded, widths))


def _joined(
    groups: Sequence[_Runs],
    firsts: Numbers,
    coded: npt.NDArray[np.uint8],
    widths: npt.NDArray[np.int64],
) -> npt.NDArray[np.uint8]:
    """Return the runs' bits with other DC differences, ``coded``, in the first MCU of each."""
    kept = [(runs.after_dc(firsts), runs.stops(firsts)) for runs in groups]
    length = int(widths.sum()) + sum(int((stops - after).sum()) for after, stops in kept)
    bits = Bits((length >> 3) + 16)
    packed, ends, at = np.packbits(coded), iter(np.cumsum(widths).tolist()), 0
    for runs, (after, stops) in zip(groups, kept, strict=True):
        stream = runs.part.stream
        for start, stop in zip(after.ravel().tolist(), stops.ravel().tolist(), strict=True):
            bits.put(packed, at, at := next(ends))
            bits.put(stream, start, stop)
    bits.pad()
    return bits.whole()
