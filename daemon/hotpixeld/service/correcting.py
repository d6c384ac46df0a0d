"""`correct`: repair pixels that a person names in one photo, as the daemon would."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hotpixeld.core.defects import FootprintPixel
from hotpixeld.core.orientation import stored_position
from hotpixeld.core.repair import bare_footprint, repair_patch, seen_for
from hotpixeld.edge.atomic import write_atomically
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.encode import encode_copy
from hotpixeld.edge.encode_jpeg import JpegMethod, repaired_undecoded
from hotpixeld.edge.photo import read_photo
from hotpixeld.edge.surroundings import decode_parts, read_undecoded
from hotpixeld.errors import HotpixeldError, PhotoError, UsageError
from hotpixeld.service.finding import DEFAULT_MAX_PIXELS

REENCODE_QUALITY = 97


@dataclass(frozen=True)
class Corrected:
    """The file that was written, how many pixels changed, and how it was made."""

    path: Path
    repaired_px: int
    method: str
    note: str


def correct(
    path: Path,
    pixels: Sequence[tuple[int, int]],
    target: Path,
    *,
    displayed: bool,
    reencode: bool,
    overwrite: bool,
) -> Corrected:
    """Repair ``pixels``, (x, y) each, of the photo at ``path`` into ``target``.

    Raises
    ------
    PhotoError
        The photo cannot be used; nothing was written.
    UsageError
        A pixel lies outside the photo; nothing was written.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise HotpixeldError(f"{path}: {error.strerror}") from error
    repaired_px, copy = repaired(data, path, pixels, displayed=displayed, reencode=reencode)
    if copy.extension and target.suffix.lower() != copy.extension.lower():
        target = target.with_suffix(copy.extension)
    original = path.stat()
    try:
        write_atomically(target, copy.data, mode=original.st_mode & 0o666, overwrite=overwrite)
    except FileExistsError:
        raise UsageError(f"{target} exists; --force overwrites it") from None
    except OSError as error:
        raise HotpixeldError(f"{target}: {error.strerror}") from error
    return Corrected(target, repaired_px, copy.method, copy.note)


def repaired(
    data: bytes,
    path: Path,
    pixels: Sequence[tuple[int, int]],
    *,
    displayed: bool,
    reencode: bool,
) -> tuple[int, EncodedCopy]:
    """Repair ``pixels``, (x, y) each, of the photo that was read from ``path``.

    Of a JPEG only their surroundings are decoded, where that tells enough.

    Returns
    -------
    int, EncodedCopy
        How many pixels changed, and the copy.

    Raises
    ------
    HotpixeldError
        The photo cannot be used.
    UsageError
        A pixel lies outside the photo.
    """
    if not reencode:
        with contextlib.suppress(PhotoError, UsageError):  # the other way does it, or says why not
            return _without_decoding(data, pixels, displayed=displayed)
    try:
        photo = read_photo(data, path.name, max_pixels=DEFAULT_MAX_PIXELS)
    except PhotoError as error:
        raise HotpixeldError(f"{path}: {error}") from error
    shown_as = photo.orientation if displayed else 1
    patch = repair_patch(photo.frame, _bare(pixels, shown_as, photo.frame.shape), when="always")
    how: JpegMethod = "quality" if reencode else "blocks"
    return len(patch), encode_copy(photo, patch, jpeg=how, quality=REENCODE_QUALITY)


def _without_decoding(
    data: bytes, pixels: Sequence[tuple[int, int]], *, displayed: bool
) -> tuple[int, EncodedCopy]:
    """Do the same to a baseline JPEG of which nothing but the pixels' surroundings is decoded."""
    jpeg = read_undecoded(data, DEFAULT_MAX_PIXELS)
    footprints = _bare(pixels, jpeg.orientation if displayed else 1, jpeg.shape)
    frame, opened = decode_parts(jpeg, seen_for(footprints, jpeg.shape))
    patch = repair_patch(frame, footprints, when="always")
    return len(patch), repaired_undecoded(jpeg, opened, patch)


def _bare(
    pixels: Sequence[tuple[int, int]], shown_as: int, shape: tuple[int, ...]
) -> list[tuple[FootprintPixel, ...]]:
    """Return the footprints of defects of which nothing but ``pixels`` is known."""
    try:
        return [
            bare_footprint(shape, *stored_position(y, x, shown_as, (shape[0], shape[1])))
            for x, y in pixels
        ]
    except ValueError as error:
        raise UsageError(str(error)) from error
