"""`correct`: repair pixels that a person names in one photo, as the daemon would."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hotpixeld.core.orientation import stored_position
from hotpixeld.core.repair import footprint_at, repair_patch
from hotpixeld.edge.atomic import write_atomically
from hotpixeld.edge.encode import encode_copy
from hotpixeld.edge.photo import read_photo
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
    try:
        photo = read_photo(data, path.name, max_pixels=DEFAULT_MAX_PIXELS)
    except PhotoError as error:
        raise HotpixeldError(f"{path}: {error}") from error
    footprints = []
    for x, y in pixels:
        shown_as = photo.orientation if displayed else 1
        row, column = stored_position(y, x, shown_as, photo.frame.shape[:2])
        try:
            footprints.append(footprint_at(photo.frame, row, column))
        except ValueError as error:
            raise UsageError(str(error)) from error
    patch = repair_patch(photo.frame, footprints, when="always")
    copy = encode_copy(
        photo,
        patch,
        jpeg="quality" if reencode else "blocks",
        quality=REENCODE_QUALITY,
    )
    if copy.extension and target.suffix.lower() != copy.extension.lower():
        target = target.with_suffix(copy.extension)
    original = path.stat()
    try:
        write_atomically(target, copy.data, mode=original.st_mode & 0o666, overwrite=overwrite)
    except FileExistsError:
        raise UsageError(f"{target} exists; --force overwrites it") from None
    except OSError as error:
        raise HotpixeldError(f"{target}: {error.strerror}") from error
    return Corrected(target, len(patch), copy.method, copy.note)
