"""The multi-picture index of a JPEG file: where its further images lie (CIPA DC-007)."""

import struct
from dataclasses import dataclass

from hotpixeld.core.jpeg.markers import APP2, JpegLayout
from hotpixeld.edge import reasons
from hotpixeld.errors import PhotoError

_SIGNATURE = b"MPF\0"
_ENTRIES_TAG = 0xB002
_ENTRY_BYTES = 16


@dataclass(frozen=True)
class Entry:
    """One image of the index.

    Attributes
    ----------
    at : int
        Where its entry stands in the file.
    size_bytes : int
        Its length.
    start : int
        Where it begins in the file; of the first image, 0.
    """

    at: int
    size_bytes: int
    start: int


@dataclass(frozen=True)
class Index:
    """All entries, the byte order they are written in, and where offsets count from."""

    order: str
    base: int
    entries: tuple[Entry, ...]


def read_index(data: bytes, layout: JpegLayout) -> Index | None:
    """Return the index of a JPEG file, or None when it has none that can be read."""
    for segment in layout.metadata():
        start = segment.start + 4
        if segment.marker == APP2 and data.startswith(_SIGNATURE, start):
            try:
                return _read(data, start + len(_SIGNATURE), segment.end)
            except struct.error:
                return None
    return None


def _read(data: bytes, base: int, end: int) -> Index | None:
    order = "<" if data[base : base + 2] == b"II" else ">"
    directory = base + struct.unpack_from(order + "I", data, base + 4)[0]
    (fields,) = struct.unpack_from(order + "H", data, directory)
    for index in range(fields):
        tag, _, size, offset = struct.unpack_from(order + "HHII", data, directory + 2 + 12 * index)
        if tag != _ENTRIES_TAG:
            continue
        first = base + offset
        if first + size > end:
            return None
        entries = []
        for at in range(first, first + size - _ENTRY_BYTES + 1, _ENTRY_BYTES):
            _, size_bytes, start = struct.unpack_from(order + "III", data, at)
            entries.append(Entry(at, size_bytes, base + start if start else 0))
        return Index(order, base, tuple(entries))
    return None


def further_images(data: bytes, layout: JpegLayout) -> list[int]:
    """Return where the images after the first begin, as far as they are there and JPEG.

    Raises
    ------
    PhotoError
        ``truncated`` when the file ends within one of them. Where nothing at all follows the
        first image, a program has dropped the others and left the index: that is no damage.
    """
    index = read_index(data, layout)
    if index is None or not data[layout.end :].strip(b"\xff\0"):
        return []
    starts = []
    for entry in index.entries[1:]:
        if not entry.start:
            continue
        if entry.start + entry.size_bytes > len(data):
            raise PhotoError(reasons.TRUNCATED, "a further image of the JPEG is cut off")
        if data.startswith(b"\xff\xd8\xff", entry.start):
            starts.append(entry.start)
    return starts


def moved(data: bytes, layout: JpegLayout, original: JpegLayout) -> bytes:
    """Return ``data`` with its index true again after the first image has changed its length.

    ``layout`` describes ``data``, ``original`` the file that the index was written for.
    """
    index = read_index(data, layout)
    if index is None or not index.entries:
        return data
    shift = layout.end - original.end
    patched = bytearray(data)
    first = index.entries[0]
    struct.pack_into(index.order + "I", patched, first.at + 4, first.size_bytes + shift)
    for entry in index.entries[1:]:
        if entry.start >= original.end:
            offset = entry.start - index.base + shift
            struct.pack_into(index.order + "I", patched, entry.at + 8, offset)
    return bytes(patched)
