"""Reading the formats of the base installation: JPEG, MPO, PNG, TIFF, GIF and WebP."""

from PIL import Image, ImageFile

from hotpixeld.core.jpeg.markers import DRI, JpegLayout
from hotpixeld.core.jpeg.parse import read_header
from hotpixeld.core.jpeg.scan import intervals
from hotpixeld.core.jpeg.unsupported import JpegUnsupported
from hotpixeld.core.sensor import Kind
from hotpixeld.edge import containers, decode, deep, exif, jpegfile, reasons, strictscan
from hotpixeld.edge.picture import Picture, pixel_digest
from hotpixeld.errors import PhotoError

_SCAN_DAMAGED = "scan-damaged"


def read(data: bytes, kind: Kind, max_pixels: int) -> Picture:
    """Decode a whole file strictly.

    Raises
    ------
    PhotoError
        With a reason of ``edge.reasons``.
    """
    structure = containers.check_whole(data, kind, max_pixels)
    if structure.jpeg is not None:
        return _read_jpeg(data, structure, structure.jpeg, max_pixels)
    image = decode.open_image(data, max_pixels)
    container = image.format or kind.upper()
    facts = exif.read_facts(image)
    if structure.is_deep_colour:
        stored = deep.stored_values(data, kind)
        digest = pixel_digest(f"deep {stored.shape}", stored.tobytes())
        frame = deep.without_alpha(data, kind, stored)
        return Picture(frame, digest, container, facts, structure.pages, facts.own_mark)
    image = decode.load(image, facts.orientation)
    if kind != "tiff":
        facts = exif.read_facts(image)  # again: a PNG's EXIF may follow its pixels
    return Picture(
        frame=decode.frame_of(image),
        digest=_digest(image),
        container=container,
        facts=facts,
        pages=structure.pages,
        own_mark=facts.own_mark or structure.own_mark,
    )


def _read_jpeg(
    data: bytes, structure: containers.Structure, layout: JpegLayout, max_pixels: int
) -> Picture:
    _check_restarts(data, layout)
    scan = strictscan.ScanReader(data, layout)
    image = decode.open_image(scan, max_pixels)
    facts = exif.read_facts(image)
    container = image.format or "JPEG"
    scan.start_decoding()
    if isinstance(image, ImageFile.ImageFile):
        image.decodermaxblock = len(data)  # in one piece, not 64 KiB at a time
    frame = decode.decoded_frame(image)
    scan.check_decoded()
    return Picture(
        frame=frame,
        digest=jpegfile.image_digest(data, layout),
        container=container,
        facts=facts,
        pages=structure.pages,
        own_mark=facts.own_mark or structure.own_mark,
        jpeg=layout,
    )


def _check_restarts(data: bytes, layout: JpegLayout) -> None:
    """Raise ``PhotoError`` where the restart markers are not those that the header promises."""
    if not any(s.marker == DRI for s in layout.segments):
        return
    try:
        intervals(data, read_header(data, layout))
    except JpegUnsupported as refusal:
        if refusal.reason == _SCAN_DAMAGED:
            raise PhotoError(reasons.DAMAGED, refusal.detail) from refusal


def _digest(image: Image.Image) -> bytes:
    palette = decode.palette_of(image).tobytes() if image.mode in {"P", "PA"} else b""
    return pixel_digest(f"{image.mode} {image.width}x{image.height}", palette, image.tobytes())
