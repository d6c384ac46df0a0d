"""The marker structure of a JPEG file: where its segments, scans and first image end.

ITU-T T.81, annex B. What the segments say is `parse`'s business, what the scans hold `walk`'s.
"""

import re
from dataclasses import dataclass

from hotpixeld.core import kernel
from hotpixeld.core.jpeg.unsupported import JpegUnsupported

SOI, EOI, SOS, DQT, DHT, DRI, DNL, COM = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xDC, 0xFE
APP0, APP2, APP14 = 0xE0, 0xE2, 0xEE
FRAMES = frozenset(range(0xC0, 0xD0)) - {DHT, 0xC8, 0xCC}
BASELINE_FRAMES = frozenset({0xC0, 0xC1})
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_STANDALONE = frozenset({0x00, 0x01, SOI}) | frozenset(range(0xD0, 0xD8))


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

    def payload(self, data: bytes) -> bytes:
        """Return what follows the marker and its length."""
        return data[self.start + 4 : self.end]


@dataclass(frozen=True)
class JpegLayout:
    """The first image of a JPEG file.

    Attributes
    ----------
    segments : tuple of Segment
        All segments from SOI (left out) to EOI (left out).
    scans : tuple of (int, int)
        Where each scan's entropy-coded data lies, fill bytes after it included.
    end : int
        Just after EOI; what follows is a trailer (more images, a video, padding).
    """

    segments: tuple[Segment, ...]
    scans: tuple[tuple[int, int], ...]
    end: int

    @property
    def frame(self) -> Segment:
        """The frame header (SOFn)."""
        return next(s for s in self.segments if s.marker in FRAMES)

    def metadata(self) -> tuple[Segment, ...]:
        """Return the APPn and COM segments in their order."""
        return tuple(s for s in self.segments if s.is_metadata)

    def with_longer_scan(self, more_bytes: int) -> "JpegLayout":
        """Return the layout of the same file with so many more bytes in its only scan."""
        ((start, end),) = self.scans
        segments = (
            s if s.start < end else Segment(s.marker, s.start + more_bytes, s.end + more_bytes)
            for s in self.segments
        )
        return JpegLayout(tuple(segments), ((start, end + more_bytes),), self.end + more_bytes)


def read_layout(data: bytes, start: int = 0) -> JpegLayout:
    """Walk the markers of the JPEG that begins at ``start`` up to its EOI.

    Raises
    ------
    JpegUnsupported
        ``not-a-jpeg``; ``truncated`` when the data ends before EOI, ``damaged`` when no marker
        stands where one must.
    """
    if data[start : start + 2] != b"\xff\xd8":
        raise JpegUnsupported("not-a-jpeg", "does not begin with SOI")
    segments: list[Segment] = []
    scans: list[tuple[int, int]] = []
    position = start + 2
    while True:
        position, marker = _next_marker(data, position)
        if marker == EOI:
            return JpegLayout(tuple(segments), tuple(scans), position + 2)
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        if len(data) < end or end < position + 4:
            raise JpegUnsupported("truncated", "the JPEG ends within a segment")
        segments.append(Segment(marker, position, end))
        position = end
        if marker == SOS:
            position = _after_scan(data, end)
            scans.append((end, position))


def _next_marker(data: bytes, position: int) -> tuple[int, int]:
    """Return where the marker at ``position`` begins, after any fill bytes, and which it is."""
    while data[position : position + 2] == b"\xff\xff":
        position += 1
    if len(data) < position + 2:
        raise JpegUnsupported("truncated", "the JPEG ends without EOI")
    if data[position] != 0xFF:
        raise JpegUnsupported("damaged", f"no JPEG marker at byte {position}")
    if data[position + 1] in _STANDALONE:
        raise JpegUnsupported("damaged", f"misplaced JPEG marker at byte {position}")
    return position, data[position + 1]


def _after_scan(data: bytes, start: int) -> int:
    """Return where the first marker after a scan stands."""
    if (compiled := kernel.chosen()) is not None:
        position = compiled.find_marker(data, start)
    else:
        found = _NEXT_MARKER.search(data, start)
        position = found.start() if found else -1
    if position < 0:
        raise JpegUnsupported("truncated", "the JPEG's scan ends without a marker")
    return position
