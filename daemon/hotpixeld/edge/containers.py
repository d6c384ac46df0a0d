"""Which kind of file some bytes are, and whether all of it is there."""

import re
from dataclasses import dataclass

from hotpixeld.core.jpeg.markers import COM, JpegLayout
from hotpixeld.core.sensor import Kind
from hotpixeld.edge import exif, giffile, jpegfile, mpf, pngfile, reasons, tiffpages, webpfile
from hotpixeld.errors import PhotoError

_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
_SIGNATURES: dict[Kind, re.Pattern[bytes]] = {
    "jpeg": re.compile(rb"\xff\xd8\xff"),
    "png": re.compile(re.escape(pngfile.SIGNATURE)),
    "gif": re.compile(rb"GIF8[79]a"),
    "webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "raw": re.compile(
        rb"FUJIFILMCCD-RAW|IIRO|IIRS|MMOR|IIU\0|\0MRM|FOVb|......HEAPCCDR", re.DOTALL
    ),
}
_CANON_RAW_AT = slice(8, 10)


@dataclass(frozen=True)
class Structure:
    """What the container's own structure tells.

    Attributes
    ----------
    jpeg : JpegLayout or None
        The first image's markers, for JPEG and MPO.
    pages : int
        Images in the file, previews among them.
    is_deep_colour : bool
        True for 16 bits a channel in colour, which Pillow would open as 8.
    own_mark : bool
        True where the mark of our re-encoded copies stands outside EXIF.
    """

    jpeg: JpegLayout | None = None
    pages: int = 1
    is_deep_colour: bool = False
    own_mark: bool = False


def identify(data: bytes, *, is_raw_name: bool) -> Kind:
    """Return the kind of file by its content; the name decides only between TIFF and RAW.

    Raises
    ------
    PhotoError
        ``not-a-photo``, or what reading a TIFF's directories raises.
    """
    for kind, pattern in _SIGNATURES.items():
        if pattern.match(data):
            return kind
    if data[4:8] == b"ftyp":
        return _base_media_kind(data)
    if data.startswith(tiffpages.SIGNATURES):
        is_canon_raw = data[_CANON_RAW_AT] == b"CR"
        if is_raw_name or is_canon_raw or tiffpages.is_raw(tiffpages.read_layout(data)):
            return "raw"
        return "tiff"
    raise PhotoError(reasons.NOT_A_PHOTO)


def _base_media_kind(data: bytes) -> Kind:
    box = data[8 : min(int.from_bytes(data[:4]), 256)]
    brands = {box[i : i + 4] for i in range(0, len(box), 4)}
    if b"crx " in brands:
        return "raw"
    if brands & _HEIC_BRANDS:
        return "heic"
    raise PhotoError(reasons.NOT_A_PHOTO, "an ISO media file that is no HEIC")


def check_whole(data: bytes, kind: Kind, max_pixels: int) -> Structure:
    """Check what can be known from the bytes alone: that nothing is cut off, zeroed or too deep.

    Raises
    ------
    PhotoError
        ``truncated``, ``damaged``, ``several-frames``, ...
    """
    if kind == "jpeg":
        return _check_jpeg(data)
    if kind == "png":
        return Structure(is_deep_colour=pngfile.is_deep_colour(pngfile.read_layout(data)))
    if kind == "gif":
        giffile.read_layout(data)
    if kind == "webp":
        layout = webpfile.read_layout(data, max_pixels)
        return Structure(own_mark=layout.has_own_mark(data))
    if kind == "tiff":
        directories = tiffpages.read_layout(data)
        tiffpages.check_whole(data, directories)
        return Structure(
            pages=len(directories.directories), is_deep_colour=tiffpages.is_deep_colour(directories)
        )
    return Structure()


def _check_jpeg(data: bytes) -> Structure:
    layout = jpegfile.read_layout(data)
    jpegfile.check_no_hole(data, layout)
    comments = [s for s in layout.metadata() if s.marker == COM]
    marked = any(
        exif.is_own_mark(data[s.start + 4 : s.end].decode("ascii", "replace")) for s in comments
    )
    further = mpf.further_images(data, layout)
    for start in further:
        jpegfile.check_no_hole(data, jpegfile.read_layout(data, start))
    return Structure(jpeg=layout, pages=1 + len(further), own_mark=marked)
