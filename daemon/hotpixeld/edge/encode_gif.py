"""Repaired copies of GIF files: the image's codes are replaced, all other blocks stay."""

import io

import numpy as np
from PIL import Image

from hotpixeld.core.patch import Patch
from hotpixeld.edge import decode, giffile, reasons, samples
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.decode import Frame
from hotpixeld.edge.photo import Photo
from hotpixeld.errors import PhotoError


def repaired(photo: Photo, patch: Patch) -> EncodedCopy:
    """Return the copy of a GIF photo in which only the pixels of ``patch`` differ.

    A colour that the table lacks takes an entry that no pixel uses, or is the nearest there is.

    Raises
    ------
    PhotoError
        ``not-writable``: no colour table, or the copy would not decode to exactly that.
    """
    layout = giffile.read_layout(photo.data)
    stored, transparent = _stored(photo.data)
    start, end = layout.palette
    colours = np.frombuffer(photo.data[start:end], np.uint8).reshape(-1, 3)
    if not len(colours) or int(stored.max()) >= len(colours):
        raise PhotoError(reasons.NOT_WRITABLE, "the GIF's colours are not all in its table")
    alphas = np.full(len(colours), 255, np.uint8)
    alphas[transparent] = 0
    free = samples.unused_tail(stored, len(colours), keep=transparent)
    palette = samples.Palette(colours, alphas, free)
    wanted, added = samples.patched_indices(stored, patch, palette)
    codes = _encoded(wanted, is_interlaced=layout.is_interlaced)
    data = bytearray(photo.data[: layout.image[0]] + codes + photo.data[layout.image[1] :])
    for entry, colour in added.items():
        data[start + 3 * entry : start + 3 * entry + 3] = bytes(colour)
    samples.check_same(_stored(bytes(data))[0], wanted)
    return EncodedCopy(bytes(data), "", "lossless")


def _stored(data: bytes) -> tuple[Frame, list[int]]:
    """Return the indices, and the transparent one if there is one."""
    image = decode.load(decode.open_image(data, len(data) * 10_000))
    transparent = image.info.get("transparency")
    return decode.stored_values(image), [transparent] if isinstance(transparent, int) else []


def _encoded(indices: Frame, *, is_interlaced: bool) -> bytes:
    """Return the LZW codes of an image, from the code size to the terminator."""
    stream = io.BytesIO()
    grey = Image.fromarray(indices[..., 0].astype(np.uint8))
    grey.save(stream, "GIF", optimize=False, interlace=is_interlaced)
    data = stream.getvalue()
    start, end = giffile.read_layout(data).image
    return data[start:end]
