"""Lists of defective pixels as other programs write and read them.

``x`` is the column and ``y`` the row, 0-based from the top left of the stored image, in every
format here. Each reader takes what its program would take, and says which lines it left out.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

ListFormat = Literal["dcraw", "rawtherapee", "jpegpixi", "siril", "pixinsight", "phd2", "json"]
Parsed = list["ListedPixel"]

DCRAW_LINE_BYTES = 127  # dcraw takes what follows for another line, and could find pixels in it
DCRAW_LAST_TIME_S = 2**31 - 1  # dcraw reads an int


@dataclass(frozen=True, order=True)
class ListedPixel:
    """One pixel of a list.

    Attributes
    ----------
    x, y : int
        Column and row.
    since_unix_s : int
        When it went bad; 0: unknown. Kept by dcraw and json.
    is_dead : bool
        It is too dark, not too bright. Kept by siril and json.
    """

    x: int
    y: int
    since_unix_s: int = 0
    is_dead: bool = False


@dataclass(frozen=True)
class ReadList:
    """What a list says: its pixels, each once, sorted; and lines left out, as (number, text)."""

    pixels: tuple[ListedPixel, ...]
    left_out: tuple[tuple[int, str], ...]


def write_list(
    form: ListFormat, pixels: Iterable[ListedPixel], *, title: str = "", margin_px: int = 0
) -> str:
    """Return the text of a list.

    Parameters
    ----------
    form : str
        Whose list it is.
    pixels : iterable of ListedPixel
        Written sorted, each place once.
    title : str
        Stands in a comment, where the format has any.
    margin_px : int
        RawTherapee counts from the edge of the sensor, not of the image: how far that is from the
        image's, on the left and at the top. Becomes the offset line.
    """
    once = _once(pixels)
    title = re.sub(r"[^ -~]", "?", title)[: DCRAW_LINE_BYTES - 3]
    if form == "json":
        return _write_json(once, title)
    if form == "rawtherapee":  # the offset must be the very first line, and comments are unknown
        head = [str(margin_px)]
    elif form == "phd2":
        head = ["# PHD2 Defect Map v1", *([f"# {title}"] if title else [])]
    else:
        head = [f"# {title}"] if title and form != "siril" else []
    return "".join(f"{line}\n" for line in (*head, *map(_WRITERS[form], once)))


def read_list(
    form: ListFormat, text: str, *, width: int, height: int, margin_px: int = 0
) -> ReadList:
    """Read a list for an image of ``width`` by ``height`` pixels.

    Pixels outside the image, whole rows and columns and whatever else is no pixel are left out.

    Raises
    ------
    ValueError
        ``form`` is json and ``text`` is no such document.
    """
    if form == "json":
        parsed: Iterator[tuple[int, str, Parsed | None]] = _read_json(text)
    elif form == "rawtherapee":
        parsed = _read_rawtherapee(text, margin_px)
    else:
        parsed = ((n, line, _READERS[form](line)) for n, line in enumerate(text.splitlines(), 1))
    kept: list[ListedPixel] = []
    left_out: list[tuple[int, str]] = []
    for number, line, found in parsed:
        inside = [p for p in found or () if 0 <= p.x < width and 0 <= p.y < height]
        kept += inside
        if found is None or len(inside) < len(found):
            left_out.append((number, line[:200]))
    return ReadList(_once(kept), tuple(left_out))


def rawtherapee_name(make: str, model: str, serial: str) -> str:
    """Return the file name under which RawTherapee looks for the list of this camera."""
    parts = (make, model, serial)
    name = " ".join(part for part in parts if part)
    return re.sub(r"[/\\\0]", "_", name) + ".badpixels"


def _once(pixels: Iterable[ListedPixel]) -> tuple[ListedPixel, ...]:
    """Sort; of the same place twice, keep the one that is known to be older."""
    places: dict[tuple[int, int], ListedPixel] = {}
    for pixel in sorted(pixels, key=lambda p: (p.since_unix_s <= 0, p.since_unix_s, p.is_dead)):
        places.setdefault((pixel.x, pixel.y), pixel)
    return tuple(sorted(places.values()))


def _dcraw_line(pixel: ListedPixel) -> str:
    return f"{pixel.x} {pixel.y} {min(max(pixel.since_unix_s, 0), DCRAW_LAST_TIME_S)}"


def _siril_line(pixel: ListedPixel) -> str:
    return f"P {pixel.x} {pixel.y} {'C' if pixel.is_dead else 'H'}"


_WRITERS: Mapping[str, Callable[[ListedPixel], str]] = MappingProxyType(
    {
        "dcraw": _dcraw_line,
        "rawtherapee": lambda pixel: f"{pixel.x} {pixel.y}",
        "jpegpixi": lambda pixel: f"{pixel.x},{pixel.y}",
        "siril": _siril_line,
        "pixinsight": lambda pixel: f"Col {pixel.x} {pixel.y} {pixel.y}",
        "phd2": lambda pixel: f"{pixel.x} {pixel.y}",
    }
)


# The readers return the pixels of one line, or None where the line holds something else.


def _numbers(text: str, most: int = 12) -> list[int] | None:
    words = text.split()
    if all(re.fullmatch(r"-?[0-9]{1,10}", word) for word in words) and len(words) <= most:
        return [int(word) for word in words]
    return None


def _read_dcraw_line(line: str) -> Parsed | None:
    bare = line.split("#", maxsplit=1)[0]
    if not bare.strip():
        return []
    numbers = _numbers(bare)
    if numbers is None or len(numbers) != 3 or len(line.encode()) > DCRAW_LINE_BYTES:
        return None
    return [ListedPixel(numbers[0], numbers[1], max(numbers[2], 0))]


def _read_phd2_line(line: str) -> Parsed | None:
    bare = line.split("#", maxsplit=1)[0]
    if not bare.strip():
        return []
    numbers = _numbers(bare)
    if numbers is None or len(numbers) != 2:
        return None
    return [ListedPixel(numbers[0], numbers[1])]


def _read_jpegpixi_line(line: str) -> Parsed | None:
    bare = line.split("#", maxsplit=1)[0].strip()
    if not bare:
        return []
    match = re.fullmatch(
        r"(?:[2VvHh]:)?([0-9]{1,6})[,/;]([0-9]{1,6})(?:[,/;]([0-9]{1,4})(?:[,/;]([0-9]{1,4}))?)?",
        re.sub(r"\s+", "", bare),
    )
    if not match:
        return None
    x, y = int(match[1]), int(match[2])
    wide = int(match[3] or 1)
    high = int(match[4] or wide)
    if wide * high > 4096:  # no defect, but a region
        return None
    return [ListedPixel(x + right, y + down) for down in range(high) for right in range(wide)]


def _read_siril_line(line: str) -> Parsed | None:
    if not line.strip() or line.startswith("#"):
        return []
    match = re.fullmatch(r"P\s+([0-9]{1,6})\s+([0-9]{1,6})(?:\s+([HC]))?\s*", line)
    return [ListedPixel(int(match[1]), int(match[2]), 0, match[3] == "C")] if match else None


def _read_pixinsight_line(line: str) -> Parsed | None:
    bare = line.split("#", maxsplit=1)[0].strip()
    if not bare:
        return []
    match = re.fullmatch(r"(Col|Row)\s+([0-9]{1,6})\s+([0-9]{1,6})\s+([0-9]{1,6})", bare)
    if not match:
        return None
    along, first, last = int(match[2]), *sorted((int(match[3]), int(match[4])))
    if last - first >= 4096:
        return None
    if match[1] == "Col":
        return [ListedPixel(along, y) for y in range(first, last + 1)]
    return [ListedPixel(x, along) for x in range(first, last + 1)]


_READERS: Mapping[str, Callable[[str], Parsed | None]] = MappingProxyType(
    {
        "dcraw": _read_dcraw_line,
        "jpegpixi": _read_jpegpixi_line,
        "siril": _read_siril_line,
        "pixinsight": _read_pixinsight_line,
        "phd2": _read_phd2_line,
    }
)


def _read_rawtherapee(text: str, margin_px: int) -> Iterator[tuple[int, str, Parsed | None]]:
    shift_px = -margin_px
    for number, line in enumerate(text.splitlines(), 1):
        numbers = _numbers(line)
        if number == 1 and numbers is not None and len(numbers) == 1:
            shift_px += numbers[0]
        elif numbers is not None and len(numbers) == 2:
            yield number, line, [ListedPixel(numbers[0] + shift_px, numbers[1] + shift_px)]
        elif line.strip():
            yield number, line, None


def _write_json(pixels: Sequence[ListedPixel], title: str) -> str:
    listed = [
        {"x": p.x, "y": p.y, "since_unix": p.since_unix_s or None, "dead": p.is_dead}
        for p in pixels
    ]
    return json.dumps({"title": title, "pixels": listed}, indent=1) + "\n"


def _read_json(text: str) -> Iterator[tuple[int, str, Parsed | None]]:
    """Read our own document, that of `pixels list --json` of one sensor, or ``[[x, y], ...]``."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if isinstance(document, dict) and "sensors" in document and "pixels" not in document:
        sensors = document["sensors"]
        document = sensors[0] if isinstance(sensors, list) and len(sensors) == 1 else None
    listed = document.get("pixels") if isinstance(document, dict) else document
    if not isinstance(listed, list):
        raise ValueError("no list of pixels in it")  # noqa: TRY004  # the value of a file is wrong
    for number, entry in enumerate(listed, 1):
        yield number, str(entry), _json_pixel(entry)


def _json_pixel(entry: object) -> Parsed | None:
    if isinstance(entry, list) and len(entry) == 2:
        entry = {"x": entry[0], "y": entry[1]}
    if not isinstance(entry, dict):
        return None
    parts = (entry.get("x"), entry.get("y"), entry.get("since_unix") or 0)
    numbers = [part for part in parts if isinstance(part, int) and not isinstance(part, bool)]
    if len(numbers) != 3:
        return None
    x, y, since = numbers
    return [ListedPixel(x, y, max(since, 0), entry.get("dead") is True)]
