"""Repaired copies of TIFF files: only the touched strips or tiles are stored again.

A strip that still fits where it was is overwritten; one that grew is appended, and its offset
and byte count are patched. All other bytes of the file stay as they are: tags, previews, order.
"""

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from hotpixeld.core.patch import Patch
from hotpixeld.edge import decode, deep, reasons, samples
from hotpixeld.edge import tiffpages as tiff
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.decode import Frame
from hotpixeld.edge.photo import Photo
from hotpixeld.errors import PhotoError

# TIFF's number of a lossless compression, and Pillow's name of it
_COMPRESSIONS = {
    1: None,
    5: "tiff_lzw",
    8: "tiff_adobe_deflate",
    32946: "tiff_deflate",
    32773: "packbits",
    34925: "lzma",
    50000: "zstd",
}
_WHITE_IS_ZERO, _SEPARATE_PLANES, _HORIZONTAL = 0, 2, 2
_PHOTOMETRICS = frozenset({0, 1, 2, 3, 5})
_PALETTE = 3
_FILL_ORDER, _COLOUR_MAP = 266, 320
_CLASSIC_LIMIT_BYTES = 2**32


@dataclass(frozen=True)
class _Grid:
    """How the pixels are cut into pieces: strips are tiles as wide as the image."""

    width: int
    height: int
    pieces_across: int
    pieces_per_plane: int


def repaired(photo: Photo, patch: Patch) -> EncodedCopy:
    """Return the copy of a TIFF photo in which only the pixels of ``patch`` differ.

    Raises
    ------
    PhotoError
        ``not-writable``: its compression is lossy, or its pixels are stored in a way that we
        cannot reproduce exactly (the copy is decoded and compared before it is returned).
    """
    layout = tiff.read_layout(photo.data)
    main = layout.main
    stored = _stored(photo.data, photo.orientation)
    depth_bits = 8 * stored.itemsize
    if (
        main.one(tiff.COMPRESSION, tiff.UNCOMPRESSED) not in _COMPRESSIONS
        or main.one(tiff.PHOTOMETRIC) not in _PHOTOMETRICS
        or main.one(tiff.SAMPLES, 1) != stored.shape[2]
        or set(main.all(tiff.BITS, (1,))) != {depth_bits}
        or main.one(_FILL_ORDER, 1) != 1
    ):
        raise PhotoError(reasons.NOT_WRITABLE, "this TIFF's compression or pixel layout")
    colour_map = main.all(_COLOUR_MAP)
    added: dict[int, tuple[int, ...]] = {}
    if main.one(tiff.PHOTOMETRIC) == _PALETTE and len(colour_map) == 768:
        colours = (np.array(colour_map).reshape(3, 256).T >> 8).astype(np.uint8)
        free = samples.unused_tail(stored, 256)
        palette = samples.Palette(colours, np.full(256, 255, np.uint8), free)
        wanted, added = samples.patched_indices(stored, patch, palette)
    else:
        wanted = samples.patched(stored, patch)
    data = _with_pieces(photo.data, layout, wanted, _touched(main, wanted.shape, patch))
    data = _with_colours(data, layout, added)
    samples.check_same(_stored(data, photo.orientation), wanted)
    return EncodedCopy(data, "", "lossless")


def _with_colours(data: bytes, layout: tiff.TiffLayout, added: dict[int, tuple[int, ...]]) -> bytes:
    result = bytearray(data)
    for entry, colour in added.items():
        for channel, value in enumerate(colour):
            field = layout.main.fields[_COLOUR_MAP]
            _set(result, layout.order, field, 256 * channel + entry, value * 257)
    return bytes(result)


def _stored(data: bytes, orientation: int) -> Frame:
    if tiff.is_deep_colour(tiff.read_layout(data)):
        return deep.stored_values(data, "tiff")
    image = decode.open_image(data, len(data) * 1000)
    return decode.stored_values(decode.load(image, orientation))


