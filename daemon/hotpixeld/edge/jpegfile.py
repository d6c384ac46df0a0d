"""The first image of a JPEG file: whether all of it is there, and the hash of its image data.

Nothing is decoded here; what the markers say is ``core.jpeg``'s business.
"""

import hashlib

from hotpixeld.core.jpeg import markers
from hotpixeld.core.jpeg.markers import BASELINE_FRAMES, DHT, FRAMES, SOS, JpegLayout
from hotpixeld.edge import holes, reasons
from hotpixeld.errors import PhotoError

_DECODABLE_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_LEAST_ZEROS_IN_A_SCAN_BYTES = 1024


def read_layout(data: bytes, start: int = 0) -> JpegLayout:
    """Walk the markers of the JPEG that begins at ``start`` up to its EOI.

    Raises
    ------
    PhotoError
        ``truncated`` when the data ends before EOI, ``damaged`` when no marker stands where one
        must, ``unsupported-jpeg`` for frames that are 12 bit, lossless or hierarchical.
    """
    layout = markers.read_layout(data, start)
    _check_frame(data, layout)
    return layout


def _check_frame(data: bytes, layout: JpegLayout) -> None:
    frames = [s for s in layout.segments if s.marker in FRAMES]
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
