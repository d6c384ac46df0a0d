"""Repaired copies: a photo and a patch in, the bytes of the copy out."""

from typing import Literal

from hotpixeld.core.patch import Patch
from hotpixeld.edge import encode_jpeg, encode_tiff, reasons
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.photo import Photo
from hotpixeld.errors import PhotoError


def encode_copy(
    photo: Photo, patch: Patch, *, jpeg: Literal["blocks", "reencode"], quality: int
) -> EncodedCopy:
    """Return the repaired copy of a photo, with all that need not change as it was.

    Parameters
    ----------
    photo : Photo
        As it was read.
    patch : Patch
        New pixel values of ``photo.frame``.
    jpeg : str
        ``blocks``: only the touched blocks of a JPEG are coded again where that can be done,
        ``reencode``: all are.
    quality : int
        1 to 100, for a JPEG that is re-encoded and whose own tables cannot be used.

    Raises
    ------
    PhotoError
        ``not-writable`` when no copy can be made with the rest unchanged.
    """
    if photo.sensor.kind == "jpeg":
        return encode_jpeg.repaired(photo, patch, jpeg, quality)
    if photo.sensor.kind == "tiff":
        return encode_tiff.repaired(photo, patch)
    raise PhotoError(reasons.NOT_WRITABLE, photo.container)
