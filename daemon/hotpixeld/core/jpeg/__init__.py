"""Repairs a JPEG file bit by bit: bytes and a patch in, bytes out."""

from hotpixeld.core.jpeg.rewrite import repair_blocks
from hotpixeld.core.jpeg.unsupported import JpegUnsupported

__all__ = ["JpegUnsupported", "repair_blocks"]
