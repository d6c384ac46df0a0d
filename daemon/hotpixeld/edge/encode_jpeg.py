"""Repaired copies of JPEG files: block-wise where the core can, else re-encoded.

What is re-encoded keeps every metadata segment and all that follows the first image, byte for
byte, and carries our mark in a comment segment, because its coefficients are no longer the
photo's: the ledger tells such a copy by the mark when it comes back under another name.
"""

import io
from typing import Any, Literal

import numpy as np
from PIL import Image, JpegImagePlugin

from hotpixeld.core.jpeg.markers import APP0, APP14, COM, SOI, JpegLayout, Segment
from hotpixeld.core.jpeg.opened import OpenedJpeg
from hotpixeld.core.jpeg.rewrite import repair_blocks, repair_opened
from hotpixeld.core.jpeg.unsupported import JpegUnsupported
from hotpixeld.core.patch import Patch
from hotpixeld.edge import exif, mpf, reasons
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.jpegfile import image_digest, read_layout
from hotpixeld.edge.photo import Photo
from hotpixeld.edge.surroundings import UndecodedJpeg
from hotpixeld.errors import PhotoError

JpegMethod = Literal["blocks", "reencode", "quality"]

_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_GREATEST_MEAN_ERROR_DN = 8.0
_ADOBE = b"Adobe"
_RGB_IDS = b"RGB"


def repaired(photo: Photo, patch: Patch, how: JpegMethod, quality: int) -> EncodedCopy:
    """Return the copy of a JPEG or MPO, block by block where that is wanted and can be done.

    Raises
    ------
    PhotoError
        ``not-writable`` when neither way gives the repaired picture.
    """
    why = "as configured"
    layout = photo.jpeg or read_layout(photo.data)
    if how == "blocks":
        try:
            return _by_blocks(photo, patch, layout)
        except JpegUnsupported as refusal:
            why = f"not block-wise: {refusal.reason}"
    return reencode(photo, patch, quality, why, own_tables=how != "quality")


def _by_blocks(photo: Photo, patch: Patch, layout: JpegLayout) -> EncodedCopy:
    """Code only the touched blocks anew.

    Where the scan grows and more than EOI follows it, that moves, as it would in a copy that is
    coded anew as a whole; the multi-picture index is put right, the only bytes of the header that
    ever change.
    """
    data, moved, note = _in_place(
        repair_blocks(photo.data, patch, layout), photo.data, layout, photo.pages
    )
    return EncodedCopy(data, "", "blocks", note, image_digest(data, moved))


def repaired_undecoded(jpeg: UndecodedJpeg, opened: OpenedJpeg, patch: Patch) -> EncodedCopy:
    """Return the copy of a JPEG that was not decoded as a whole, block by block.

    ``opened`` is its file with the MCUs found that ``patch`` touches.

    Raises
    ------
    JpegUnsupported
        That cannot be done.
    """
    data, _, note = _in_place(repair_opened(opened, patch), jpeg.data, jpeg.layout, jpeg.pages)
    return EncodedCopy(data, "", "blocks", note)


def _in_place(
    data: bytes, original: bytes, layout: JpegLayout, pages: int
) -> tuple[bytes, JpegLayout, str]:
    """Return a repaired file with its index put right, its layout, and what is to be said."""
    notes = ["the other images are copied"] if pages > 1 else []
    longer = len(data) - len(original)
    moved = layout.with_longer_scan(longer) if longer else layout
    if longer and data[moved.end :]:
        data = mpf.moved(data, moved, layout)
        notes.append(f"what follows the picture has moved by {longer} bytes")
    return data, moved, "; ".join(notes)


