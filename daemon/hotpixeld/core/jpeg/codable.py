"""Moves coefficients to the nearest values that the file's own tables can code.

Optimised tables hold only the symbols that the encoder met. A repaired block may need another one.
"""

from hotpixeld.core.jpeg.blocks import Blocks, NoCodeError, Numbers
from hotpixeld.core.jpeg.huffman import HuffmanTable
from hotpixeld.core.jpeg.opened import OpenedInterval

_FARTHEST_DC = 64  # steps; a block that is farther off would be seen


def made_codable(part: OpenedInterval, local: Numbers, new: Blocks) -> Blocks:
    """Return the blocks with what has no code moved to what has.

    Parameters
    ----------
    part : OpenedInterval
        The old blocks.
    local : (n,) intp
        The touched MCUs' numbers within the interval, rising.
    new : (n, blocks, 64) int64
        Their new blocks in the order of the scan.

    Raises
    ------
    NoCodeError
        A DC value has no code near what is wanted.
    """
    result = new.copy()
    owners = part.header.block_components
    for index, component in enumerate(part.components):
        for block in result[:, index]:
            block[1:] = _codable_ac(block[1:].tolist(), component.ac)
    touched = {int(number): place for place, number in enumerate(local)}
    for owner, component in enumerate(part.header.components):
        mine = [index for index, other in enumerate(owners) if other == owner]
        for number, place in touched.items():
            before = 0
            if number:
                earlier = touched.get(number - 1)
                last = part.dc_of(number - 1) if earlier is None else result[earlier, :, 0]
                before = int(last[mine[-1]])
            for index in mine:
                after = None
                follows = number + 1 < part.interval.mcus and number + 1 not in touched
                if index == mine[-1] and follows:
                    after = int(part.dc_of(number + 1)[mine[0]])
                wanted = int(result[place, index, 0])
                before = _codable_dc(wanted, before, after, component.dc)
                result[place, index, 0] = before
    return result


def _codable_dc(wanted: int, before: int, after: int | None, table: HuffmanTable) -> int:
    """Return the value nearest to ``wanted`` whose differences to both neighbours have codes."""
    for step in range(_FARTHEST_DC):
        for value in (wanted - step, wanted + step):
            sizes = [abs(value - before).bit_length()]
            if after is not None:
                sizes.append(abs(after - value).bit_length())
            if all(size in table.codes for size in sizes):
                return value
    raise NoCodeError(f"no code near the DC value {wanted}")


def _codable_ac(values: list[int], table: HuffmanTable) -> list[int]:
    """Return 63 AC values, each as near as can be, that ``table`` has codes for."""
    result, run = [0] * len(values), 0
    for index, value in enumerate(values):
        if value:
            result[index] = _nearest(value, run, table)
        run = 0 if result[index] else run + 1
    if not result[-1] and 0 not in table.codes:
        raise NoCodeError("no code for the end of a block")
    return result


def _nearest(value: int, run: int, table: HuffmanTable) -> int:
    """Return the codable value nearest to ``value`` after ``run`` zeros; 0 always is."""
    if run > 15 and 0xF0 not in table.codes:
        return 0
    best = 0
    for size in range(1, 11):
        if (run % 16) << 4 | size in table.codes:
            near = min(max(abs(value), 1 << (size - 1)), (1 << size) - 1)
            if abs(near - abs(value)) < abs(best - abs(value)):
                best = near
    return best if value > 0 else -best
