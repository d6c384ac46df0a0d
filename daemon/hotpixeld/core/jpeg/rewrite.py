"""Repairs a baseline JPEG in place of its touched MCUs: every other bit of the file is copied.

Read the wanted MCUs, change their coefficients, code them with the file's own tables, splice them
in, fill up to the old length, and check the result before anyone sees it.
"""

from collections.abc import Callable

import numpy as np

from hotpixeld.core.jpeg.blocks import Blocks, NoCodeError
from hotpixeld.core.jpeg.codable import made_codable
from hotpixeld.core.jpeg.edit import (
    edited,
    least_coefficients,
    stands_for,
    touched_mcus,
)
from hotpixeld.core.jpeg.markers import JpegLayout, read_layout
from hotpixeld.core.jpeg.opened import OpenedJpeg, open_mcus
from hotpixeld.core.jpeg.parse import Header, read_header
from hotpixeld.core.jpeg.recode import coded, pieces_of
from hotpixeld.core.jpeg.scan import stuffed
from hotpixeld.core.jpeg.splice import spliced
from hotpixeld.core.jpeg.unsupported import JpegUnsupported
from hotpixeld.core.jpeg.verify import check
from hotpixeld.core.patch import Patch

Edit = Callable[[Blocks], Blocks]


def repair_blocks(data: bytes, patch: Patch, layout: JpegLayout | None = None) -> bytes:
    """Return the JPEG with the pixels of ``patch`` set, all else as it was.

    Only the MCUs that hold a pixel of the patch are coded anew, with the file's own tables, and the
    DC difference of the MCU after each. All other coefficients, the bytes before the scan and from
    EOI on stay; at the same offsets, but where the scan cannot help growing: then what follows has
    moved, and offsets to it that stand elsewhere are the caller's business. Of a file with several
    images the first is repaired. An empty patch returns ``data`` itself.

    Parameters
    ----------
    data : bytes
        The whole file.
    patch : Patch
        Pixels of the first image as stored, 8 bit; CMYK as Pillow gives it.
    layout : JpegLayout, optional
        Of ``data``, where it is known already.

    Returns
    -------
    bytes

    Raises
    ------
    JpegUnsupported
        The file cannot be repaired so; its ``reason`` is fixed.
    ValueError
        The patch does not fit the picture.
    """
    if not len(patch):
        return data
    header = read_header(data, layout or read_layout(data))
    _check_fit(header, patch)
    return repair_opened(open_mcus(data, header, touched_mcus(header, patch).numbers), patch)


def repair_opened(opened: OpenedJpeg, patch: Patch) -> bytes:
    """Do as `repair_blocks`, of whose file the MCUs that ``patch`` touches were found already."""
    if not len(patch):
        return opened.data
    header = opened.header
    _check_fit(header, patch)
    mcus = touched_mcus(header, patch)

    def edit(blocks: Blocks) -> Blocks:
        return edited(header, mcus, blocks, patch.values_dn)

    return recoded(opened.only(mcus.numbers), edit)


def recoded(opened: OpenedJpeg, edit: Edit) -> bytes:
    """Return the file with the blocks of the wanted MCUs changed.

    Coefficients that the file's tables have no code for are moved to the nearest that they have.
    If the file grew, its least new coefficients are dropped until it fits; where that is not enough
    or spoils the repair, it grows.
    """
    header, length = opened.header, len(opened.data)
    old = opened.blocks
    new = edit(old)
    try:
        result, kept = _coded(opened, new)
        fitted, fewer = result, kept
        if len(result) > length:
            fitted, fewer = _fitted(opened, result, kept)
    except NoCodeError as error:
        raise JpegUnsupported("no-code", str(error)) from error
    if not stands_for(header, old, new, kept):
        raise JpegUnsupported("no-code", "what the tables can code is too far from the repair")
    if len(fitted) <= length and stands_for(header, old, new, fewer):
        result, kept = fitted, fewer
    check(opened, result, kept)
    return result


def _fitted(opened: OpenedJpeg, result: bytes, kept: Blocks) -> tuple[bytes, Blocks]:
    """Drop the least coefficients of the touched MCUs until the file is as long as it was."""
    order, dropped = least_coefficients(opened.header, kept), 0
    while (longer := len(result) - len(opened.data)) > 0 and dropped < len(order):
        more = 2 * longer  # dropping one saves about four bits
        kept = kept.copy()
        kept.reshape(-1)[order[dropped : dropped + more]] = 0
        dropped += more
        result, kept = _coded(opened, kept)
    return result, kept


def _coded(opened: OpenedJpeg, new: Blocks) -> tuple[bytes, Blocks]:
    """Assemble the file, with the blocks as they could be coded."""
    try:
        return _assembled(opened, new), new
    except NoCodeError:
        kept = np.concatenate(
            [
                made_codable(part, part.local, new[part.held(opened.numbers)])
                for part in opened.parts
            ]
        )
        return _assembled(opened, kept), kept


def _check_fit(header: Header, patch: Patch) -> None:
    if patch.values_dn.dtype != np.uint8 or patch.values_dn.shape[1:] != (len(header.components),):
        raise ValueError(f"the patch is not of {len(header.components)} 8-bit channels")
    inside = (patch.rows >= 0) & (patch.rows < header.height)
    if not (inside & (patch.columns >= 0) & (patch.columns < header.width)).all():
        raise ValueError(f"the patch reaches beyond {header.width}x{header.height} pixels")


def _assembled(opened: OpenedJpeg, new: Blocks) -> bytes:
    """Return the file with the new blocks in the opened intervals."""
    data, header = opened.data, opened.header
    pieces, at = list[bytes | memoryview](), 0
    for part in opened.parts:
        replacements = coded(part, pieces_of(part, new[part.held(opened.numbers)]))
        scan = stuffed(spliced(part.stream, replacements, part.places.end))
        pieces += [data[at : part.interval.start], scan.data]
        at = part.interval.end - part.interval.fill
    pieces.append(data[at : header.scan_end])
    length = sum(map(len, pieces))
    pieces += [b"\xff" * max(0, header.scan_end - length), data[header.scan_end :]]
    return b"".join(pieces)
