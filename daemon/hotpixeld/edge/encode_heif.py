"""Repaired copies of HEIC files, coded again as a whole: HEVC is lossy."""

import io

import numpy as np

from hotpixeld.core.patch import Patch
from hotpixeld.edge import exif, extras, heif, reasons, samples
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.decode import Frame
from hotpixeld.edge.photo import Photo
from hotpixeld.errors import PhotoError

_GREATEST_MEAN_ERROR = 8.0 / 255
_ENCODER = {
    "preset": "veryfast"
}  # as large and as good as x265's own choice in a third of the time


def repaired(photo: Photo, patch: Patch) -> EncodedCopy:
    """Return the copy of a HEIC photo, about as large as it was, with our mark in its EXIF.

    Raises
    ------
    PhotoError
        ``needs-heif`` without the extra; ``not-writable`` when the copy would not decode to the
        repaired picture.
    """
    codec = extras.module("pillow_heif", "heif", reasons.NEEDS_HEIF)
    limit = photo.frame.shape[0] * photo.frame.shape[1]
    upright, orientation = heif.without_rotation(photo.data)
    file, stored = heif.decoded(codec, upright, limit)
    image = file[file.primary_index]
    wanted = samples.patched(stored, patch)
    options = {k: v for k in ("icc_profile", "xmp") if (v := image.info.get(k))}
    exif_block = image.info.get("exif") or b""

    def encoded(values: Frame, quality: int, **metadata: bytes) -> bytes:
        stream = io.BytesIO()
        size = values.shape[1], values.shape[0]
        codec.encode(
            image.mode,
            size,
            values.tobytes(),
            stream,
            quality=quality,
            enc_params=_ENCODER,
            **metadata,
        )
        return stream.getvalue()

    size = len(photo.data) - len(exif_block) - sum(map(len, options.values()))
    quality = samples.quality_of_equal_size(lambda v, q: len(encoded(v, q)), wanted, size)
    copy = encoded(wanted, quality, exif=exif.marked_block(exif_block, orientation), **options)
    again = heif.decoded(codec, heif.without_rotation(copy)[0], limit)[1]
    if again.shape != wanted.shape or again.dtype != wanted.dtype:
        raise PhotoError(reasons.NOT_WRITABLE, "the re-encoded HEIC has another shape")
    full = float(np.iinfo(wanted.dtype).max)
    if float(np.abs(again / full - wanted / full).mean()) > _GREATEST_MEAN_ERROR:
        raise PhotoError(reasons.NOT_WRITABLE, "the re-encoded HEIC shows another picture")
    notes = [f"HEIC: quality {quality}, as large"]
    if len(file) > 1 or image.info.get("thumbnails") or image.info.get("depth_images"):
        notes.append("further images, previews and depth are left out")
    return EncodedCopy(copy, "", "reencoded", "; ".join(notes))
