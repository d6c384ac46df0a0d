"""The blocks of a GIF file (GIF89a specification)."""

from dataclasses import dataclass

from hotpixeld.edge import reasons
from hotpixeld.errors import PhotoError

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B


@dataclass(frozen=True)
class GifLayout:
    """Where the one image of a GIF file lies.

    Attributes
    ----------
    palette : (int, int)
        Start and end of the colour table that the image uses, in bytes; empty without one.
    image : (int, int)
        Start and end of its data, from the code size to the terminator, in bytes.
    descriptor : int
        Where its descriptor starts.
    is_interlaced : bool
        True when the rows are stored in four passes.
    """

    palette: tuple[int, int]
    image: tuple[int, int]
    descriptor: int
    is_interlaced: bool


def read_layout(data: bytes) -> GifLayout:
    """Walk the blocks of a GIF file from header to trailer.

    Raises
    ------
    PhotoError
        ``truncated``, ``damaged``, ``several-frames`` (animated), ``unsupported-pixels`` (the
        image does not fill the screen).
    """
    try:
        return _walk(data)
    except IndexError as error:
        raise PhotoError(reasons.TRUNCATED, "the GIF ends without a trailer") from error


def _walk(data: bytes) -> GifLayout:
    screen = data[6:10]
    palette = (13, 13 + _table_bytes(data[10]))
    position = palette[1]
    found: GifLayout | None = None
    frames = 0
    while (block := data[position]) != _TRAILER:
        if block == _EXTENSION:
            position = _after_sub_blocks(data, position + 2)
        elif block == _IMAGE:
            frames += 1
            flags = data[position + 9]
            start = position + 10 + _table_bytes(flags)
            end = _after_sub_blocks(data, start + 1)
            own_palette = (position + 10, start) if flags & 0x80 else palette
            found = GifLayout(own_palette, (start, end), position, bool(flags & 0x40))
            if data[position + 1 : position + 9] != bytes(4) + screen and frames == 1:
                raise PhotoError(reasons.UNSUPPORTED_PIXELS, "the image does not fill the GIF")
            position = end
        else:
            raise PhotoError(reasons.DAMAGED, f"no GIF block at byte {position}")
    if found is None:
        raise PhotoError(reasons.DAMAGED, "the GIF has no image")
    if frames > 1:
        raise PhotoError(reasons.SEVERAL_FRAMES, f"animated GIF, {frames} frames")
    return found


def _table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_sub_blocks(data: bytes, position: int) -> int:
    while length := data[position]:
        position += 1 + length
    return position + 1
