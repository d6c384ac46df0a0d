"""Running moments: exact integer sums per subpixel over all folded frames.

The law: folding frames one by one, in batches, in any order, or in parts that are merged later
gives the same integers, bit for bit. Mean and variance are derived from them when asked, so the
parallel formula of Chan, Golub & LeVeque (1983, "Algorithms for computing the sample variance")
holds for them by construction.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hotpixeld.core import kernel
from hotpixeld.core.residual import add_residuals
from hotpixeld.core.spread import Spread, bands_of

Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Shape = tuple[int, int, int]

_FEW_PHOTOS = 255  # 255 x 255 < 2^16, 255 x 128 < 2^15
MAX_PHOTOS = 65_000  # 65,000 x 255^2 < 2^32; and for 16 bits 65,000^2 x 65,535^2 < 2^64
PHOTOS_BEFORE_MOMENTS = 3  # a sensor with fewer photos gets none: odd crops cost nothing
_BATCH = 64  # a batch's sums of 8-bit values stay within 16 bits
_BAND_VALUES = 131_072  # a band and its temporaries stay within the cache
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

    Those of `few` photos of 8 bits hold sums in uint16 and residuals in int16 until they are more
    than 255: two thirds of the memory.
    """

    def __init__(self, shape: Shape, depth_bits: int, *, few: bool = False) -> None:
        if depth_bits not in (8, 16):
            raise ValueError(f"depth_bits is 8 or 16, not {depth_bits}")
        self.count = 0
        self.depth_bits = depth_bits
        narrow = few and depth_bits == 8
        self.sum_dn: npt.NDArray[np.unsignedinteger] = np.zeros(
            shape, np.dtype(np.uint16 if narrow else np.uint32)
        )
        squares = np.dtype(np.uint32 if depth_bits == 8 else np.uint64)
        self.sum_squares_dn2: npt.NDArray[np.unsignedinteger] = np.zeros(shape, squares)
        self.residual: npt.NDArray[np.signedinteger] = np.zeros(
            shape, np.dtype(np.int16 if narrow else np.int32)
        )

    @classmethod
    def empty(cls, shape: Shape, depth_bits: int, *, few: bool = False) -> "Moments":
        """Return moments of no frame, of ``shape`` (height, width, channels)."""
        return cls(shape, depth_bits, few=few)

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

    def __sizeof__(self) -> int:
        """Return the bytes of the arrays, and a little more."""
        arrays = (self.sum_dn, self.sum_squares_dn2, self.residual)
        return object.__sizeof__(self) + sum(array.nbytes for array in arrays)

    @property
    def shape(self) -> Shape:
        """Height, width and channels."""
        height, width, channels = self.sum_dn.shape
        return height, width, channels

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return what is persisted, by name; views, not copies, but where they were `few`."""
        self._widen()
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
            What works on the bands of rows. Where it raises, the moments are spoilt.

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
        np.add(self.sum_dn, other.sum_dn, out=self.sum_dn, casting="same_kind")
        np.add(self.sum_squares_dn2, other.sum_squares_dn2, out=self.sum_squares_dn2)
        np.add(self.residual, other.residual, out=self.residual, casting="same_kind")
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
        if self.count + more > _FEW_PHOTOS:
            self._widen()

    def _widen(self) -> None:
        self.sum_dn = self.sum_dn.astype(np.uint32, copy=False)
        self.residual = self.residual.astype(np.int32, copy=False)

    def _add_rows(self, frames: Sequence[Frame], rows: slice) -> None:
        if (compiled := kernel.chosen()) is not None:
            compiled.fold(
                frames, self.sum_dn, self.sum_squares_dn2, self.residual, rows.start, rows.stop
            )
            return
        self._add_sums(frames, rows)
        add_residuals(frames, self.residual, rows)

    def _add_sums(self, frames: Sequence[Frame], rows: slice) -> None:
        pixels = _stored_pixels(frames)
        height, width, channels = pixels[0][rows].shape
        of_a_band = list(bands((height, width, channels)))
        narrow = np.dtype(np.uint16 if self.depth_bits == 8 else np.uint32)
        shape = (of_a_band[0].stop, width, channels) if of_a_band else (0, width, channels)
        rooms = [np.empty(shape, narrow) for _ in range(2)]
        squares = np.empty(shape, self.sum_squares_dn2.dtype)
        for band in of_a_band:
            part = slice(rows.start + band.start, rows.start + band.stop)
            length = band.stop - band.start
            self._fold_rows(pixels, part, rooms[0][:length], rooms[1][:length], squares[:length])

    def _fold_rows(
        self,
        frames: Sequence[Frame],
        rows: slice,
        values: npt.NDArray[np.unsignedinteger],
        sums: npt.NDArray[np.unsignedinteger],
        squares: npt.NDArray[np.unsignedinteger],
    ) -> None:
        np.copyto(sums, frames[0][rows])
        np.multiply(sums, sums, out=values)
        np.copyto(squares, values)
        for frame in frames[1:]:
            np.copyto(values, frame[rows])
            np.add(sums, values, out=sums)
            np.multiply(values, values, out=values)
            np.add(squares, values, out=squares)
        _add_channels(self.sum_dn[rows], sums)
        _add_channels(self.sum_squares_dn2[rows], squares)


def _stored_pixels(frames: Sequence[Frame]) -> Sequence[Frame]:
    """Return the frames in C order: the fourth channel with them where all have one in memory."""
    if all(frame.flags.c_contiguous for frame in frames):
        return frames
    stored: list[Frame] = []
    for frame in frames:
        base: Any = frame.base
        if (
            not isinstance(base, np.ndarray)
            or base.shape != (*frame.shape[:2], 4)
            or base.dtype != frame.dtype
            or not base.flags.c_contiguous
            or base.ctypes.data != frame.ctypes.data
        ):
            return [one.copy(order="C") for one in frames]
        stored.append(base)
    return stored


def _add_channels(
    total: npt.NDArray[np.unsignedinteger], more: npt.NDArray[np.unsignedinteger]
) -> None:
    """Add to ``total`` as many channels as it has; numpy would go through three at a time."""
    if more.shape != total.shape:
        packed = np.empty(total.shape, more.dtype)
        for channel in range(total.shape[2]):
            packed[..., channel] = more[..., channel]
        more = packed
    np.add(total, more, out=total)


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


def bytes_of(shape: Shape, depth_bits: int) -> int:
    """Return how much memory moments take that are not of few photos."""
    height, width, channels = shape
    return height * width * channels * (12 if depth_bits == 8 else 16)


def bands(shape: Shape, rows: int | None = None) -> Iterator[slice]:
    """Yield slices of rows that cover a frame of ``shape``, in bands that fit the cache."""
    height, width, channels = shape
    step = rows or max(1, _BAND_VALUES // max(1, width * channels))
    yield from bands_of(height, step)
