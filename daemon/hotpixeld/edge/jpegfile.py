"""The marker structure of a JPEG file: where its segments, scans and first image end.

ITU-T T.81 annex B. Nothing is decoded here; what the scans hold is ``core.jpeg``'s business.
"""

import hashlib
import re
from dataclasses import dataclass

from hotpixeld.edge import holes, reasons
from hotpixeld.errors import PhotoError

SOI, EOI, SOS, DQT, DHT, DRI, COM = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xFE
APP0, APP2, APP14 = 0xE0, 0xE2, 0xEE
BASELINE_FRAMES = frozenset({0xC0, 0xC1})
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DECODABLE_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_LEAST_ZEROS_IN_A_SCAN_BYTES = 1024


@dataclass(frozen=True)
class Segment:
    """One marker segment, ``data[start:end]``, from its 0xFF on; a scan's data is not in it."""

    marker: int
    start: int
    end: int

    @property
    def is_metadata(self) -> bool:
        """True for APPn and COM: what programs add and drop without touching the image."""
        return 0xE0 <= self.marker <= 0xEF or self.marker == COM


@dataclass(frozen=True)
class JpegLayout:
    """The first image of a JPEG file.

    Attributes
    ----------
    segments : tuple of Segment
        All segments from SOI (left out) to EOI (left out).
    scans : tuple of (int, int)
        Where each scan's entropy-coded data lies.
    end : int
        Just after EOI; what follows is a trailer (more images, a video, padding).
    """

    segments: tuple[Segment, ...]
    scans: tuple[tuple[int, int], ...]
    end: int

    @property
    def frame(self) -> Segment:
        """The frame header (SOFn)."""
        return next(s for s in self.segments if s.marker in _FRAME_MARKERS)

    def metadata(self) -> tuple[Segment, ...]:
        """Return the APPn and COM segments in their order."""
        return tuple(s for s in self.segments if s.is_metadata)


def read_layout(data: bytes, start: int = 0) -> JpegLayout:
    """Walk the markers of the JPEG that begins at ``start`` up to its EOI.

    Raises
    ------
    PhotoError
        ``truncated`` when the data ends before EOI, ``damaged`` when no marker stands where one
        must, ``unsupported-jpeg`` for frames that are 12 bit, lossless or hierarchical.
    """
    segments: list[Segment] = []
    scans: list[tuple[int, int]] = []
    position = start + 2
    while True:
        while data[position : position + 2] == b"\xff\xff":
            position += 1
        if len(data) < position + 2:
            raise PhotoError(reasons.TRUNCATED, "the JPEG ends without EOI")
        if data[position] != 0xFF:
            raise PhotoError(reasons.DAMAGED, f"no JPEG marker at byte {position}")
        marker = data[position + 1]
        if marker == EOI:
            break
        if marker in {0x00, 0x01, SOI} or 0xD0 <= marker <= 0xD7:
            raise PhotoError(reasons.DAMAGED, f"misplaced JPEG marker at byte {position}")
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        if len(data) < end or end < position + 4:
            raise PhotoError(reasons.TRUNCATED, "the JPEG ends within a segment")
        segments.append(Segment(marker, position, end))
        position = end
        if marker == SOS:
            found = _NEXT_MARKER.search(data, end)
            if found is None:
                raise PhotoError(reasons.TRUNCATED, "the JPEG's scan ends without a marker")
            scans.append((end, found.start()))
            position = found.start()
    layout = JpegLayout(tuple(segments), tuple(scans), position + 2)
    _check_frame(data, layout)
    return layout


def _check_frame(data: bytes, layout: JpegLayout) -> None:
    frames = [s for s in layout.segments if s.marker in _FRAME_MARKERS]
    if len(frames) != 1 or not layout.scans or frames[0].end - frames[0].start < 10:
        raise PhotoError(reasons.DAMAGED, "the JPEG has no image")
    if frames[0].marker not in _DECODABLE_FRAMES:
        raise PhotoError(reasons.UNSUPPORTED_JPEG, "lossless or hierarchical")
    if data[frames[0].start + 4] != 8:
        raise PhotoError(reasons.UNSUPPORTED_JPEG, f"{data[frames[0].start + 4]} bit")


def check_no_hole(data: bytes, layout: JpegLayout) -> None:
    """Raise ``PhotoError("damaged")`` when a scan holds zeros that no encoder would write there."""
    ends_of_block = [symbol == 0 for symbol in _all_zero_ac_symbols(data, layout)]
    every = all if len(layout.scans) == 1 else any  # a flat MCU holds a block of every component
    long_zeros_are_flat_areas = layout.frame.marker not in BASELINE_FRAMES or every(ends_of_block)
    for start, end in layout.scans:
        hole = holes.find_hole(data, start, end)
        if hole is None and not long_zeros_are_flat_areas:
            run = holes.zero_run(data, start, end, _LEAST_ZEROS_IN_A_SCAN_BYTES)
            hole = run[0] if run else None
        if hole is not None:
            raise PhotoError(reasons.DAMAGED, f"zeros in the JPEG's scan from byte {hole} on")


def _all_zero_ac_symbols(data: bytes, layout: JpegLayout) -> list[int]:
    """Return, per AC table, the symbol whose code is all zeros (0: end of block)."""
    symbols = []
    for segment in layout.segments:
        if segment.marker != DHT:
            continue
        tables = data[segment.start + 4 : segment.end]
        while len(tables) > 17:
            if tables[0] >> 4:
                symbols.append(tables[17])
            tables = tables[17 + sum(tables[1:17]) :]
    return symbols


def image_digest(data: bytes, layout: JpegLayout) -> bytes:
    """Return the SHA-256 of tables and scans: EXIF, XMP, ratings and geotags are not in it."""
    digest = hashlib.sha256(b"JPEG")
    view = memoryview(data)
    scans = iter(layout.scans)
    for segment in layout.segments:
        if segment.is_metadata:
            continue
        digest.update(view[segment.start : segment.end])
        if segment.marker == SOS:
            start, end = next(scans)
            digest.update(view[start:end])
    return digest.digest()
