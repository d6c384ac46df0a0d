"""A file of which some MCUs were found: their places and coefficients, by restart interval."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hotpixeld.core.jpeg.blocks import Blocks, Numbers, coding_of, read_blocks
from hotpixeld.core.jpeg.huffman import Coding
from hotpixeld.core.jpeg.parse import Component, Header
from hotpixeld.core.jpeg.scan import Interval, intervals
from hotpixeld.core.jpeg.walk import Places, walk


@dataclass(frozen=True)
class OpenedInterval:
    """A restart interval that holds touched MCUs, walked.

    MCUs are numbered from the interval's first.

    Attributes
    ----------
    local : (t,) intp
        The touched MCUs, rising.
    known : (n,) intp
        Those, and the one before and after each.
    places : Places
        Where the known ones lie.
    """

    header: Header
    interval: Interval
    coding: Coding
    stream: npt.NDArray[np.uint8]
    local: Numbers
    known: Numbers
    places: Places

    @property
    def components(self) -> list[Component]:
        """The component of each block of an MCU."""
        return [self.header.components[index] for index in self.header.block_components]

    def held(self, numbers: Numbers) -> npt.NDArray[np.bool_]:
        """Tell which MCUs of the picture lie in this interval."""
        first = self.interval.first_mcu
        return (numbers >= first) & (numbers < first + self.interval.mcus)

    def rows(self, numbers: Numbers) -> Numbers:
        """Return the indices of known MCUs in ``places``."""
        return np.searchsorted(self.known, numbers)

    def dc_of(self, number: int) -> npt.NDArray[np.int64]:
        """Return the DC values of a known MCU, (blocks,)."""
        values: npt.NDArray[np.int64] = self.places.values[int(np.searchsorted(self.known, number))]
        return values

    @cached_property
    def blocks(self) -> Blocks:
        """The touched MCUs, (t, blocks, 64), DC absolute."""
        rows = self.rows(self.local)
        starts = self.places.starts[rows, :-1]
        kinds = np.tile(np.arange(starts.shape[1]), len(rows))
        blocks, _, _ = read_blocks(self.stream, starts.ravel(), kinds, self.coding)
        blocks[:, 0] = self.places.values[rows].ravel()
        return blocks.reshape(*starts.shape, 64)


@dataclass(frozen=True)
class OpenedJpeg:
    """A file with those of its restart intervals that hold wanted MCUs, walked.

    Attributes
    ----------
    data : bytes
        The whole file.
    numbers : (t,) intp
        The wanted MCUs of the picture, rising.
    parts : tuple of OpenedInterval
        Rising.
    """

    data: bytes
    header: Header
    numbers: Numbers
    parts: tuple[OpenedInterval, ...]

    @property
    def blocks(self) -> Blocks:
        """The wanted MCUs, (t, blocks, 64), DC absolute."""
        return np.concatenate([part.blocks for part in self.parts])

    @cached_property
    def _by_first(self) -> dict[int, OpenedInterval]:
        return {part.interval.first_mcu: part for part in self.parts}

    def part_from(self, first_mcu: int) -> OpenedInterval:
        """Return the interval with wanted MCUs that begins so."""
        return self._by_first[first_mcu]

    def only(self, numbers: Numbers) -> "OpenedJpeg":
        """Return the same with no other MCUs wanted than ``numbers``, rising, of those that are."""
        parts = (replace(part, local=part.interval.local_of(numbers)) for part in self.parts)
        return replace(self, numbers=numbers, parts=tuple(p for p in parts if len(p.local)))


def open_mcus(data: bytes, header: Header, numbers: Numbers) -> OpenedJpeg:
    """Find the MCUs ``numbers`` (rising) of the picture.

    Raises
    ------
    JpegUnsupported
        ``scan-damaged``, ``too-large``.
    """
    coding, cuts = coding_of(header), intervals(data, header)
    touched = np.unique(numbers // header.interval_mcus)
    parts = (open_interval(data, header, coding, cuts[cut], numbers) for cut in touched)
    return OpenedJpeg(data, header, numbers, tuple(parts))


def open_interval(
    data: bytes, header: Header, coding: Coding, interval: Interval, numbers: Numbers
) -> OpenedInterval:
    """Walk one restart interval and find those of the picture's MCUs ``numbers`` that it holds."""
    stream = interval.unstuffed(data)
    local = interval.local_of(numbers)
    known = np.unique(np.concatenate([local - 1, local, local + 1]))
    known = known[(known >= 0) & (known < interval.mcus)]
    places = walk(stream, coding, interval.mcus, known.astype(np.int64))
    return OpenedInterval(header, interval, coding, stream, local, known, places)
