"""One photo as the daemon sees it: its frame, its sensor, the hash of its image data.

The content decides what a photo is, never its name: a PNG called ``.jpg`` is read as PNG.
Names only tell which files are photos at all.
"""

from dataclasses import dataclass
from datetime import datetime

from hotpixeld.core.jpeg.markers import JpegLayout
from hotpixeld.core.sensor import Kind, Sensor
from hotpixeld.edge import bayer, containers, exif, heif, plain, reasons
from hotpixeld.edge.decode import Frame
from hotpixeld.edge.names import is_raw_name
from hotpixeld.errors import PhotoError


@dataclass(frozen=True)
class Photo:
    """A photo that was read whole.

    Attributes
    ----------
    data : bytes
        The file as it was read.
    frame : (height, width, channels) uint8 or uint16
        Stored pixels in DN, before any EXIF rotation; channels 1 (grey), 3 (RGB) or 4
        (CMYK; of RAW the sites of a 2x2 Bayer cell, so that a RAW frame has half the height and
        width of its sensor).
        Alpha is left out, palettes are expanded to RGB, one bit is 0 and 255. Of several images
        in one file, the first.
    sensor : Sensor
        The camera body at this geometry.
    digest : 32 bytes
        SHA-256 of the image data: of a JPEG the tables and scan of the first image, else mode,
        size, palette and stored pixels with their alpha.
    container : str
        ``JPEG``, ``MPO``, ``PNG``, ``TIFF``, ``GIF``, ``WEBP``, ``HEIC`` or ``RAW``.
    pages : int
        Images in the file, previews among them.
    facts : ExifFacts
        When and how it was taken.
    own_mark : bool
        True for a copy that hotpixeld re-encoded; block-wise and lossless copies carry no mark.
    jpeg : JpegLayout or None
        The markers of a JPEG or MPO.
    """

    data: bytes
    frame: Frame
    sensor: Sensor
    digest: bytes
    container: str
    pages: int
    facts: exif.ExifFacts
    own_mark: bool
    jpeg: JpegLayout | None = None

    @property
    def captured_at(self) -> datetime | None:
        """When it was taken, with a time zone."""
        return self.facts.captured_at

    @property
    def iso(self) -> float | None:
        """The ISO speed."""
        return self.facts.iso

    @property
    def exposure_s(self) -> float | None:
        """The exposure time."""
        return self.facts.exposure_s

    @property
    def orientation(self) -> int:
        """EXIF orientation, 1 to 8; the frame is as stored all the same."""
        return self.facts.orientation


def read_photo(data: bytes, name: str, *, max_pixels: int) -> Photo:
    """Decode a photo and find out what camera it comes from.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        Its name, to tell RAW files from the TIFF that most of them are.
    max_pixels : int
        Larger images are refused before they are decoded.

    Raises
    ------
    PhotoError
        With a reason of ``edge.reasons``; nothing is kept.
    """
    if not data:
        raise PhotoError(reasons.EMPTY)
    kind = containers.identify(data, is_raw_name=is_raw_name(name))
    try:
        if kind == "heic":
            picture = heif.read(data, max_pixels)
        elif kind == "raw":
            picture = bayer.read(data, max_pixels)
        else:
            picture = plain.read(data, kind, max_pixels)
    except MemoryError as error:
        raise PhotoError(reasons.TOO_LARGE, "not enough memory", may_pass=True) from error
    return Photo(
        data=data,
        frame=picture.frame,
        sensor=_sensor(picture.facts, picture.frame, kind),
        digest=picture.digest,
        container=picture.container,
        pages=picture.pages,
        facts=picture.facts,
        own_mark=picture.own_mark,
        jpeg=picture.jpeg,
    )


def _sensor(facts: exif.ExifFacts, frame: Frame, kind: Kind) -> Sensor:
    height, width, channels = frame.shape
    return Sensor(
        make=facts.make,
        model=facts.model,
        serial=facts.serial,
        width=width,
        height=height,
        channels=channels,
        depth_bits=8 * frame.itemsize,
        kind=kind,
    )
