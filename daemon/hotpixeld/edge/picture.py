"""What reading a file of any format gives, before it is a photo of a sensor."""

import hashlib
from dataclasses import dataclass

from hotpixeld.core.jpeg.markers import JpegLayout
from hotpixeld.edge.decode import Frame
from hotpixeld.edge.exif import ExifFacts


@dataclass(frozen=True)
class Picture:
    """A decoded file; the attributes are those of ``Photo``."""

    frame: Frame
    digest: bytes
    container: str
    facts: ExifFacts
    pages: int = 1
    own_mark: bool = False
    jpeg: JpegLayout | None = None


def pixel_digest(what: str, *parts: bytes) -> bytes:
    """Return the SHA-256 of stored pixels, after words that say how they are stored."""
    digest = hashlib.sha256(what.encode())
    for part in parts:
        digest.update(part)
    return digest.digest()
