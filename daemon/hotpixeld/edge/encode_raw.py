"""Copies of RAW photos: 16-bit TIFF, developed after the raw data itself was repaired."""

import io

import numpy as np

from hotpixeld.core.patch import Patch
from hotpixeld.edge import bayer, exif, extras, reasons
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.photo import Photo

_MAKE, _MODEL, _SOFTWARE_OF_COPY = 0x010F, 0x0110, 0x000B


def developed(photo: Photo, patch: Patch) -> EncodedCopy:
    """Return the photo developed by LibRaw with the camera's white balance, upright, in sRGB.

    Raises
    ------
    PhotoError
        ``needs-raw`` without the extra, ``damaged`` when LibRaw fails.
    """
    tiff = extras.module("tifffile", "raw", reasons.NEEDS_RAW)
    limit = photo.frame.shape[0] * photo.frame.shape[1] * 8  # sites, and the frame around them
    with bayer.opened(photo.data, limit) as raw:
        sites = raw.raw_image_visible
        for channel, (row, column) in enumerate(bayer.CELL_SITES):
            sites[2 * patch.rows + row, 2 * patch.columns + column] = patch.values_dn[:, channel]
        picture = raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=16)
    stream = io.BytesIO()
    tags = [
        (tag, "s", 0, text, True)
        for tag, text in (
            (_MAKE, photo.facts.make),
            (_MODEL, photo.facts.model),
            (_SOFTWARE_OF_COPY, exif.OWN_MARK),
        )
        if text
    ]
    taken = photo.captured_at
    tiff.imwrite(
        stream,
        np.ascontiguousarray(picture),
        photometric="rgb",
        compression="zlib",
        metadata=None,
        software=False,
        datetime=taken.strftime("%Y:%m:%d %H:%M:%S") if taken else None,
        extratags=tags,
    )
    note = "developed from RAW with the camera's white balance"
    return EncodedCopy(stream.getvalue(), ".tif", "developed", note)
