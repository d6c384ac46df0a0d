"""Repairs a JPEG file bit by bit: bytes and a patch in, bytes out."""

from hotpixeld.core.jpeg.rewrite import repair_blocks
from hotpixeld.core.jpeg.unsupported import GROWS, JpegUnsupported

__all__ = ["GROWS", "JpegUnsupported", "repair_blocks"]
