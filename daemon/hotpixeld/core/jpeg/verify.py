"""Reads a repaired file as a decoder would and holds it against the old one, bit by bit."""

import numpy as np

from hotpixeld.core.jpeg.blocks import read_block
from hotpixeld.core.jpeg.edit import Blocks, Numbers
from hotpixeld.core.jpeg.opened import OpenedInterval
from hotpixeld.core.jpeg.parse import Header, read_header
from hotpixeld.core.jpeg.scan import intervals
from hotpixeld.core.jpeg.splice import same_bits
from hotpixeld.core.jpeg.unsupported import JpegUnsupported


def check(  # noqa: PLR0917  old, new, and what lies between
    data: bytes,
    result: bytes,
    header: Header,
    opened: list[OpenedInterval],
    numbers: Numbers,
    new: Blocks,
) -> None:
    """Read the result as a decoder would and hold it against the old file, bit by bit.

    Raises
    ------
    JpegUnsupported
        ``check-failed``: a fault of this program; the caller falls back to coding the file anew.
    """
    fine = result[: header.scan_start] == data[: header.scan_start]
    now = read_header(result)
    fine &= result[now.scan_end :].lstrip(b"\xff") == data[header.scan_end :].lstrip(b"\xff")
    by_start = {part.interval.first_mcu: part for part in opened}
    cuts = zip(intervals(data, header), intervals(result, now), strict=True)
    for old_cut, new_cut in cuts:
        part = by_start.get(old_cut.first_mcu)
        if part is None:
            fine &= data[old_cut.start : old_cut.end] == result[new_cut.start : new_cut.end]
        else:
            held = part.held(numbers)
            fine &= _interval_holds(
                part, new_cut.unstuffed(result), numbers[held] - old_cut.first_mcu, new[held]
            )
    if not fine:
        raise JpegUnsupported("check-failed", "the repaired scan does not read as it should")


def _interval_holds(part: OpenedInterval, stream: bytes, local: Numbers, new: Blocks) -> bool:
    """Tell whether ``stream`` holds the new blocks, and else the old bits."""
    old_stream, new_stream = (np.frombuffer(s, np.uint8) for s in (part.stream, stream))
    wanted = {int(number): blocks.tolist() for number, blocks in zip(local, new, strict=True)}
    owners, at, old_at = part.header.block_components, 0, 0
    for number in sorted(wanted.keys() | {number + 1 for number in wanted}):
        if number >= len(part.starts):
            continue
        kept = int(part.starts[number, 0]) - old_at
        if not same_bits(old_stream, old_at, new_stream, at, kept):
            return False
        at += kept
        before = _last_values(part, wanted, number)
        expected = wanted.get(number) or part.mcu(number)
        for block, component, owner in zip(expected, part.components, owners, strict=True):
            found, at = read_block(stream, at, component.dc, component.ac, before[owner])
            before[owner] = found[0]
            if found != block:
                return False
        old_at = part.mcu_end(number)
    if not same_bits(old_stream, old_at, new_stream, at, part.end - old_at):
        return False
    stray = part.stream[-(-part.end // 8) :]
    end = at + part.end - old_at
    return stream[-(-end // 8) :] == stray


def _last_values(
    part: OpenedInterval, wanted: dict[int, list[list[int]]], number: int
) -> list[int]:
    """Return each component's DC value before an MCU, as the result must hold it."""
    values = [0] * len(part.header.components)
    if number:
        blocks = wanted.get(number - 1)
        for index, owner in enumerate(part.header.block_components):
            values[owner] = int(blocks[index][0] if blocks else part.dc[number - 1, index])
    return values
