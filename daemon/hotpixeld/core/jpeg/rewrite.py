"""Repairs a baseline JPEG in place of its touched MCUs: every other bit of the file is copied.

Read the wanted MCUs, change their coefficients, code them with the file's own tables, splice them
in, fill up to the old length, and check the result before anyone sees it.
"""

from collections.abc import Callable

import numpy as np

from hotpixeld.core.jpeg.blocks import Blocks, NoCodeError, Numbers, coding_of
from hotpixeld.core.jpeg.codable import made_codable
from hotpixeld.core.jpeg.edit import (
    edited,
    least_coefficients,
    stands_for,
    touched_mcus,
)
from hotpixeld.core.jpeg.markers import JpegLayout, read_layout
from hotpixeld.core.jpeg.opened import OpenedInterval, open_interval
from hotpixeld.core.jpeg.parse import Header, read_header
from hotpixeld.core.jpeg.recode import coded, pieces_of
from hotpixeld.core.jpeg.scan import intervals, stuffed
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
    mcus = touched_mcus(header, patch)

    def edit(blocks: Blocks) -> Blocks:
        return edited(header, mcus, blocks, patch.values_dn)

    return recoded(data, header, mcus.numbers, edit)


def recoded(data: bytes, header: Header, numbers: Numbers, edit: Edit) -> bytes:
    """Return the file with the blocks of the MCUs ``numbers`` (rising) changed.

    Coefficients that the file's tables have no code for are moved to the nearest that they have.
    If the file grew, its least new coefficients are dropped until it fits; where that is not enough
    or spoils the repair, it grows.
    """
    coding = coding_of(header)
    cuts = intervals(data, header)
    every = header.restart_interval or header.mcus
    opened = [
        open_interval(data, header, coding, cuts[cut], numbers)
        for cut in np.unique(numbers // every)
    ]
    old = np.concatenate([part.blocks for part in opened])
    new = edit(old)
    try:
        result, kept = _coded(data, header, opened, numbers, new)
        fitted, fewer = result, kept
        if len(result) > len(data):
            fitted, fewer = _fitted(data, result, header, opened, numbers, kept)
    except NoCodeError as error:
        raise JpegUnsupported("no-code", str(error)) from error
    if not stands_for(header, old, new, kept):
        raise JpegUnsupported("no-code", "what the tables can code is too far from the repair")
    if len(fitted) <= len(data) and stands_for(header, old, new, fewer):
        result, kept = fitted, fewer
    check(data, result, header, opened, numbers, kept)
    return result


def _fitted(  # noqa: PLR0917  as `_coded`, and what it made
    data: bytes,
    result: bytes,
    header: Header,
    opened: list[OpenedInterval],
    numbers: Numbers,
    kept: Blocks,
) -> tuple[bytes, Blocks]:
    """Drop the least coefficients of the touched MCUs until the file is as long as it was."""
    order, dropped = least_coefficients(header, kept), 0
    while len(result) > len(data) and dropped < len(order):
        more = 2 * (len(result) - len(data))  # dropping one saves about four bits
        kept = kept.copy()
        kept.reshape(-1)[order[dropped : dropped + more]] = 0
        dropped += more
        result, kept = _coded(data, header, opened, numbers, kept)
    return result, kept


def _coded(
    data: bytes, header: Header, opened: list[OpenedInterval], numbers: Numbers, new: Blocks
) -> tuple[bytes, Blocks]:
    """Assemble the file, with the blocks as they could be coded."""
    try:
        return _assembled(data, header, opened, numbers, new), new
    except NoCodeError:
        kept = np.concatenate(
            [made_codable(part, part.local, new[part.held(numbers)]) for part in opened]
        )
        return _assembled(data, header, opened, numbers, kept), kept


def _check_fit(header: Header, patch: Patch) -> None:
    if patch.values_dn.dtype != np.uint8 or patch.values_dn.shape[1:] != (len(header.components),):
        raise ValueError(f"the patch is not of {len(header.components)} 8-bit channels")
    inside = (patch.rows >= 0) & (patch.rows < header.height)
    if not (inside & (patch.columns >= 0) & (patch.columns < header.width)).all():
        raise ValueError(f"the patch reaches beyond {header.width}x{header.height} pixels")


def _assembled(
    data: bytes,
    header: Header,
    opened: list[OpenedInterval],
    numbers: Numbers,
    new: Blocks,
) -> bytes:
    """Return the file with the new blocks in the opened intervals."""
    pieces, at = list[bytes | memoryview](), 0
    for part in opened:
        replacements = coded(part, pieces_of(part, new[part.held(numbers)]))
        scan = stuffed(spliced(part.stream, replacements, part.places.end))
        pieces += [data[at : part.interval.start], scan.data]
        at = part.interval.end - part.interval.fill
    pieces.append(data[at : header.scan_end])
    length = sum(map(len, pieces))
    pieces += [b"\xff" * max(0, header.scan_end - length), data[header.scan_end :]]
    return b"".join(pieces)
