"""Between the pixels of a sensor and the lists of other programs."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, get_args

from hotpixeld.core.lists import ListedPixel, ListFormat, read_list, write_list
from hotpixeld.core.sensor import Sensor
from hotpixeld.edge.maskfile import read_mask, write_mask
from hotpixeld.edge.pixels import PixelRow

AnyFormat = ListFormat | Literal["mask"]
FORMATS: tuple[str, ...] = (*get_args(ListFormat), "mask")

# These programs repair developed pixels one by one and need the whole footprint; the others
# repair the sensor's own site before it is developed, and one defect is one site.
_OF_DEVELOPED_PHOTOS = ("jpegpixi", "mask")


def exported(form: AnyFormat, sensor: Sensor, pixels: Iterable[PixelRow]) -> bytes:
    """Return the list of the confirmed ones among ``pixels``."""
    listed: list[ListedPixel] = []
    for pixel in pixels:
        if pixel.state == "confirmed":
            is_dead, since = pixel.candidate.kind == "dead", onset_unix_s(pixel)
            listed.append(ListedPixel(pixel.column, pixel.row, since, is_dead))
            if form in _OF_DEVELOPED_PHOTOS:
                listed += [ListedPixel(p.column, p.row) for p in pixel.candidate.footprint]
    if form == "mask":
        return write_mask(listed, width=sensor.width, height=sensor.height)
    return write_list(form, listed, title=f"{sensor.key}, written by hotpixeld").encode()


def imported(
    form: AnyFormat, sensor: Sensor, data: bytes
) -> tuple[tuple[ListedPixel, ...], tuple[tuple[int, str], ...]]:
    """Return the pixels of a list for ``sensor``, and the lines left out, as (number, text).

    Raises
    ------
    ValueError
        ``data`` is no such list, or a mask of another size.
    """
    if form == "mask":
        return read_mask(data, width=sensor.width, height=sensor.height), ()
    text = data.decode("utf-8-sig", errors="replace")
    read = read_list(form, text, width=sensor.width, height=sensor.height)
    return read.pixels, read.left_out


def onset_unix_s(pixel: PixelRow) -> int:
    """Return the first second at which the pixel may have been bad; 0: not known.

    Programs leave photos before it alone, so it is the one after the last photo in which the pixel
    was seen to be good. A capture time without a zone is local time, as dcraw takes it.
    """
    if pixel.since_after is None:
        return 0
    try:
        return max(int(datetime.fromisoformat(pixel.since_after).timestamp()) + 1, 0)
    except (ValueError, OverflowError, OSError):
        return 0
