"""Small pictures for the report, each a ``data:`` URI that holds a PNG."""

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


def picture(values: npt.NDArray[np.uint8]) -> str:
    """Return pixels, (height, width, channels) uint8 of 1, 3 or 4 channels, as a ``data:`` URI."""
    height, width, channels = values.shape
    plane = np.ascontiguousarray(values[..., 0] if channels == 1 else values)
    image = Image.frombytes(_MODES[channels], (width, height), plane.tobytes())
    file = io.BytesIO()
    (image.convert("RGB") if channels == 4 else image).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def photo_picture(values: Frame, like: Frame) -> str:
    """Return a part of a frame as it looks; of 16 bits, stretched as ``like`` is, else all black.

    Parameters
    ----------
    values, like : (height, width, channels) uint8 or uint16
        A part of a frame, and the part that it is to be compared with.
    """
    if values.dtype == np.uint16:
        low, high = float(like.min()), float(like.max())
        scaled = (values - low) * (255.0 / max(high - low, 1.0))
        return picture(np.rint(np.clip(scaled, 0, 255)).astype(np.uint8))
    return picture(values.astype(np.uint8))


def stretched(values: npt.NDArray[np.float64]) -> tuple[str, float, float]:
    """Return values with their contrast stretched, and what black and white stand for.

    Parameters
    ----------
    values : (height, width, channels) float64
        All channels are stretched alike, so that colours stay.
    """
    low, high = float(np.min(values)), float(np.max(values))
    scaled = (values - low) * (255.0 / max(high - low, 1e-9))
    return picture(np.rint(scaled).astype(np.uint8)), low, high
