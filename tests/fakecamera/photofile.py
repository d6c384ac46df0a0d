"""The fake camera's files: JPEG with EXIF, TIFF of 16 bits, and a date burned in."""

import datetime as dt
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

_SUBSAMPLING = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}


@dataclass(frozen=True)
class Exposure:
    """What EXIF says of one photo."""

    make: str
    model: str
    serial: str
    captured_at: dt.datetime
    iso: int
    exposure_s: float
    orientation: int = 1


def to_jpeg(
    frame: npt.NDArray[np.uint8],
    exposure: Exposure | None = None,
    *,
    quality: int = 92,
    subsampling: str = "4:2:0",
) -> bytes:
    """Return a JPEG of ``frame`` (height, width, 3 or 1), without EXIF if ``exposure`` is None."""
    image = Image.fromarray(frame[..., 0] if frame.shape[2] == 1 else frame)
    out = io.BytesIO()
    exif = _exif(exposure) if exposure else Image.Exif()
    image.save(
        out, "JPEG", quality=quality, subsampling=_SUBSAMPLING[subsampling], exif=exif.tobytes()
    )
    return out.getvalue()


def to_tiff(frame: npt.NDArray[np.uint16], exposure: Exposure | None = None) -> bytes:
    """Return a grey TIFF of 16 bits of ``frame`` (height, width, 1)."""
    out = io.BytesIO()
    exif = _exif(exposure) if exposure else Image.Exif()
    Image.fromarray(frame[..., 0]).save(out, "TIFF", exif=exif)
    return out.getvalue()


def from_jpeg(data: bytes) -> npt.NDArray[np.uint8]:
    """Return the frame (height, width, channels) that a JPEG decodes to."""
    with Image.open(io.BytesIO(data)) as image:
        frame = np.asarray(image)
    return frame[..., None] if frame.ndim == 2 else frame


def from_tiff(data: bytes) -> npt.NDArray[np.uint16]:
    """Return the frame (height, width, 1) of a 16-bit grey TIFF."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image).astype(np.uint16)[..., None]


def _exif(exposure: Exposure) -> Image.Exif:
    exif = Image.Exif()
    stamp = exposure.captured_at.strftime("%Y:%m:%d %H:%M:%S")
    exif[0x010F], exif[0x0110], exif[0x0112] = exposure.make, exposure.model, exposure.orientation
    exif[0x0132] = stamp
    details = exif.get_ifd(0x8769)
    details[0x829A], details[0x8827], details[0x9003] = exposure.exposure_s, exposure.iso, stamp
    if exposure.serial:
        details[0xA431] = exposure.serial
    return exif


def with_date_stamp(frame: npt.NDArray[np.uint8], text: str) -> npt.NDArray[np.uint8]:
    """Return ``frame`` with ``text`` burned into its lower right corner."""
    image = Image.fromarray(frame)
    draw = ImageDraw.Draw(image)
    draw.text((frame.shape[1] - 90, frame.shape[0] - 24), text, fill=(255, 140, 30))
    return np.asarray(image)
