"""Repaired copies of WebP files: the image chunk is replaced, all other chunks stay.

Lossless stays lossless. A lossy image has to be coded again as a whole: at the quality that gives
about the same size, and with our mark in a chunk of its own.
"""

import io

import numpy as np
from PIL import Image

from hotpixeld.core.patch import Patch
from hotpixeld.edge import decode, exif, reasons, samples, webpfile
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.decode import Frame
from hotpixeld.edge.photo import Photo
from hotpixeld.errors import PhotoError

_IMAGE_CHUNKS = frozenset({b"VP8 ", b"VP8L", b"ALPH"})
_HAS_ALPHA = 0x10
_GREATEST_MEAN_ERROR_DN = 8.0


def repaired(photo: Photo, patch: Patch) -> EncodedCopy:
    """Return the copy of a WebP photo, with nothing but the pixels of ``patch`` changed if it can.

    Raises
    ------
    PhotoError
        ``not-writable`` when the copy would not decode to the repaired picture.
    """
    limit = photo.frame.shape[0] * photo.frame.shape[1]
    layout = webpfile.read_layout(photo.data, limit)
    stored = _stored(photo.data, limit)
    wanted = samples.patched(stored, patch)
    image = Image.fromarray(wanted)
    if layout.is_lossless:
        chunks = _encoded(image, limit, lossless=True, exact=True)
        data = _assembled(photo.data, layout, chunks, mark=b"")
        samples.check_same(_stored(data, limit), wanted)
        return EncodedCopy(data, "", "lossless")
    size = sum(c.end - c.start for c in layout.chunks if c.name == b"VP8 ")

    def encoded_bytes(values: Frame, quality: int) -> int:
        return len(_encoded(Image.fromarray(values), limit, quality=quality)[b"VP8 "])

    quality = samples.quality_of_equal_size(encoded_bytes, wanted, size)
    chunks = _encoded(image, limit, quality=quality)
    data = _assembled(photo.data, layout, chunks, mark=exif.OWN_MARK.encode("ascii"))
    difference = np.abs(_stored(data, limit).astype(np.int16) - wanted)
    if float(difference.mean()) > _GREATEST_MEAN_ERROR_DN:
        raise PhotoError(reasons.NOT_WRITABLE, "the re-encoded WebP shows another picture")
    return EncodedCopy(data, "", "reencoded", f"lossy WebP: quality {quality}, as large")


def _stored(data: bytes, limit: int) -> Frame:
    return decode.stored_values(decode.load(decode.open_image(data, limit)))


def _encoded(image: Image.Image, limit: int, **options: object) -> dict[bytes, bytes]:
    """Return the image chunks that Pillow writes, by name."""
    stream = io.BytesIO()
    image.save(stream, "WEBP", **options)
    data = stream.getvalue()
    return {
        c.name: data[c.start : c.end]
        for c in webpfile.read_layout(data, limit).chunks
        if c.name in _IMAGE_CHUNKS
    }


def _assembled(
    data: bytes, layout: webpfile.WebpLayout, image: dict[bytes, bytes], mark: bytes
) -> bytes:
    chunks: list[tuple[bytes, bytes]] = []
    placed = False
    for chunk in layout.chunks:
        if chunk.name in _IMAGE_CHUNKS:
            chunks += [] if placed else sorted(image.items())  # ALPH stands before VP8
            placed = True
        elif chunk.name != webpfile.OWN_CHUNK:
            chunks.append((chunk.name, data[chunk.start : chunk.end]))
    if mark:
        if chunks[0][0] != b"VP8X":
            chunks.insert(0, (b"VP8X", _extended_header(image)))
        chunks.append((webpfile.OWN_CHUNK, mark))
    body = b"WEBP" + b"".join(
        name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)
        for name, content in chunks
    )
    tail = data[8 + int.from_bytes(data[4:8], "little") :]
    return b"RIFF" + len(body).to_bytes(4, "little") + body + tail


def _extended_header(image: dict[bytes, bytes]) -> bytes:
    """Return the content of VP8X for a lossy image that had none."""
    flags = _HAS_ALPHA if b"ALPH" in image else 0
    width, height = (
        int.from_bytes(image[b"VP8 "][at : at + 2], "little") & 0x3FFF for at in (6, 8)
    )
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return flags.to_bytes(4, "little") + sizes
