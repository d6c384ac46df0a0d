"""HEIC photos, with the extra ``heif``.

The frame is as stored: the rotation that the file asks for (the property ``irot``) is taken out
before decoding, because the sensor's pixels do not move with it. HEVC is lossy, so a copy is coded
again as a whole, about as large, and carries our mark in its EXIF.
"""

import io
import re
from dataclasses import replace
from types import ModuleType
from typing import Any, cast

import numpy as np

from hotpixeld.edge import decode, exif, extras, holes, reasons
from hotpixeld.edge.decode import Frame
from hotpixeld.edge.picture import Picture, pixel_digest
from hotpixeld.errors import PhotoError

_ROTATION = re.compile(rb"\0\0\0\x09irot([\0-\x03])", re.DOTALL)
_ORIENTATION_OF_ANGLE = {0: 1, 1: 8, 2: 3, 3: 6}  # quarter turns against the clock
MODES = {
    "L": ("L", 1),
    "LA": ("LA", 1),
    "RGB": ("RGB", 3),
    "RGBA": ("RGBA", 3),
    "I;16": ("I;16", 1),
    "L;16": ("L;16", 1),
    "RGB;16": ("RGB;16", 3),
    "RGBA;16": ("RGBA;16", 3),
}


def read(data: bytes, max_pixels: int) -> Picture:
    """Decode the primary image of a HEIC file.

    Raises
    ------
    PhotoError
        ``needs-heif`` without the extra, ``truncated``, ``damaged``, ``too-large``, ...
    """
    codec = extras.module("pillow_heif", "heif", reasons.NEEDS_HEIF)
    check_whole(data)
    upright, orientation = without_rotation(data)
    file, stored = decoded(codec, upright, max_pixels)
    image = file[file.primary_index]
    facts = replace(exif.facts_of_block(image.info.get("exif")), orientation=orientation)
    channels = MODES[image.mode][1]
    return Picture(
        frame=cast("Frame", np.ascontiguousarray(stored[..., :channels])),
        digest=pixel_digest(f"heic {image.mode} {stored.shape}", stored.tobytes()),
        container="HEIC",
        facts=facts,
        pages=len(file),
        own_mark=facts.own_mark,
    )


def check_whole(data: bytes) -> None:
    """Raise ``PhotoError`` when a box is cut off, or when zeros stand where pixels must be."""
    position = 0
    while position < len(data):
        size = int.from_bytes(data[position : position + 4])
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[position + 8 : position + 16]), 16
        elif size == 0:
            size = len(data) - position
        if size < head or position + size > len(data):
            raise PhotoError(reasons.TRUNCATED, "the HEIC ends within a box")
        if data[position + 4 : position + 8] == b"mdat":
            hole = holes.find_hole(data, position + head, position + size)
            if hole is not None:
                raise PhotoError(reasons.DAMAGED, f"zeros in the HEIC's data from byte {hole} on")
        position += size


def without_rotation(data: bytes) -> tuple[bytes, int]:
    """Return the file with its rotation set to none, and the EXIF orientation that it stood for."""
    end = data.find(b"mdat")
    angles = {int(m.group(1)[0]) for m in _ROTATION.finditer(data, 0, max(end, 0) or len(data))}
    if len(angles) != 1:
        return data, 1
    upright = bytearray(data)
    for match in _ROTATION.finditer(data, 0, max(end, 0) or len(data)):
        upright[match.start(1)] = 0
    return bytes(upright), _ORIENTATION_OF_ANGLE[angles.pop()]


def decoded(codec: ModuleType, data: bytes, max_pixels: int) -> tuple[Any, Frame]:
    """Return pillow_heif's file, and the samples of its primary image with their alpha."""
    try:
        file = codec.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
        image = file[file.primary_index]
        width, height = image.size
        decode.check_size(width, height, max_pixels)
        _check_mode(image.mode)
        values = np.asarray(image).reshape(height, width, -1)
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(reasons.TOO_LARGE, "not enough memory", may_pass=True) from error
    except Exception as error:
        raise PhotoError(reasons.DAMAGED, f"{type(error).__name__}: {error}"[:200]) from error
    return file, np.ascontiguousarray(values)


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise PhotoError(reasons.UNSUPPORTED_PIXELS, f"mode {mode}")
