"""The directories of a TIFF file: where its pixels lie and how they are stored (TIFF 6.0)."""

import struct
from dataclasses import dataclass

from hotpixeld.edge import holes, reasons
from hotpixeld.errors import PhotoError

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 277, 278, 279, 284
PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 317, 322, 323, 324, 325
SUB_IFDS, EXTRA_SAMPLES, SAMPLE_FORMAT, DNG_VERSION = 330, 338, 339, 50706
UNCOMPRESSED = 1
_RAW_PHOTOMETRICS = frozenset({32803, 34892})
_TYPE_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 16: "Q", 17: "q", 18: "Q"}
_MOST_DIRECTORIES = 1000
_REDUCED = 1


@dataclass(frozen=True)
class Field:
    """One directory entry: its integer values, and where they and the entry stand in the file."""

    values: tuple[int, ...]
    type_code: str
    values_at: int
    entry_at: int


@dataclass(frozen=True)
class Directory:
    """One image of the file; fields that hold no integers are left out."""

    fields: dict[int, Field]

    def all(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return the values of a tag."""
        return self.fields[tag].values if tag in self.fields else default

    def one(self, tag: int, default: int = 0) -> int:
        """Return the first value of a tag."""
        return (*self.all(tag), default)[0]

    @property
    def is_tiled(self) -> bool:
        """True when the pixels are stored in tiles."""
        return TILE_OFFSETS in self.fields

    def pieces(self) -> list[tuple[int, int]]:
        """Return offset and byte count of every strip or tile."""
        offsets = self.all(TILE_OFFSETS if self.is_tiled else STRIP_OFFSETS)
        counts = self.all(TILE_BYTES if self.is_tiled else STRIP_BYTES)
        return list(zip(offsets, counts, strict=False))


@dataclass(frozen=True)
class TiffLayout:
    """Byte order (``<`` or ``>``), whether it is BigTIFF, and the main directories in order."""

    order: str
    is_big: bool
    directories: tuple[Directory, ...]

    @property
    def main(self) -> Directory:
        """The first image."""
        return self.directories[0]


def read_layout(data: bytes) -> TiffLayout:
    """Read all main directories.

    Raises
    ------
    PhotoError
        ``truncated`` when a directory lies beyond the end, ``damaged`` when there is none.
    """
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in {b"+\0", b"\0+"}
    try:
        offset = _unpack(data, order, "Q", 8) if is_big else _unpack(data, order, "I", 4)
        directories: list[Directory] = []
        seen: set[int] = set()
        while offset and offset not in seen and len(directories) < _MOST_DIRECTORIES:
            seen.add(offset)
            directory, offset = _read_directory(data, order, offset, is_big=is_big)
            directories.append(directory)
    except struct.error as error:
        raise PhotoError(reasons.TRUNCATED, "a TIFF directory lies beyond the end") from error
    if not directories:
        raise PhotoError(reasons.DAMAGED, "the TIFF has no image")
    return TiffLayout(order, is_big, tuple(directories))


def _unpack(data: bytes, order: str, code: str, offset: int) -> int:
    value: int = struct.unpack_from(order + code, data, offset)[0]
    return value


def _read_directory(data: bytes, order: str, offset: int, *, is_big: bool) -> tuple[Directory, int]:
    count_code, offset_code = ("Q", "Q") if is_big else ("H", "I")
    head, inline = (8, 8) if is_big else (2, 4)
    entries = _unpack(data, order, count_code, offset)
    size = 4 + 2 * inline
    if entries * size > len(data):
        raise PhotoError(reasons.DAMAGED, f"{entries} entries in a TIFF directory")
    fields: dict[int, Field] = {}
    for index in range(entries):
        entry = offset + head + index * size
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        count = _unpack(data, order, offset_code, entry + 4)
        code = _TYPE_CODES.get(kind)
        if code is None:
            continue
        width = struct.calcsize(order + code)
        at = entry + 4 + inline
        if width * count > inline:
            at = _unpack(data, order, offset_code, at)
        if at + width * count > len(data):
            raise PhotoError(reasons.TRUNCATED, f"TIFF tag {tag} lies beyond the end")
        fields[tag] = Field(struct.unpack_from(f"{order}{count}{code}", data, at), code, at, entry)
    following = _unpack(data, order, offset_code, offset + head + entries * size)
    return Directory(fields), following


def is_raw(layout: TiffLayout) -> bool:
    """Return True for camera RAW files, whose first image is a preview or a colour filter array."""
    main = layout.main
    return (
        DNG_VERSION in main.fields
        or main.one(PHOTOMETRIC) in _RAW_PHOTOMETRICS
        or (main.one(SUBFILE_TYPE) & _REDUCED == _REDUCED and SUB_IFDS in main.fields)
    )


def is_deep_colour(layout: TiffLayout) -> bool:
    """Return True for more than 8 bits a channel in more than one: Pillow would give 8."""
    bits = layout.main.all(BITS, (1,))
    return max(bits, default=1) == 16 and layout.main.one(SAMPLES, len(bits)) > 1


def check_whole(data: bytes, layout: TiffLayout) -> None:
    """Check that the first image's pixels are all there and the only ones of their size.

    Raises
    ------
    PhotoError
        ``truncated``, ``damaged``, ``several-frames``.
    """
    main = layout.main
    for page in layout.directories[1:]:
        is_smaller = page.one(WIDTH) < main.one(WIDTH) and page.one(HEIGHT) < main.one(HEIGHT)
        if not (page.one(SUBFILE_TYPE) & _REDUCED or is_smaller):
            raise PhotoError(reasons.SEVERAL_FRAMES, f"{len(layout.directories)} pages")
    pieces = main.pieces()
    if not pieces or any(offset == 0 or count == 0 for offset, count in pieces):
        raise PhotoError(reasons.DAMAGED, "the TIFF has no pixels")
    if any(offset + count > len(data) for offset, count in pieces):
        raise PhotoError(reasons.TRUNCATED, "the TIFF's pixels lie beyond the end")
    for start, end in _merged(pieces):
        hole = holes.find_hole(data, start, end)
        if hole is not None:
            raise PhotoError(reasons.DAMAGED, f"zeros in the TIFF's pixels from byte {hole} on")
    if all(data.count(0, start, end) == end - start for start, end in _merged(pieces)):
        raise PhotoError(reasons.DAMAGED, "every byte of the TIFF's pixels is zero")


def _merged(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ``(start, end)`` of the areas that neighbouring strips or tiles form together."""
    merged: list[tuple[int, int]] = []
    for offset, count in sorted(pieces):
        if merged and merged[-1][1] == offset:
            merged[-1] = (merged[-1][0], offset + count)
        else:
            merged.append((offset, offset + count))
    return merged
