"""What EXIF tells of a photo: its camera body, when and how it was taken, and our own mark.

EXIF 2.32 (CIPA DC-008). A broken EXIF block is never fatal: what cannot be read is absent.
"""

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from PIL import Image

import hotpixeld

_MAKE, _MODEL, _SOFTWARE_OF_COPY, _DATE_TIME, _ORIENTATION = 0x010F, 0x0110, 0x000B, 0x0132, 0x0112
_DNG_CAMERA_SERIAL = 0xC62F
_XMP = 0x02BC
# Cameras of several lenses write one serial for all; this says which of them (Pix4D's XMP).
_CAMERA_OF_RIG = re.compile(rb"Camera:RigCameraIndex\s*(?:=\s*[\"']|>)\s*([0-9]{1,3})\s*[\"'<]")
_EXIF_IFD = 0x8769
_EXPOSURE_S, _ISO, _ISO_SPEED = 0x829A, 0x8827, 0x8833
_BODY_SERIAL = 0xA431
# date and time, its offset from UTC, its fraction of a second
_CAPTURE_TAGS = ((0x9003, 0x9011, 0x9291), (0x9004, 0x9012, 0x9292))
_MODIFY_OFFSET, _MODIFY_FRACTION = 0x9010, 0x9290
_ISO_BEYOND_16_BITS = 65535
_LONGEST_TEXT = 100

OWN_MARK = f"hotpixeld {hotpixeld.__version__} repaired copy"
_OWN_MARK_START = "hotpixeld "


@dataclass(frozen=True)
class ExifFacts:
    """What we use of EXIF.

    Attributes
    ----------
    make, model, serial : str
        Stripped and printable; empty where the photo does not say. ``serial`` is the body's
        (0xA431, or DNG's 0xC62F), with ``rig N`` where it is the N-th camera of a rig that shares
        one serial; one of zeros only is none.
    captured_at : datetime or None
        Always with a time zone, so that any two compare: the camera's offset where it wrote one,
        else this machine's local zone. Fractions of a second are in it.
    iso, exposure_s : float or None
        None where absent or absurd.
    orientation : int
        1 to 8.
    own_mark : bool
        True where the mark of our re-encoded copies stands in ProcessingSoftware (0x000B).
    """

    make: str = ""
    model: str = ""
    serial: str = ""
    captured_at: datetime | None = None
    iso: float | None = None
    exposure_s: float | None = None
    orientation: int = 1
    own_mark: bool = False


def read_facts(image: Image.Image) -> ExifFacts:
    """Return what the EXIF of an opened image says; no error but MemoryError, whatever it holds."""
    try:
        return _facts(image.getexif())
    except MemoryError:  # a photo without its camera would count as another one's
        raise
    except Exception:  # noqa: BLE001 - Pillow raises anything on hostile EXIF, and it is optional
        return ExifFacts()


def facts_of_block(block: bytes | None) -> ExifFacts:
    """Return what an EXIF block (or the head of a TIFF-like file) says; errors as `read_facts`."""
    exif = Image.Exif()
    try:
        exif.load(block or b"")
        return _facts(exif)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as above
        return ExifFacts()


def _facts(exif: Image.Exif) -> ExifFacts:
    base = dict(exif)
    details = dict(exif.get_ifd(_EXIF_IFD))
    serial = _text(details.get(_BODY_SERIAL)) or _text(base.get(_DNG_CAMERA_SERIAL))
    return ExifFacts(
        make=_text(base.get(_MAKE)),
        model=_text(base.get(_MODEL)),
        serial=" ".join([*([serial] if serial.strip("0 ") else []), *_camera_of_rig(base)]),
        captured_at=_captured_at(base, details),
        iso=_iso(details),
        exposure_s=_positive(details.get(_EXPOSURE_S)),
        orientation=_orientation(base.get(_ORIENTATION)),
        own_mark=is_own_mark(_text(base.get(_SOFTWARE_OF_COPY))),
    )


def _camera_of_rig(base: dict[int, Any]) -> list[str]:
    packet = base.get(_XMP)
    found = _CAMERA_OF_RIG.search(packet) if isinstance(packet, bytes) else None
    return [f"rig {int(found[1])}"] if found else []


def is_own_mark(text: str) -> bool:
    """Return True when ``text`` is the mark of a copy that hotpixeld re-encoded."""
    return text.startswith(_OWN_MARK_START)


def marked_block(block: bytes | None, orientation: int) -> bytes:
    """Return an EXIF block with our mark; one that cannot be read is replaced by a new one."""
    try:
        return _marked(block or b"", orientation)
    except Exception:  # noqa: BLE001 - as above
        return _marked(b"", orientation)


def _marked(block: bytes, orientation: int) -> bytes:
    exif = Image.Exif()
    exif.load(block)
    exif[_SOFTWARE_OF_COPY] = OWN_MARK
    exif[_ORIENTATION] = orientation
    return exif.tobytes()


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return str(value) if isinstance(value, int) else ""
    before_nul = value.split("\0", 1)[0]
    printable = "".join(c if c.isprintable() else " " for c in before_nul)
    return " ".join(printable.split())[:_LONGEST_TEXT]


def _orientation(value: object) -> int:
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _positive(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ArithmeticError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _iso(details: dict[int, Any]) -> float | None:
    value = details.get(_ISO)
    if isinstance(value, tuple):
        value = value[0] if value else None
    if value is None or value == _ISO_BEYOND_16_BITS:
        value = details.get(_ISO_SPEED, value)
    return _positive(value)


def _captured_at(base: dict[int, Any], details: dict[int, Any]) -> datetime | None:
    for when, offset, fraction in _CAPTURE_TAGS:
        if found := _moment(details.get(when), details.get(offset), details.get(fraction)):
            return found
    modified = base.get(_DATE_TIME)
    return _moment(modified, details.get(_MODIFY_OFFSET), details.get(_MODIFY_FRACTION))


def _moment(when: object, offset: object, fraction: object) -> datetime | None:
    zone = _text(offset)
    digits = _text(fraction)
    try:
        if re.fullmatch(r"[+-]\d\d:\d\d", zone):
            moment = datetime.strptime(_text(when) + zone, "%Y:%m:%d %H:%M:%S%z")
        else:
            moment = datetime.strptime(_text(when), "%Y:%m:%d %H:%M:%S").astimezone()
    except (ValueError, OverflowError, OSError):
        return None
    if re.fullmatch(r"[0-9]{1,9}", digits):
        moment += timedelta(seconds=float(f"0.{digits}"))
    return moment
