"""Running moments on disk: one checksummed, versioned file a generation.

Layout, little-endian::

    magic  8 bytes   b"HPMOMENT"
    length u32       of the header
    header JSON      format, statistics version, shape, depth, count, arrays (name, dtype, bytes)
    crc    u32       CRC-32 of all before it
    bands            of each array in turn: up to 4 MiB of values, then their CRC-32 (u32)

A file under its final name is whole; the database says which files count.
"""

import errno
import json
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from hotpixeld.core.moments import Moments
from hotpixeld.core.residual import STATISTICS_VERSION
from hotpixeld.edge.atomic import atomic_file
from hotpixeld.errors import NewerStateError, StateError

FORMAT_VERSION = 1
_MAGIC = b"HPMOMENT"
_BAND_BYTES = 4 << 20
_MAX_HEADER_BYTES = 1 << 16
_GONE = (errno.ENOENT, errno.EIO)  # anything else says nothing of the file


def write_generation(path: Path, moments: Moments, on_progress: Callable[[], None]) -> int:
    """Write ``moments`` under ``path``, whole or not at all, and return the size in bytes.

    Raises
    ------
    OSError
        The disk is full, of which nothing is written, or fails; no file has the name, or the
        earlier one still has it.
    """
    arrays = moments.arrays()
    header = json.dumps(
        {
            "format": FORMAT_VERSION,
            "statistics": STATISTICS_VERSION,
            "shape": list(moments.shape),
            "depth_bits": moments.depth_bits,
            "count": moments.count,
            "arrays": [[name, array.dtype.str, array.nbytes] for name, array in arrays.items()],
        }
    ).encode()
    start = _MAGIC + struct.pack("<I", len(header)) + header
    size_bytes = len(start) + 4 + sum(_stored_bytes(array.nbytes) for array in arrays.values())
    with atomic_file(path, size_bytes=size_bytes) as file:
        file.write(start + struct.pack("<I", zlib.crc32(start)))
        with ThreadPoolExecutor(1, "checksum") as beside:
            for array in arrays.values():
                values = np.ascontiguousarray(array).data.cast("B")
                offsets = range(0, len(values), _BAND_BYTES)
                bands = [values[offset : offset + _BAND_BYTES] for offset in offsets]
                # the checksums are taken while the bands before them are written
                for band, checksum in zip(bands, beside.map(zlib.crc32, bands), strict=True):
                    file.write(band)
                    file.write(struct.pack("<I", checksum))
                    on_progress()
    return size_bytes


def read_generation(path: Path, on_progress: Callable[[], None]) -> Moments:
    """Read the moments of one generation, comparing every checksum.

    Raises
    ------
    StateError
        The file is missing or damaged; it is left as it is.
    NewerStateError
        It is of a newer version.
    OSError
        It cannot be read now.
    """
    try:
        with path.open("rb", buffering=0) as file:
            header = _read_header(file, path)
            arrays = {
                name: _read_array(file, path, dtype, size_bytes, on_progress)
                for name, dtype, size_bytes in header["arrays"]
            }
            if file.read(1):
                raise StateError(f"{path}: damaged (longer than its header says)")
    except OSError as error:
        if error.errno not in _GONE:
            raise
        raise StateError(f"{path}: cannot be read ({error.strerror})") from error
    height, width, channels = header["shape"]
    try:
        return Moments.from_arrays(
            (height, width, channels), header["depth_bits"], header["count"], arrays
        )
    except ValueError as error:
        raise StateError(f"{path}: damaged ({error})") from error


def read_window(path: Path, rows: slice, columns: slice) -> Moments:
    """Read only the moments of a few rows and columns, for a picture of them.

    Nothing rests on them, so that the checksums of the bands are not compared.

    Parameters
    ----------
    rows, columns
        With a start and a stop within the shape.

    Raises
    ------
    StateError
        The file is missing, cut short, or of a newer version; it is left as it is.
    """
    arrays = {}
    try:
        with path.open("rb", buffering=0) as file:
            header = _read_header(file, path)
            _, width, channels = header["shape"]
            offset = file.tell()
            for name, code, size_bytes in header["arrays"]:
                dtype = np.dtype(code)
                step = width * channels * dtype.itemsize
                start = columns.start * channels * dtype.itemsize
                stop = columns.stop * channels * dtype.itemsize
                lines = [
                    _span(file, offset, row * step + start, row * step + stop)
                    for row in range(rows.start, rows.stop)
                ]
                arrays[name] = np.frombuffer(b"".join(lines), dtype).copy()
                offset += _stored_bytes(size_bytes)
    except OSError as error:
        raise StateError(f"{path}: cannot be read ({error.strerror})") from error
    shape = (rows.stop - rows.start, columns.stop - columns.start, channels)
    try:
        return Moments.from_arrays(shape, header["depth_bits"], header["count"], arrays)
    except ValueError as error:
        raise StateError(f"{path}: damaged ({error})") from error


def _stored_bytes(size_bytes: int) -> int:
    """Return how long an array of this size is with the checksums of its bands."""
    return size_bytes + 4 * -(-size_bytes // _BAND_BYTES)


def _span(file: FileIO, offset: int, start: int, stop: int) -> bytes:
    """Return the bytes start to stop of the array at ``offset``, without the checksums between."""
    parts = []
    while start < stop:
        band = start // _BAND_BYTES
        end = min(stop, (band + 1) * _BAND_BYTES)
        file.seek(offset + start + 4 * band)
        parts.append(file.read(end - start))
        start = end
    return b"".join(parts)


def _read_header(file: FileIO, path: Path) -> dict[str, Any]:
    fixed = file.read(len(_MAGIC) + 4)
    if len(fixed) < len(_MAGIC) + 4 or not fixed.startswith(_MAGIC):
        raise StateError(f"{path}: damaged (not a moments file)")
    (length,) = struct.unpack("<I", fixed[-4:])
    rest = file.read(min(length, _MAX_HEADER_BYTES) + 4)
    if len(rest) != length + 4 or zlib.crc32(fixed + rest[:-4]) != _crc(rest[-4:]):
        raise StateError(f"{path}: damaged (header)")
    header: dict[str, Any] = json.loads(rest[:-4])
    if header["format"] > FORMAT_VERSION or header["statistics"] > STATISTICS_VERSION:
        raise NewerStateError(f"{path}: written by a newer hotpixeld; install the newer program")
    return header


def _read_array(
    file: FileIO, path: Path, dtype: str, size_bytes: int, on_progress: Callable[[], None]
) -> np.ndarray[Any, np.dtype[Any]]:
    array = np.empty(size_bytes // np.dtype(dtype).itemsize, np.dtype(dtype))
    values = array.data.cast("B")
    for offset in range(0, size_bytes, _BAND_BYTES):
        band = values[offset : offset + _BAND_BYTES]
        if file.readinto(band) != len(band) or zlib.crc32(band) != _crc(file.read(4)):
            raise StateError(f"{path}: damaged (values at byte {offset})")
        on_progress()
    return array


def _crc(stored: bytes) -> int:
    return int.from_bytes(stored, "little") if len(stored) == 4 else -1
