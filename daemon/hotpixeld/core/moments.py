"""Running moments: exact integer sums per subpixel over all folded frames.

The law: folding frames one by one, in batches, in any order, or in parts that are merged later
gives the same integers, bit for bit. Mean and variance are derived from them when asked, so the
parallel formula of Chan, Golub & LeVeque (1983, "Algorithms for computing the sample variance")
holds for them by construction.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hotpixeld.core import kernel
from hotpixeld.core.residual import add_residuals
from hotpixeld.core.spread import Spread

Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Shape = tuple[int, int, int]

MAX_PHOTOS = 65_000  # 65,000 x 255^2 < 2^32; and for 16 bits 65,000^2 x 65,535^2 < 2^64
_BATCH = 64  # a batch's sums of 8-bit values stay within 16 bits
_BAND_VALUES = 65_536  # a band and its temporaries stay within the cache
_SPREAD_ROWS = 256  # what one thread does at a time


class MomentsFullError(OverflowError):
    """More photos than the integers hold exactly; nothing was changed: begin a new epoch."""


class Moments:
    """Count, sum, sum of squares and sum of residuals of frames of one shape; changed in place.

    Attributes
    ----------
    count : int
        Frames folded.
    sum_dn : (height, width, channels) uint32
    sum_squares_dn2 : (height, width, channels) uint32 for 8-bit frames, uint64 for 16-bit ones
    residual : (height, width, channels) int32
        Sum of `hotpixeld.core.residual.residual_rows` over the frames.
    depth_bits : int
        8 or 16.
    """

    def __init__(self, shape: Shape, depth_bits: int) -> None:
        if depth_bits not in (8, 16):
            raise ValueError(f"depth_bits is 8 or 16, not {depth_bits}")
        self.count = 0
        self.depth_bits = depth_bits
        self.sum_dn = np.zeros(shape, np.uint32)
        squares = np.dtype(np.uint32 if depth_bits == 8 else np.uint64)
        self.sum_squares_dn2: npt.NDArray[np.unsignedinteger] = np.zeros(shape, squares)
        self.residual = np.zeros(shape, np.int32)

    @classmethod
    def empty(cls, shape: Shape, depth_bits: int) -> "Moments":
        """Return moments of no frame, of ``shape`` (height, width, channels)."""
        return cls(shape, depth_bits)

    @classmethod
    def from_arrays(
        cls,
        shape: Shape,
        depth_bits: int,
        count: int,
        arrays: Mapping[str, npt.NDArray[np.generic]],
    ) -> "Moments":
        """Return the moments whose `arrays` these are; they are taken over, not copied.

        Raises
        ------
        ValueError
            If an array is missing or has another shape or dtype, or the count cannot be.
        """
        moments = cls.__new__(cls)
        if not 0 <= count <= MAX_PHOTOS:
            raise ValueError(f"a count of {count} photos cannot be")
        squares = np.uint32 if depth_bits == 8 else np.uint64
        for name, dtype in (
            ("sum_dn", np.uint32),
            ("sum_squares_dn2", squares),
            ("residual", np.int32),
        ):
            array = arrays.get(name)
            if array is None or array.dtype != dtype or array.size != np.prod(shape):
                raise ValueError(f"moments array {name} is missing or of another shape or type")
            setattr(moments, name, array.reshape(shape))
        moments.count, moments.depth_bits = count, depth_bits
        return moments

    @property
    def shape(self) -> Shape:
        """Height, width and channels."""
        height, width, channels = self.sum_dn.shape
        return height, width, channels

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return what is persisted, by name; views, not copies."""
        return {
            "sum_dn": self.sum_dn,
            "sum_squares_dn2": self.sum_squares_dn2,
            "residual": self.residual,
        }

    def fold(self, frames: Sequence[Frame], spread: Spread = map) -> None:
        """Add ``frames``, each (height, width, channels) uint8 or uint16 as `depth_bits` says.

        Parameters
        ----------
        frames
            In C order, or RGB in four bytes a pixel; any other layout is copied first.
        spread
            Calls a function for every band of rows, as `map` does; the ``map`` of a thread pool
            does so on several cores. Where it raises, the moments are spoilt.

        Raises
        ------
        ValueError
            If a frame has another shape or dtype; nothing was changed.
        MomentsFullError
            If they would be more than `MAX_PHOTOS`; nothing was changed.
        """
        dtype = np.uint8 if self.depth_bits == 8 else np.uint16
        for frame in frames:
            if frame.shape != self.shape or frame.dtype != dtype:
                raise ValueError(
                    f"a frame of {frame.shape} {frame.dtype} is not {self.shape} {dtype.__name__}"
                )
        self._make_sure_of_room_for(len(frames))
        for start in range(0, len(frames), _BATCH):
            batch = [kernel.laid_out(frame) for frame in frames[start : start + _BATCH]]
            rows_of_threads = bands(self.shape, _SPREAD_ROWS)
            deque(spread(lambda rows: self._add_rows(batch, rows), rows_of_threads), maxlen=0)  # noqa: B023 (done at once)
        self.count += len(frames)

    def merge(self, other: "Moments") -> None:
        """Add the sums of ``other``, which stays as it is.

        Raises
        ------
        ValueError
            If it has another shape or depth; nothing was changed.
        MomentsFullError
            If both hold more than `MAX_PHOTOS`; nothing was changed.
        """
        if other.shape != self.shape or other.depth_bits != self.depth_bits:
            raise ValueError(f"moments of {other.shape} cannot be merged into {self.shape}")
        self._make_sure_of_room_for(other.count)
        self.sum_dn += other.sum_dn
        np.add(self.sum_squares_dn2, other.sum_squares_dn2, out=self.sum_squares_dn2)
        self.residual += other.residual
        self.count += other.count

    def mean(self, rows: slice = slice(None)) -> npt.NDArray[np.float64]:
        """Return the running mean in DN of these rows; not a number where nothing was folded."""
        return mean_of(self.count, self.sum_dn[rows])

    def variance(self, rows: slice = slice(None)) -> npt.NDArray[np.float64]:
        """Return the population variance over the photos in DN^2 of these rows."""
        return variance_of(self.count, self.sum_dn[rows], self.sum_squares_dn2[rows])

    def _make_sure_of_room_for(self, more: int) -> None:
        if self.count + more > MAX_PHOTOS:
            raise MomentsFullError(
                f"{self.count} photos and {more} more are over the {MAX_PHOTOS} that moments hold"
            )

    def _add_rows(self, frames: Sequence[Frame], rows: slice) -> None:
        self._add_sums(frames, rows)
        add_residuals(frames, self.residual, rows)

    def _add_sums(self, frames: Sequence[Frame], rows: slice) -> None:
        if (compiled := kernel.chosen()) is not None:
            compiled.fold(frames, self.sum_dn, self.sum_squares_dn2, rows.start, rows.stop)
            return
        height, width, channels = self.sum_dn[rows].shape
        for band in bands((height, width, channels)):
            self._fold_rows(frames, slice(rows.start + band.start, rows.start + band.stop))

    def _fold_rows(self, frames: Sequence[Frame], rows: slice) -> None:
        shape = self.sum_dn[rows].shape
        narrow = np.uint16 if self.depth_bits == 8 else np.uint32
        wide = self.sum_squares_dn2.dtype
        sums = np.zeros(shape, narrow)
        squares = np.zeros(shape, wide)
        values, square, widened = (
            np.empty(shape, narrow),
            np.empty(shape, narrow),
            np.empty(shape, wide),
        )
        for frame in frames:
            if frame.flags.c_contiguous:
                np.copyto(values, frame[rows])
            else:  # numpy would go through it three values at a time
                for channel in range(shape[2]):
                    np.copyto(values[..., channel], frame[rows, :, channel])
            sums += values
            np.multiply(values, values, out=square)
            np.copyto(widened, square)
            np.add(squares, widened, out=squares)
        self.sum_dn[rows] += sums
        np.add(self.sum_squares_dn2[rows], squares, out=self.sum_squares_dn2[rows])


