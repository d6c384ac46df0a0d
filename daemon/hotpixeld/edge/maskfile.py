"""Defective pixels as a PNG mask of the frame's size: white where defective."""

import io
from collections.abc import Iterable

import numpy as np
from PIL import Image, UnidentifiedImageError

from hotpixeld.core.lists import ListedPixel


def write_mask(pixels: Iterable[ListedPixel], *, width: int, height: int) -> bytes:
    """Return an 8-bit grey PNG, 255 at ``pixels`` and 0 elsewhere.

    Raises
    ------
    ValueError
        A pixel is outside the frame.
    """
    mask = np.zeros((height, width), np.uint8)
    for pixel in pixels:
        if not (0 <= pixel.x < width and 0 <= pixel.y < height):
            raise ValueError(f"pixel {pixel.x},{pixel.y} is outside {width}x{height}")
        mask[pixel.y, pixel.x] = 255
    written = io.BytesIO()
    Image.fromarray(mask).save(written, "PNG", optimize=True)
    return written.getvalue()


def read_mask(data: bytes, *, width: int, height: int) -> tuple[ListedPixel, ...]:
    """Return the pixels of a PNG mask that are not black, sorted.

    Raises
    ------
    ValueError
        ``data`` is no whole PNG, or not of the frame's size.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.size != (width, height):
                found = f"{image.width}x{image.height}"
                raise ValueError(
                    f"the mask is {found} pixels, the sensor's frames {width}x{height}"
                )
            image.load()
            shown = image if image.mode in ("1", "L", "I;16", "I") else image.convert("RGB")
            values = np.asarray(shown)
    except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ValueError(f"no usable PNG mask: {error}") from error
    marked = values.astype(bool) if values.ndim == 2 else values.any(axis=2)
    return tuple(sorted(ListedPixel(int(x), int(y)) for y, x in np.argwhere(marked)))
