"""Lets a lenient JPEG decoder tell whether a scan holds its picture, no less and no more.

libjpeg fills what a damaged scan lacks with grey and skips what it has too much, and Pillow drops
its warnings. But it asks for bytes only when it needs them. So the end of the scan is handed out on
its own, then a few bytes of ones that no picture needs, for its bit buffer reads ahead. A decoder
that is done without the end of the scan, or that asks for more after the ones, has met a scan that
is not its picture's. What is wrong by less than that buffer goes unseen.
"""

import io

from hotpixeld.core.jpeg.markers import BASELINE_FRAMES, JpegLayout
from hotpixeld.edge import reasons
from hotpixeld.errors import PhotoError

_READ_AHEAD_BYTES = 8
_ONES = b"\xff\x00" * _READ_AHEAD_BYTES
_LONGEST_PADDING_BYTES = 4096


class ScanReader(io.BytesIO):
    """The bytes of a JPEG file, read in pieces that end where they tell something.

    Parameters
    ----------
    data : bytes
        The whole file.
    layout : JpegLayout
        Its first image. Of progressive ones nothing can be told.
    """

    def __init__(self, data: bytes, layout: JpegLayout) -> None:
        super().__init__(data)
        start, self._end = layout.scans[0]
        near_end = data[max(start, self._end - _LONGEST_PADDING_BYTES) : self._end]
        padding = len(near_end) - len(near_end.rstrip(b"\0\xff"))  # some cameras leave a few bytes
        self._needed = max(start, self._end - padding - 2 * _READ_AHEAD_BYTES)
        self._tells = len(layout.scans) == 1 and layout.frame.marker in BASELINE_FRAMES
        self._is_decoding = False
        self._wanted_ones = False
        self._wanted_more = False

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most ``size`` bytes; while decoding, ones in place of what follows the scan."""
        if not (self._is_decoding and self._tells):
            return super().read(size)
        position = self.tell()
        if position >= self._end:
            self._wanted_ones, self._wanted_more = True, self._wanted_ones
            return super().read(size) if self._wanted_more else _ONES
        edge = self._needed if position < self._needed else self._end
        return super().read(
            edge - position if size is None or size < 0 else min(size, edge - position)
        )

    def start_decoding(self) -> None:
        """Tell apart what is read for the picture from what was read for the header."""
        self._is_decoding = True

    def check_decoded(self) -> None:
        """Raise ``PhotoError("damaged")`` if the decoder took less or more than the scan."""
        if self._tells and self.tell() <= self._needed:
            raise PhotoError(reasons.DAMAGED, "the JPEG's scan goes on after the picture")
        if self._wanted_more:
            raise PhotoError(reasons.DAMAGED, "the JPEG's scan ends before the picture")
