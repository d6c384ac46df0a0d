"""Sixteen bits a channel in colour, with the extra ``deep``: Pillow would give eight.

Checksums and completeness were checked before on the bytes, because these decoders are lenient.
"""

import io
from typing import Any, cast

import numpy as np

from hotpixeld.core.sensor import Kind
from hotpixeld.edge import extras, reasons, tiffpages
from hotpixeld.edge.decode import Frame
from hotpixeld.errors import PhotoError

_CMYK = 5


def stored_values(data: bytes, kind: Kind) -> Frame:
    """Return the samples of a 16-bit PNG or TIFF as they are stored, alpha and all.

    Returns
    -------
    (height, width, samples) uint16

    Raises
    ------
    PhotoError
        ``sixteen-bit-colour`` without the extra, ``damaged``, ``too-large`` (no memory).
    """
    codecs = extras.module("imagecodecs", "deep", reasons.SIXTEEN_BIT_COLOUR)
    tiff = extras.module("tifffile", "deep", reasons.SIXTEEN_BIT_COLOUR)
    try:
        values = codecs.png_decode(data) if kind == "png" else _first_page(tiff, data)
    except MemoryError as error:
        raise PhotoError(reasons.TOO_LARGE, "not enough memory", may_pass=True) from error
    except Exception as error:
        raise PhotoError(reasons.DAMAGED, f"{type(error).__name__}: {error}"[:200]) from error
    if values.ndim != 3 or values.dtype != np.uint16:
        raise PhotoError(reasons.UNSUPPORTED_PIXELS, f"{values.shape} {values.dtype}")
    return np.ascontiguousarray(values)


def _first_page(tiff: Any, data: bytes) -> np.ndarray[Any, Any]:  # noqa: ANN401 - a module
    with tiff.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        values = np.asarray(page.asarray())
        planes = page.planarconfig == tiff.PLANARCONFIG.SEPARATE
        return np.moveaxis(values, 0, -1) if planes else values


def without_alpha(data: bytes, kind: Kind, stored: Frame) -> Frame:
    """Return the colour channels of ``stored``: 1 (grey), 3 (RGB) or 4 (CMYK)."""
    channels = 1 if stored.shape[2] == 2 else 3
    if kind == "tiff" and tiffpages.read_layout(data).main.one(tiffpages.PHOTOMETRIC) == _CMYK:
        channels = 4
    return cast("Frame", np.ascontiguousarray(stored[..., :channels]))