def reencode(
    photo: Photo, patch: Patch, quality: int, why: str, *, own_tables: bool = True
) -> EncodedCopy:
    """Encode the whole photo anew with its own subsampling and quantisation tables.

    Parameters
    ----------
    photo : Photo
        A JPEG or MPO; of several images the first is encoded, the others are copied.
    patch : Patch
        What to change.
    quality : int
        For the tables, 1 to 100, where the photo's own are not or cannot be used.
    why : str
        Goes into the copy's note.
    own_tables : bool
        False for tables of ``quality``.

    Raises
    ------
    PhotoError
        ``not-writable`` when the result does not decode to the repaired frame.
    """
    original = photo.jpeg or read_layout(photo.data)
    opened = Image.open(io.BytesIO(photo.data), formats=("JPEG",))
    repaired = np.asarray(patch.applied_to(photo.frame))
    pixels = repaired[..., 0] if repaired.shape[2] == 1 else repaired
    image = Image.fromarray(pixels)
    if image.mode != _MODES[repaired.shape[2]]:
        image = Image.frombytes(_MODES[repaired.shape[2]], opened.size, repaired.tobytes())
    options, tables_note = _options(opened, photo.data, original, quality, own_tables=own_tables)
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    copy = _spliced(photo.data, original, stream.getvalue())
    _check(copy, repaired)
    note = "; ".join(part for part in (why, tables_note) if part)
    return EncodedCopy(copy, "", "reencoded", note)


def _options(
    opened: Image.Image, data: bytes, layout: JpegLayout, quality: int, *, own_tables: bool
) -> tuple[dict[str, Any], str]:
    options: dict[str, Any] = {
        "progressive": bool(opened.info.get("progressive")),
        "optimize": bool(opened.info.get("progressive")),
    }
    notes = []
    sampling = JpegImagePlugin.get_sampling(opened)
    if opened.mode == "RGB":
        options["keep_rgb"] = _stores_rgb(opened, data, layout)
        options["subsampling"] = max(sampling, 0)
        if sampling < 0:
            notes.append("its chroma subsampling is not to be had: 4:4:4")
    tables = getattr(opened, "quantization", {})
    if own_tables and tables and max(tables) < 4 and sorted(tables) == list(range(len(tables))):
        options["qtables"] = tables
        notes.append("own quantisation tables")
    else:
        options["quality"] = quality
        notes.append(f"quality {quality}")
    return options, ", ".join(notes)


def _stores_rgb(opened: Image.Image, data: bytes, layout: JpegLayout) -> bool:
    """Return True for three components that are stored as RGB, not YCbCr (libjpeg's rules)."""
    if "jfif" in opened.info:
        return False
    if "adobe_transform" in opened.info:
        return bool(opened.info["adobe_transform"] == 0)
    ids = data[layout.frame.start + 10 : layout.frame.end : 3]
    return ids == _RGB_IDS


def _spliced(data: bytes, original: JpegLayout, encoded: bytes) -> bytes:
    """Return the new image in the original's clothes: its metadata segments and its tail."""
    new = read_layout(encoded)
    new_adobe = [s for s in new.segments if _is_adobe(encoded, s)]
    kept = [
        data[s.start : s.end] for s in original.metadata() if not (new_adobe and _is_adobe(data, s))
    ]
    comment = exif.OWN_MARK.encode("ascii")
    mark = bytes((0xFF, COM)) + (len(comment) + 2).to_bytes(2) + comment
    image_start = next(s.start for s in new.segments if not s.is_metadata)
    assert all(s.marker in {APP0, APP14} for s in new.metadata())  # Pillow was given no other
    copy = b"".join(
        (
            bytes((0xFF, SOI)),
            *kept,
            *(encoded[s.start : s.end] for s in new_adobe),
            mark,
            encoded[image_start : new.end],
            data[original.end :],
        )
    )
    return mpf.moved(copy, read_layout(copy), original)


def _is_adobe(data: bytes, segment: Segment) -> bool:
    return segment.marker == APP14 and data.startswith(_ADOBE, segment.start + 4)


def _check(copy: bytes, repaired: np.ndarray[Any, Any]) -> None:
    image = Image.open(io.BytesIO(copy), formats=("JPEG",))
    decoded = np.asarray(image).reshape(image.height, image.width, -1)
    if decoded.shape == repaired.shape:
        step = max(1, len(decoded) // 64)
        difference = decoded[::step].astype(np.int16) - repaired[::step]
        if float(np.abs(difference).mean()) <= _GREATEST_MEAN_ERROR_DN:
            return
    raise PhotoError(reasons.NOT_WRITABLE, "the re-encoded JPEG shows another picture")