def mean_of(count: int, sum_dn: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Return sum / count in DN; not a number where count is 0."""
    return sum_dn / np.float64(count) if count else np.full(sum_dn.shape, np.nan)


def variance_of(
    count: int, sum_dn: npt.NDArray[np.integer], sum_squares_dn2: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """Return the population variance in DN^2; the difference is taken in integers, exactly."""
    if not count:
        return np.full(sum_dn.shape, np.nan)
    return spread_of(count, sum_dn, sum_squares_dn2) * (1 / np.float64(count) ** 2)


def spread_of(
    count: int, sum_dn: npt.NDArray[np.integer], sum_squares_dn2: npt.NDArray[np.integer]
) -> npt.NDArray[np.unsignedinteger]:
    """Return the population variance in DN^2 times ``count`` squared: a whole number."""
    narrow = int(sum_squares_dn2.max(initial=0)) * count < 2**32  # S1^2 <= n S2 (Cauchy-Schwarz)
    wide = np.dtype(np.uint32 if narrow else np.uint64)
    total = sum_dn.astype(wide)
    total *= total
    spread: npt.NDArray[np.unsignedinteger] = sum_squares_dn2.astype(wide)
    spread *= wide.type(count)
    spread -= total
    return spread


def bands(shape: Shape, rows: int | None = None) -> Iterator[slice]:
    """Yield slices of rows that cover a frame of ``shape``, in bands that fit the cache."""
    height, width, channels = shape
    step = rows or max(1, _BAND_VALUES // max(1, width * channels))
    for start in range(0, height, step):
        yield slice(start, min(height, start + step))
