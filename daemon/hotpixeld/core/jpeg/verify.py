"""Reads a repaired file as a decoder would and holds it against the old one, bit by bit.

What is proved: a decoder that walks the result from its first byte on finds the old header, then in
each restart interval the old bits up to a touched MCU, there blocks that hold what is wanted and
end where the next bits begin, then the old bits again, and no marker before the old one. So it
decodes to its end if the old file does, and to the same but for the touched MCUs.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hotpixeld.core.jpeg.blocks import Blocks, read_blocks
from hotpixeld.core.jpeg.opened import OpenedInterval, OpenedJpeg
from hotpixeld.core.jpeg.recode import Pieces, pieces_of, widths_of
from hotpixeld.core.jpeg.scan import intervals
from hotpixeld.core.jpeg.splice import same_bits
from hotpixeld.core.jpeg.unsupported import JpegUnsupported


def check(opened: OpenedJpeg, result: bytes, new: Blocks) -> None:
    """Read the result as a decoder would and hold it against the old file, bit by bit.

    Raises
    ------
    JpegUnsupported
        ``check-failed``: a fault of this program; the caller falls back to coding the file anew.
    """
    try:
        fine = _holds(opened, result, new)
    except JpegUnsupported:
        fine = False
    if not fine:
        raise JpegUnsupported("check-failed", "the repaired scan does not read as it should")


def _holds(opened: OpenedJpeg, result: bytes, new: Blocks) -> bool:
    data, header = opened.data, opened.header
    end = header.scan_end + len(result) - len(data)
    fine = result[: header.scan_start] == data[: header.scan_start]
    fine &= result[end:] == data[header.scan_end :]
    while end > header.scan_start and result[end - 1] == 0xFF:  # fill bytes
        end -= 1
    by_start = {part.interval.first_mcu: part for part in opened.parts}
    cuts = zip(
        intervals(data, header), intervals(result, replace(header, scan_end=end)), strict=True
    )
    for old_cut, new_cut in cuts:
        part = by_start.get(old_cut.first_mcu)
        if part is None:
            fine &= data[old_cut.start : old_cut.end] == result[new_cut.start : new_cut.end]
        else:
            wanted = new[part.held(opened.numbers)]
            fine &= _interval_holds(part, new_cut.unstuffed(result), wanted)
    return fine


def _interval_holds(part: OpenedInterval, stream: npt.NDArray[np.uint8], new: Blocks) -> bool:
    """Tell whether ``stream`` holds the new blocks, and else the old bits."""
    pieces = pieces_of(part, new)
    widths = widths_of(part, pieces)  # where to look; that it is right shows in what is read there
    shifts = np.cumsum(widths - (pieces.ends - pieces.starts))
    starts = pieces.starts + np.concatenate([[0], shifts[:-1]])
    blocks, after_dc, ends = read_blocks(stream, starts, pieces.kinds, part.coding)
    if not np.array_equal(np.where(pieces.dc_only, after_dc, ends), starts + widths):
        return False
    full = ~pieces.dc_only
    if not np.array_equal(blocks[full, 1:], pieces.blocks[full, 1:]):
        return False
    was, _, _ = read_blocks(part.stream, pieces.starts, pieces.kinds, part.coding)
    owners = np.array(part.coding.owners)[pieces.kinds]
    for component in range(len(part.header.components)):
        mine = owners == component
        moved = pieces.old_values[mine] + np.cumsum(blocks[mine, 0] - was[mine, 0])
        if not np.array_equal(moved, pieces.blocks[mine, 0]):
            return False
    return _rest_is_same(part, stream, pieces, shifts)


def _rest_is_same(
    part: OpenedInterval,
    stream: npt.NDArray[np.uint8],
    pieces: Pieces,
    shifts: npt.NDArray[np.int64],
) -> bool:
    """Tell whether all bits between the pieces and after them are the old ones."""
    kept_from = [0, *pieces.ends.tolist()]
    kept_to = [*pieces.starts.tolist(), part.places.end]
    moved = [0, *shifts.tolist()]
    for start, stop, shift in zip(kept_from, kept_to, moved, strict=True):
        if not same_bits(part.stream, start, stream, start + shift, stop - start):
            return False
    end, old_end = -(-(part.places.end + moved[-1]) // 8), -(-part.places.end // 8)
    return np.array_equal(stream[end:], part.stream[old_end:])
