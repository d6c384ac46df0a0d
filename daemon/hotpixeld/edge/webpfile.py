"""The chunks of a WebP file (RFC 9649)."""

from dataclasses import dataclass

from hotpixeld.edge import decode, exif, holes, reasons
from hotpixeld.errors import PhotoError

OWN_CHUNK = b"hpxd"  # RFC 9649, 2.7.1.6: unknown chunks are kept and ignored


@dataclass(frozen=True)
class Chunk:
    """One chunk: its four-letter name, and where its content starts and ends."""

    name: bytes
    start: int
    end: int


@dataclass(frozen=True)
class WebpLayout:
    """The chunks in their order; ``is_lossless`` where the image is coded so."""

    chunks: tuple[Chunk, ...]
    is_lossless: bool

    def has_own_mark(self, data: bytes) -> bool:
        """Return True for a copy that hotpixeld re-encoded."""
        return any(
            c.name == OWN_CHUNK
            and exif.is_own_mark(data[c.start : c.end].decode("ascii", "replace"))
            for c in self.chunks
        )


def read_layout(data: bytes, max_pixels: int) -> WebpLayout:
    """Walk the chunks of a WebP file and check its sizes before any decoder allocates for them.

    Raises
    ------
    PhotoError
        ``truncated``, ``damaged``, ``several-frames`` (animated), ``too-large``.
    """
    riff_end = 8 + int.from_bytes(data[4:8], "little")
    if len(data) < riff_end or riff_end < 20:
        raise PhotoError(reasons.TRUNCATED, "the WebP ends before its stated size")
    chunks: list[Chunk] = []
    position = 12
    while position + 8 <= riff_end:
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        chunk = Chunk(data[position : position + 4], position + 8, position + 8 + length)
        if riff_end < chunk.end:
            raise PhotoError(reasons.DAMAGED, "a WebP chunk beyond the stated size")
        chunks.append(chunk)
        position = chunk.end + length % 2
    names = [chunk.name for chunk in chunks]
    if b"ANIM" in names or b"ANMF" in names:
        raise PhotoError(reasons.SEVERAL_FRAMES, "animated WebP")
    images = [chunk for chunk in chunks if chunk.name in {b"VP8 ", b"VP8L"}]
    if len(images) != 1:
        raise PhotoError(reasons.DAMAGED, "the WebP has no image")
    for chunk in chunks:
        if chunk.name in {b"VP8 ", b"VP8L", b"VP8X"}:
            decode.check_size(*_size(data, chunk), max_pixels)
    hole = holes.find_hole(data, images[0].start, images[0].end)
    if hole is not None:
        raise PhotoError(reasons.DAMAGED, f"zeros in the WebP's image from byte {hole} on")
    return WebpLayout(tuple(chunks), images[0].name == b"VP8L")


def _size(data: bytes, chunk: Chunk) -> tuple[int, int]:
    content = data[chunk.start : min(chunk.end, chunk.start + 10)]
    if len(content) < 10:
        raise PhotoError(reasons.DAMAGED, "a WebP chunk without content")
    if chunk.name == b"VP8X":
        width, height = content[4:7], content[7:10]
        return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
    if chunk.name == b"VP8L":
        bits = int.from_bytes(content[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = content[6:8], content[8:10]
    return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