def _grid(main: tiff.Directory, height: int, width: int) -> _Grid:
    if main.is_tiled:
        tile_width, tile_height = main.one(tiff.TILE_WIDTH), main.one(tiff.TILE_HEIGHT)
        across = -(-width // tile_width)
        return _Grid(tile_width, tile_height, across, across * -(-height // tile_height))
    rows = min(main.one(tiff.ROWS_PER_STRIP, height), height)
    return _Grid(width, rows, 1, -(-height // rows))


def _touched(main: tiff.Directory, shape: tuple[int, ...], patch: Patch) -> list[int]:
    grid = _grid(main, shape[0], shape[1])
    inside = patch.rows // grid.height * grid.pieces_across + patch.columns // grid.width
    planes = shape[2] if main.one(tiff.PLANAR, 1) == _SEPARATE_PLANES else 1
    pieces = {int(p) + grid.pieces_per_plane * plane for p in inside for plane in range(planes)}
    return sorted(pieces)


def _with_pieces(data: bytes, layout: tiff.TiffLayout, wanted: Frame, indices: list[int]) -> bytes:
    main = layout.main
    offsets = main.fields[tiff.TILE_OFFSETS if main.is_tiled else tiff.STRIP_OFFSETS]
    counts = main.fields[tiff.TILE_BYTES if main.is_tiled else tiff.STRIP_BYTES]
    result = bytearray(data)
    for index in indices:
        piece = _compressed(_raw(main, layout.order, wanted, index), main)
        if len(piece) <= counts.values[index]:
            offset = offsets.values[index]
            result[offset : offset + len(piece)] = piece
        else:
            result += bytes(len(result) % 2)
            offset = len(result)
            result += piece
        _set(result, layout.order, offsets, index, offset)
        _set(result, layout.order, counts, index, len(piece))
    if not layout.is_big and len(result) >= _CLASSIC_LIMIT_BYTES:
        raise PhotoError(reasons.NOT_WRITABLE, "the copy would be too large for TIFF")
    return bytes(result)


def _set(result: bytearray, order: str, field: tiff.Field, index: int, value: int) -> None:
    at = field.values_at + index * struct.calcsize(order + field.type_code)
    try:
        struct.pack_into(order + field.type_code, result, at, value)
    except struct.error as error:
        raise PhotoError(reasons.NOT_WRITABLE, "a strip grew beyond what its tag holds") from error


def _raw(main: tiff.Directory, order: str, wanted: Frame, index: int) -> npt.NDArray[np.uint8]:
    """Return one strip or tile as it is stored before compression, (rows, bytes of a row)."""
    height, width, samples = wanted.shape
    grid = _grid(main, height, width)
    plane, place = divmod(index, grid.pieces_per_plane)
    across, down = place % grid.pieces_across, place // grid.pieces_across
    channels = (
        slice(plane, plane + 1)
        if main.one(tiff.PLANAR, 1) == _SEPARATE_PLANES
        else slice(0, samples)
    )
    top, left = down * grid.height, across * grid.width
    piece: npt.NDArray[Any] = wanted[top : top + grid.height, left : left + grid.width, channels]
    if main.is_tiled:
        missing = grid.height - piece.shape[0], grid.width - piece.shape[1]
        piece = np.pad(piece, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    if main.one(tiff.PHOTOMETRIC) == _WHITE_IS_ZERO and piece.itemsize == 1:
        piece = 255 - piece  # Pillow shows it as black is zero
    if main.one(tiff.PREDICTOR, 1) == _HORIZONTAL:
        piece = np.diff(piece, axis=1, prepend=np.zeros_like(piece[:, :1]))  # wraps, as it must
    stored = piece.astype(piece.dtype.newbyteorder("<" if order == "<" else ">"))
    return np.ascontiguousarray(stored).reshape(len(stored), -1).view(np.uint8)


def _compressed(raw: npt.NDArray[np.uint8], main: tiff.Directory) -> bytes:
    """Return ``raw`` compressed by libtiff, as the only strip of a grey image of its bytes."""
    name = _COMPRESSIONS[main.one(tiff.COMPRESSION, tiff.UNCOMPRESSED)]
    if name is None:
        return raw.tobytes()
    stream = io.BytesIO()
    tags = {tiff.ROWS_PER_STRIP: raw.shape[0], tiff.PREDICTOR: 1}
    try:
        Image.fromarray(raw).save(stream, "TIFF", compression=name, tiffinfo=tags)
    except (OSError, KeyError, ValueError) as error:
        raise PhotoError(reasons.NOT_WRITABLE, f"Pillow cannot write {name}") from error
    ((offset, count),) = tiff.read_layout(stream.getvalue()).main.pieces()
    return stream.getvalue()[offset : offset + count]
