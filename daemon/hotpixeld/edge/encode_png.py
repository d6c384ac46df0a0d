"""Repaired copies of PNG files: only the touched rows are filtered anew, only IDAT is replaced.

Every other chunk stays byte for byte in its place: text, profiles, EXIF, XMP, physical size. A
changed row changes the filtered bytes of the row after it, and of no other (PNG, section 9).
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hotpixeld.core.patch import Patch
from hotpixeld.edge import decode, deep, pngfile, reasons, samples
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.decode import Frame
from hotpixeld.edge.photo import Photo
from hotpixeld.edge.pngfile import PngLayout
from hotpixeld.errors import PhotoError

# first column, first row, column step, row step (PNG, section 8.2)
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_NO_PASSES = ((0, 0, 1, 1),)
_LEVELS = {0: 1, 1: 3, 2: 6, 3: 9}  # zlib's own mapping of levels to the header's two bits

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Pass:
    """One pass over the picture: its rows as bytes, before and after, and where they lie."""

    before: Bytes
    after: Bytes
    start: int


def repaired(photo: Photo, patch: Patch) -> EncodedCopy:
    """Return the copy of a PNG photo in which only the pixels of ``patch`` differ.

    Raises
    ------
    PhotoError
        ``not-writable`` when the copy would not decode to exactly that.
    """
    layout = pngfile.read_layout(photo.data)
    stored = _stored(photo.data, layout)
    palette_chunk = b""
    if layout.colour_type == pngfile.PALETTE:
        palette = _palette(photo.data, layout, stored)
        wanted, added = samples.patched_indices(stored, patch, palette)
        palette_chunk = _extended(palette, added)
    else:
        in_steps = _in_steps(layout, patch)
        wanted = samples.patched(stored, in_steps)
        wanted = _keeping_transparency(photo.data, layout, stored, wanted)
    image_data = _refiltered(photo.data, layout, stored, wanted)
    data = _assembled(photo.data, layout, image_data, palette_chunk)
    samples.check_same(_stored(data, layout), wanted)
    return EncodedCopy(data, "", "lossless")


def _stored(data: bytes, layout: PngLayout) -> Frame:
    if pngfile.is_deep_colour(layout):
        return deep.stored_values(data, "png")
    image = decode.load(decode.open_image(data, len(data) * 2000))
    return decode.stored_values(image)


def _in_steps(layout: PngLayout, patch: Patch) -> Patch:
    """Return the patch in values that a shallow grey image can hold, as Pillow shows them."""
    if layout.bit_depth >= 8:
        return patch
    steps = (1 << layout.bit_depth) - 1
    levels = np.rint(patch.values_dn / 255 * steps).astype(np.uint8)
    shown = levels if steps == 1 else levels * (255 // steps)
    return Patch(patch.rows, patch.columns, shown)


def _chunk(data: bytes, layout: PngLayout, name: bytes) -> bytes:
    return next((data[c.payload] for c in layout.chunks if c.name == name), b"")


def _palette(data: bytes, layout: PngLayout, stored: Frame) -> samples.Palette:
    colours = np.frombuffer(_chunk(data, layout, b"PLTE"), np.uint8).reshape(-1, 3)
    alphas = np.full(len(colours), 255, np.uint8)
    given = np.frombuffer(_chunk(data, layout, b"tRNS"), np.uint8)[: len(colours)]
    alphas[: len(given)] = given
    free = samples.unused_tail(stored, 1 << layout.bit_depth, keep=[len(given) - 1])
    return samples.Palette(colours, alphas, free)


def _extended(palette: samples.Palette, added: dict[int, tuple[int, ...]]) -> bytes:
    """Return the content of PLTE with the new colours."""
    size = max(len(palette.colours), *(entry + 1 for entry in added), 0)
    colours = np.zeros((size, 3), np.uint8)
    colours[: len(palette.colours)] = palette.colours
    for entry, colour in added.items():
        colours[entry] = colour
    return colours.tobytes()


def _keeping_transparency(data: bytes, layout: PngLayout, stored: Frame, wanted: Frame) -> Frame:
    """Keep pixels of the transparent colour (tRNS) as they are, and make no others of it."""
    given = np.frombuffer(_chunk(data, layout, b"tRNS"), ">u2")
    if len(given) != wanted.shape[2] or layout.bit_depth < 8:
        return wanted
    clear = given.astype(wanted.dtype)
    was_clear = (stored == clear).all(axis=2)
    became_clear = (wanted == clear).all(axis=2) & ~was_clear
    wanted[was_clear] = stored[was_clear]
    wanted[became_clear, 0] ^= 1
    return wanted


def _passes(layout: PngLayout, stored: Frame, wanted: Frame) -> Iterator[_Pass]:
    start = 0
    for column, row, across, down in _ADAM7 if layout.is_interlaced else _NO_PASSES:
        before = stored[row::down, column::across]
        if before.size == 0:
            continue
        rows = _Pass(
            _row_bytes(before, layout), _row_bytes(wanted[row::down, column::across], layout), start
        )
        yield rows
        start += rows.before.shape[0] * (rows.before.shape[1] + 1)


def _row_bytes(values: Frame, layout: PngLayout) -> Bytes:
    """Return the rows as they are stored before filtering, (rows, bytes of a row)."""
    if layout.bit_depth == 16:
        return np.ascontiguousarray(values.astype(">u2")).reshape(len(values), -1).view(np.uint8)
    flat = values.reshape(len(values), -1).astype(np.uint8)
    if layout.bit_depth == 8:
        return flat
    is_grey = layout.colour_type == pngfile.GREY and layout.bit_depth > 1
    steps = flat // (255 // ((1 << layout.bit_depth) - 1)) if is_grey else flat
    bits = np.unpackbits(steps[..., None], axis=2)[..., 8 - layout.bit_depth :]
    return np.packbits(bits.reshape(len(values), -1), axis=1)


def _refiltered(data: bytes, layout: PngLayout, stored: Frame, wanted: Frame) -> bytes:
    """Return the compressed image data with the rows that changed filtered anew."""
    compressed = b"".join(data[c.payload] for c in layout.chunks if c.name == b"IDAT")
    passes = list(_passes(layout, stored, wanted))
    size = passes[-1].start + passes[-1].before.shape[0] * (passes[-1].before.shape[1] + 1)
    decompressor = zlib.decompressobj()
    try:
        filtered = np.frombuffer(bytearray(decompressor.decompress(compressed, size + 1)), np.uint8)
    except zlib.error as error:
        raise PhotoError(reasons.NOT_WRITABLE, f"zlib: {error}") from error
    if len(filtered) != size:
        raise PhotoError(reasons.NOT_WRITABLE, "the PNG holds more or fewer bytes than its rows")
    pixel_bytes = max(1, wanted.shape[2] * layout.bit_depth // 8)
    for rows in passes:
        _refilter(filtered, rows, pixel_bytes)
    compressor = zlib.compressobj(_LEVELS[compressed[1] >> 6])
    return compressor.compress(filtered.data) + compressor.flush()


def _refilter(filtered: Bytes, rows: _Pass, pixel_bytes: int) -> None:
    changed = np.flatnonzero((rows.before != rows.after).any(axis=1))
    height, stride = rows.after.shape
    for row in sorted({int(r) for r in changed} | {int(r) + 1 for r in changed}):
        if row == height:
            continue
        start = rows.start + row * (stride + 1)
        above = rows.after[row - 1] if row else np.zeros(stride, np.uint8)
        filtered[start + 1 : start + 1 + stride] = _filter(
            int(filtered[start]), rows.after[row], above, pixel_bytes
        )


def _filter(kind: int, row: Bytes, above: Bytes, pixel_bytes: int) -> Bytes:
    """Return a row's bytes less what filter ``kind`` predicts (PNG, section 9.2)."""
    left, corner = np.zeros_like(row), np.zeros_like(row)
    left[pixel_bytes:] = row[:-pixel_bytes]
    corner[pixel_bytes:] = above[:-pixel_bytes]
    predicted: Bytes
    if kind == 3:
        predicted = ((left.astype(np.uint16) + above) >> 1).astype(np.uint8)
    elif kind == 4:
        a, b, c = (part.astype(np.int16) for part in (left, above, corner))
        distances = np.stack((np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)))
        predicted = np.choose(distances.argmin(axis=0), (left, above, corner))
    else:
        predicted = (np.zeros_like(row), left, above)[kind]
    return np.subtract(row, predicted, dtype=np.uint8)


def _assembled(data: bytes, layout: PngLayout, image_data: bytes, palette: bytes) -> bytes:
    image_chunks = [c for c in layout.chunks if c.name == b"IDAT"]
    longest = max(len(data[c.payload]) for c in image_chunks)
    parts = [pngfile.SIGNATURE]
    for chunk in layout.chunks:
        if chunk.name == b"PLTE" and palette:
            parts.append(_new_chunk(b"PLTE", palette))
        elif chunk.name != b"IDAT":
            parts.append(data[chunk.start : chunk.end])
        elif chunk is image_chunks[0]:
            parts += [
                _new_chunk(b"IDAT", image_data[at : at + longest])
                for at in range(0, len(image_data), longest)
            ]
    return b"".join((*parts, data[layout.chunks[-1].end :]))


def _new_chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return len(content).to_bytes(4) + name + content + checksum.to_bytes(4)
