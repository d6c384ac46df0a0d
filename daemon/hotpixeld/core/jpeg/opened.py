"""A restart interval with the place of every block and the coefficients of some."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core.jpeg.blocks import coding_of, dc_values, read_block
from hotpixeld.core.jpeg.edit import Blocks, Numbers
from hotpixeld.core.jpeg.parse import Component, Header
from hotpixeld.core.jpeg.scan import Interval
from hotpixeld.core.jpeg.walk import walk


@dataclass(frozen=True)
class OpenedInterval:
    """A restart interval that holds touched MCUs, walked.

    Attributes
    ----------
    starts : (mcus, blocks) int64
        Bit position of each block.
    end : int
        The bit after the last block.
    dc : (mcus, blocks) int64
        DC values.
    """

    header: Header
    interval: Interval
    stream: bytes
    starts: npt.NDArray[np.int64]
    end: int
    dc: npt.NDArray[np.int64]

    @property
    def components(self) -> list[Component]:
        """The component of each block of an MCU."""
        return [self.header.components[index] for index in self.header.block_components]

    def held(self, numbers: Numbers) -> npt.NDArray[np.bool_]:
        """Tell which MCUs lie in this interval."""
        first = self.interval.first_mcu
        return (numbers >= first) & (numbers < first + self.interval.mcus)

    def blocks_of(self, numbers: Numbers) -> Blocks:
        """Decode those of the MCUs that lie in this interval, (n, blocks, 64), DC absolute."""
        local = numbers[self.held(numbers)] - self.interval.first_mcu
        return np.array([self.mcu(int(number)) for number in local], np.int64)

    def mcu(self, local: int) -> list[list[int]]:
        """Decode one MCU by its number within the interval."""
        blocks = []
        for index, component in enumerate(self.components):
            block, _ = read_block(
                self.stream, int(self.starts[local, index]), component.dc, component.ac, 0
            )
            block[0] = int(self.dc[local, index])
            blocks.append(block)
        return blocks

    def mcu_end(self, local: int) -> int:
        """Return the bit after an MCU."""
        return int(self.starts[local + 1, 0]) if local + 1 < len(self.starts) else self.end


def open_interval(data: bytes, header: Header, interval: Interval) -> OpenedInterval:
    """Walk one restart interval and find its DC values."""
    stream = interval.unstuffed(data)
    as_array = np.frombuffer(stream, np.uint8)
    positions = walk(as_array, coding_of(header), interval.mcus)
    return OpenedInterval(
        header,
        interval,
        stream,
        positions[:-1].reshape(interval.mcus, -1),
        int(positions[-1]),
        dc_values(as_array, positions, header),
    )
