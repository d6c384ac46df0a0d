"""Decodes of a JPEG nothing but the surroundings of some pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from hotpixeld.core.box import Box
from hotpixeld.core.jpeg.markers import JpegLayout
from hotpixeld.core.jpeg.opened import OpenedInterval, OpenedJpeg, open_mcus
from hotpixeld.core.jpeg.parse import Header, read_header
from hotpixeld.core.jpeg.surroundings import areas_of, cuttings, mcus_of
from hotpixeld.core.jpeg.unsupported import JpegUnsupported
from hotpixeld.edge import containers, decode, exif, reasons
from hotpixeld.edge.decode import Frame
from hotpixeld.errors import PhotoError

_LONGEST_FILL_BYTES = 4096
_MOST_PARTS, _GREATEST_SHARE = 500, 0.5  # of the picture; beyond, decoding all of it is faster


@dataclass(frozen=True)
class UndecodedJpeg:
    """A baseline JPEG that was checked as `read_photo` does, but for what decoding shows.

    Attributes
    ----------
    data : bytes
        The whole file.
    pages : int
        Images in the file, previews among them.
    orientation : int
        EXIF orientation, 1 to 8.
    """

    data: bytes
    layout: JpegLayout
    header: Header
    pages: int
    orientation: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of its frame."""
        return self.header.height, self.header.width, len(self.header.components)


def read_undecoded(data: bytes, max_pixels: int) -> UndecodedJpeg:
    """Read all of a JPEG but its scan.

    Raises
    ------
    PhotoError
        It is no JPEG, or cannot be read so; `read_photo` may read it, or says why it is refused.
    """
    if containers.identify(data, is_raw_name=False) != "jpeg":
        raise PhotoError(reasons.NOT_A_PHOTO, "not a JPEG")
    structure = containers.check_whole(data, "jpeg", max_pixels)
    layout = structure.jpeg
    assert layout is not None
    header = read_header(data, layout)
    image = decode.open_image(data, max_pixels)
    if image.size != (header.width, header.height):
        raise JpegUnsupported("header-damaged", "its size is not clear")
    return UndecodedJpeg(data, layout, header, structure.pages, exif.read_facts(image).orientation)


def decode_parts(jpeg: UndecodedJpeg, parts: Sequence[Box]) -> tuple[Frame, OpenedJpeg]:
    """Decode some parts of a JPEG.

    Returns
    -------
    (height, width, channels) uint8, OpenedJpeg
        The frame as `read_photo` gives it within the parts, and 0 elsewhere; and the file with the
        parts' MCUs found.

    Raises
    ------
    PhotoError
        The scan is not plainly whole, or the parts are too much of it: decoding all of it tells
        more, or is faster.
    """
    header = jpeg.header
    areas = areas_of(header, parts)
    held = sum(prod(area.pixels.size) for area in areas)
    if len(areas) > _MOST_PARTS or held > _GREATEST_SHARE * prod(jpeg.shape[:2]):
        raise JpegUnsupported("too-large", "much of the picture")
    last = header.mcus - 1
    opened = open_mcus(jpeg.data, header, np.union1d(mcus_of(header, areas), last))
    _check_end(jpeg, opened.parts[-1])
    try:
        frame = np.zeros(jpeg.shape, np.uint8)
        for cutting in cuttings(opened, jpeg.layout, areas):
            small = decode.frame_of(decode.load(decode.open_image(cutting.data, 1 << 32)))
            for part, row, column in cutting.parts:
                height, width = part.size
                part.of(frame)[:] = small[row : row + height, column : column + width]
    except MemoryError as error:
        raise PhotoError(reasons.TOO_LARGE, "not enough memory", may_pass=True) from error
    return frame, opened


def _check_end(jpeg: UndecodedJpeg, last: OpenedInterval) -> None:
    """Raise where bytes follow the picture: whether they are too many, decoding tells."""
    _, end = jpeg.layout.scans[0]
    stray = 8 * len(last.stream) - last.places.end
    if stray >= 8 or end - jpeg.header.scan_end > _LONGEST_FILL_BYTES:
        raise JpegUnsupported("scan-damaged", "bytes after the picture")
