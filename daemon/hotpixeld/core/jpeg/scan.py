"""Cuts a scan into its restart intervals and takes the byte stuffing out (T.81, B.1.1.5)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core import kernel
from hotpixeld.core.jpeg.parse import Header
from hotpixeld.core.jpeg.unsupported import JpegUnsupported

_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


@dataclass(frozen=True)
class Interval:
    """One restart interval: ``data[start:end]`` without its marker, ``mcus`` from ``first_mcu``.

    Attributes
    ----------
    fill : int
        0xFF bytes before the marker that follows; they are part of ``data[start:end]``.
    """

    start: int
    end: int
    first_mcu: int
    mcus: int
    fill: int

    def local_of(self, numbers: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Return those of the picture's MCUs that it holds, numbered from its first."""
        local = numbers - self.first_mcu
        return local[(local >= 0) & (local < self.mcus)]

    def unstuffed(self, data: bytes) -> npt.NDArray[np.uint8]:
        """Return the interval's entropy-coded bytes, without stuffing and fill bytes."""
        start, end = self.start, self.end - self.fill
        if (compiled := kernel.chosen()) is not None:
            out = np.empty(end - start, np.uint8)
            length = compiled.unstuff(data, start, end, out)
            plain = out[: max(length, 0)]
        else:
            coded = data[start:end]
            plain = np.frombuffer(coded.replace(b"\xff\x00", b"\xff"), np.uint8)
            clean = coded.count(b"\xff") == len(coded) - len(plain)
            length = len(plain) if clean else -1
        if length < 0:
            raise JpegUnsupported("scan-damaged", "markers or fill bytes within the scan")
        return plain


def stuffed(coded: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return ``coded`` with a zero byte after each 0xFF, as it stands in a scan."""
    if (compiled := kernel.chosen()) is not None:
        out = np.empty(2 * len(coded), np.uint8)
        return out[: compiled.stuff(coded, out)]
    return np.frombuffer(coded.tobytes().replace(b"\xff", b"\xff\x00"), np.uint8)


def intervals(data: bytes, header: Header) -> Sequence[Interval]:
    """Cut the scan at its restart markers.

    Raises
    ------
    JpegUnsupported
        ``scan-damaged`` where the markers are not those that the header promises.
    """
    every = header.interval_mcus
    expected = -(-header.mcus // every)
    room = (header.scan_end - header.scan_start) * 4
    if header.mcus * len(header.block_components) > room:
        raise JpegUnsupported("scan-damaged", "the scan is too short for the picture")
    starts, ends = [header.scan_start], list[int]()
    if header.restart_interval:
        for number, marker in enumerate(
            _RESTART.finditer(data, header.scan_start, header.scan_end)
        ):
            if data[marker.start() + 1] != 0xD0 + number % 8 or number + 1 >= expected:
                raise JpegUnsupported("scan-damaged", "restart markers out of order")
            ends.append(marker.start())
            starts.append(marker.end())
    ends.append(header.scan_end)
    if len(ends) != expected:
        raise JpegUnsupported("scan-damaged", "restart markers are missing")
    return [
        Interval(start, end, first, min(every, header.mcus - first), _fill(data, start, end))
        for start, end, first in zip(starts, ends, range(0, header.mcus, every), strict=True)
    ]


def _fill(data: bytes, start: int, end: int) -> int:
    at = end
    while at > start and data[at - 1] == 0xFF:
        at -= 1
    return end - at
