"""The compiled kernel where it was built; where it was not, numpy does the same to the bit.

The C in `kernel/` holds the inner loops of `moments`, `residual`, `similarity`, `jpeg`, `fields`
and `screening` once more. The package's own build compiles it where there is a compiler, and does
without where there is none.
Whoever has something to compute asks `chosen` each time, so that tests can run both.
"""

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Room = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]

MOST_FRAMES = 64  # in one call


class Kernel(Protocol):
    """The functions of the C; they let other threads run, and check all they are given."""

    def fold(  # noqa: PLR0917  positional, as C takes them
        self,
        frames: Sequence[Frame],
        sum_dn: npt.NDArray[np.unsignedinteger],
        sum_squares_dn2: npt.NDArray[np.unsignedinteger],
        residual: npt.NDArray[np.signedinteger] | None,
        top: int,
        bottom: int,
        /,
    ) -> None:
        """Add some rows of frames to sums (uint32, or uint16 of few) and sums of squares.

        And their residuals to ``residual``, where it is given, in the same pass.
        """

    def grey_sums(
        self, frame: Frame, out: npt.NDArray[np.uint32], top: int, bottom: int, step: int, /
    ) -> None:
        """Add all channels of every ``step``-th of some rows to ``out``, by column."""

    def add_residuals(
        self,
        frames: Sequence[Frame],
        total: npt.NDArray[np.signedinteger],
        top: int,
        bottom: int,
        /,
    ) -> None:
        """Add the residuals of some rows of frames to ``total`` (int32, or int16 of few)."""

    def residual_at(
        self,
        frames: Sequence[Frame],
        sites: npt.NDArray[np.int64],
        out: npt.NDArray[np.int32],
        /,
    ) -> None:
        """Put the residuals of one frame at some sites in ``out``."""

    def walk(  # noqa: PLR0917  positional, as C takes them
        self,
        stream: Bytes,
        tables: npt.NDArray[np.uint16],
        dc: bytes,
        ac: bytes,
        owners: bytes,
        mcus: int,
        wanted: npt.NDArray[np.int64],
        starts: npt.NDArray[np.int64],
        values: npt.NDArray[np.int64],
        /,
    ) -> int:
        """Put the places and DC values of the wanted MCUs' blocks in ``starts`` and ``values``.

        Returns the bit after the last MCU, or -1 where the stream does not hold so many.
        """

    def read_blocks(  # noqa: PLR0917  positional, as C takes them
        self,
        stream: Bytes,
        tables: npt.NDArray[np.uint16],
        dc: bytes,
        ac: bytes,
        positions: npt.NDArray[np.int64],
        blocks: npt.NDArray[np.int64],
        after_dc: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        /,
    ) -> bool:
        """Put coefficients in ``blocks``, and the bits after their parts; tell if all can be."""

    def copy_bits(self, source: Bytes, at: int, count: int, out: Bytes, out_at: int, /) -> None:
        """Copy bits from one place to another."""

    def same_bits(
        self, one: Bytes, one_at: int, other: Bytes, other_at: int, count: int, /
    ) -> bool:
        """Tell whether so many bits are equal."""

    def unstuff(self, data: bytes, start: int, end: int, out: Bytes, /) -> int:
        """Put ``data[start:end]`` without stuffing in ``out``; return its length, or -1."""

    def stuff(self, data: Bytes, out: Bytes, /) -> int:
        """Put ``data`` with a zero after each 255 in ``out``; return its length."""

    def find_marker(self, data: bytes, start: int, /) -> int:
        """Return where the first marker that no scan holds stands from ``start`` on, or -1."""

    def steadiness(
        self,
        sums: tuple[npt.NDArray[np.unsignedinteger], npt.NDArray[np.unsignedinteger]],
        count_and_unit: tuple[int, float],
        logarithms: npt.NDArray[np.int32],
        first: int,
        out: tuple[npt.NDArray[np.int16], npt.NDArray[np.uint64]],
        /,
    ) -> tuple[int, int, int]:
        """Put how much less rows vary than their neighbours in ``out``, and their least spreads.

        From row ``first`` of sums and sums of squares on; return the greatest spread, and the
        total's two halves.
        """

    def block_sums(
        self,
        values: npt.NDArray[np.signedinteger],
        limits: npt.NDArray[np.int32],
        out: npt.NDArray[np.int32],
        /,
    ) -> None:
        """Put the sums of sizes over blocks of 16 x 16 in ``out``."""

    def phase_sums(
        self,
        values: npt.NDArray[np.signedinteger],
        inverse: npt.NDArray[np.float32],
        scale: float,
        total: npt.NDArray[np.int64],
        size: npt.NDArray[np.int64],
        /,
    ) -> None:
        """Add what whole blocks hold at each position within them to ``total`` and ``size``."""

    def screen(
        self,
        fields: tuple[npt.NDArray[np.int32], npt.NDArray[np.int16]],
        inverses: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
        phases: npt.NDArray[np.float32],
        screen: tuple[float, float, float],
        out: tuple[Room, Room],
        /,
    ) -> tuple[int, int]:
        """Put places and levels beyond the screen in ``out``; return how many of either field."""

    def matched(
        self,
        values: npt.NDArray[np.int32],
        weights: npt.NDArray[np.float32],
        out: npt.NDArray[np.int16],
        /,
    ) -> None:
        """Put all rows but the first and the last, filtered, in ``out``."""


def _built() -> Kernel | None:
    try:
        return cast("Kernel", importlib.import_module("hotpixeld.core._kernel"))
    except ImportError:
        return None


COMPILED = _built()
_chosen = COMPILED


def chosen() -> Kernel | None:
    """Return the compiled kernel, or None where numpy is to do its work."""
    return _chosen


@contextlib.contextmanager
def using(kernel: Kernel | None) -> Iterator[None]:
    """Choose a kernel, or numpy (None), for the length of the block: for tests and benchmarks."""
    global _chosen  # noqa: PLW0603 (one choice for the process)
    before, _chosen = _chosen, kernel
    try:
        yield
    finally:
        _chosen = before


def laid_out(frame: Frame) -> Frame:
    """Return the frame as the kernel takes it, copied only where it must be.

    It takes frames in C order, and RGB that stands in four bytes a pixel.
    """
    width = frame.shape[1]
    if frame.flags.c_contiguous or frame.strides == (4 * width, 4, 1):
        return frame
    return frame.copy(order="C")
