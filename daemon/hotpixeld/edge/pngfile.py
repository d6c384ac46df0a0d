"""The chunks of a PNG file, each with its checksum verified (PNG, third edition, section 5)."""

import struct
import zlib
from dataclasses import dataclass

from hotpixeld.edge import reasons
from hotpixeld.errors import PhotoError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6


@dataclass(frozen=True)
class Chunk:
    """One chunk: its four-letter name and ``data[start:end]``, length, name and checksum in it."""

    name: bytes
    start: int
    end: int

    @property
    def payload(self) -> slice:
        """Where its content lies."""
        return slice(self.start + 8, self.end - 4)


@dataclass(frozen=True)
class PngLayout:
    """The chunks in their order, and what IHDR says."""

    chunks: tuple[Chunk, ...]
    width: int
    height: int
    bit_depth: int
    colour_type: int
    is_interlaced: bool


def read_layout(data: bytes) -> PngLayout:
    """Walk the chunks of a PNG file from signature to IEND.

    Raises
    ------
    PhotoError
        ``truncated``, ``damaged``, ``several-frames`` (APNG).
    """
    chunks: list[Chunk] = []
    position = len(SIGNATURE)
    while not chunks or chunks[-1].name != b"IEND":
        if len(data) < position + 12:
            raise PhotoError(reasons.TRUNCATED, "the PNG ends without IEND")
        length = int.from_bytes(data[position : position + 4])
        chunk = Chunk(data[position + 4 : position + 8], position, position + 12 + length)
        if len(data) < chunk.end:
            raise PhotoError(reasons.TRUNCATED, "the PNG ends within a chunk")
        checksum = int.from_bytes(data[chunk.end - 4 : chunk.end])
        if zlib.crc32(memoryview(data)[position + 4 : chunk.end - 4]) != checksum:
            raise PhotoError(reasons.DAMAGED, f"checksum of the PNG chunk at byte {position}")
        chunks.append(chunk)
        position = chunk.end
    return _layout(data, tuple(chunks))


def _layout(data: bytes, chunks: tuple[Chunk, ...]) -> PngLayout:
    names = [chunk.name for chunk in chunks]
    header = data[chunks[0].payload]
    if names[0] != b"IHDR" or len(header) != 13 or b"IDAT" not in names:
        raise PhotoError(reasons.DAMAGED, "the PNG has no image")
    if b"acTL" in names:
        frames = int.from_bytes(data[chunks[names.index(b"acTL")].payload][:4])
        if frames > 1:
            raise PhotoError(reasons.SEVERAL_FRAMES, f"animated PNG, {frames} frames")
    width, height, bit_depth, colour_type, _, _, interlace = struct.unpack(">IIBBBBB", header)
    return PngLayout(chunks, width, height, bit_depth, colour_type, bool(interlace))


def is_deep_colour(layout: PngLayout) -> bool:
    """Return True for 16 bits a channel in more than one channel: Pillow would give 8."""
    return layout.bit_depth == 16 and layout.colour_type != GREY
