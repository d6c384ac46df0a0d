"""Repaired copies: a photo and a patch in, the bytes of the copy out."""

from collections.abc import Callable

from hotpixeld.core.patch import Patch
from hotpixeld.core.sensor import Kind
from hotpixeld.edge import (
    encode_gif,
    encode_heif,
    encode_jpeg,
    encode_png,
    encode_raw,
    encode_tiff,
    encode_webp,
)
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.encode_jpeg import JpegMethod
from hotpixeld.edge.photo import Photo

_REPAIRS: dict[Kind, Callable[[Photo, Patch], EncodedCopy]] = {
    "png": encode_png.repaired,
    "tiff": encode_tiff.repaired,
    "gif": encode_gif.repaired,
    "webp": encode_webp.repaired,
    "heic": encode_heif.repaired,
    "raw": encode_raw.developed,
}


def encode_copy(photo: Photo, patch: Patch, *, jpeg: JpegMethod, quality: int) -> EncodedCopy:
    """Return the repaired copy of a photo, with all that need not change as it was.

    Parameters
    ----------
    photo : Photo
        As it was read.
    patch : Patch
        New pixel values of ``photo.frame``.
    jpeg : str
        ``blocks``: only the touched blocks of a JPEG are coded again where that can be done,
        ``reencode``: all are, with the photo's own tables; ``quality``: all are, at ``quality``.
    quality : int
        1 to 100, for a JPEG that is re-encoded and whose own tables are not or cannot be used.

    Raises
    ------
    PhotoError
        ``not-writable`` when no copy can be made with the rest unchanged.
    """
    if photo.sensor.kind == "jpeg":
        return encode_jpeg.repaired(photo, patch, jpeg, quality)
    return _REPAIRS[photo.sensor.kind](photo, patch)
