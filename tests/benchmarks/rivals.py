"""Rivals of the repair: each puts something in place of pixels whose positions are known."""

import io
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, JpegImagePlugin
from skimage.restoration import inpaint_biharmonic

Frame = npt.NDArray[np.uint8]
Place = tuple[int, int]

JPEGPIXI = shutil.which("jpegpixi")


def rivals(frame: Frame, jpeg: bytes, places: Sequence[Place]) -> dict[str, Frame]:
    """Return the picture as each rival repairs it, by the rival's name."""
    pixels = original(frame, places)
    telea, stokes = (inpainted(frame, places, way) for way in (cv2.INPAINT_TELEA, cv2.INPAINT_NS))
    found = {
        "original corrector, saved at q97": saved(pixels, quality=97),
        "original corrector, pixels": pixels,
        "Telea, 3x3, pixels": telea,
        "Navier-Stokes, 3x3, pixels": stokes,
        "Navier-Stokes, saved with the same tables": saved(stokes, like=jpeg),
        "Navier-Stokes, saved at q97": saved(stokes, quality=97),
        "biharmonic, 3x3, pixels": biharmonic(frame, places),
    }
    if JPEGPIXI:
        found["jpegpixi, 1x1"] = by_jpegpixi(jpeg, frame.shape, places, 1)
        found["jpegpixi, 3x3"] = by_jpegpixi(jpeg, frame.shape, places, 3)
    return found


def original(frame: Frame, places: Sequence[Place]) -> Frame:
    """Repair as the first program did: the weighted mean of the eight neighbours."""
    weights = np.array([[0.5**0.5, 1, 0.5**0.5], [1, 0, 1], [0.5**0.5, 1, 0.5**0.5]])
    result = frame.copy()
    for row, column in places:
        around = frame[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        if around.shape[:2] != weights.shape:
            continue  # it stops at the edge
        result[row, column] = np.einsum("yx,yxc->c", weights, around) / weights.sum()
    return result


def _mask(frame: Frame, places: Sequence[Place]) -> Frame:
    mask = np.zeros(frame.shape[:2], np.uint8)
    for row, column in places:
        mask[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = 1
    return mask


def inpainted(frame: Frame, places: Sequence[Place], way: int) -> Frame:
    """Inpaint 3x3 round each place with OpenCV."""
    return np.asarray(cv2.inpaint(frame, _mask(frame, places), 3, way), np.uint8)


def biharmonic(frame: Frame, places: Sequence[Place]) -> Frame:
    """Inpaint 3x3 round each place with scikit-image."""
    mask = _mask(frame, places).astype(bool)
    filled = inpaint_biharmonic(frame / 255, mask, channel_axis=-1)
    result: Frame = np.clip(np.rint(255 * filled), 0, 255).astype(np.uint8)
    return result


def saved(frame: Frame, *, quality: int = 97, like: bytes | None = None) -> Frame:
    """Return the frame after Pillow has saved it as JPEG."""
    held = io.BytesIO()
    if like is None:
        Image.fromarray(frame).save(held, "JPEG", quality=quality)
    else:
        with Image.open(io.BytesIO(like)) as other:
            tables, sampling = other.quantization, JpegImagePlugin.get_sampling(other)  # type: ignore[attr-defined]
        Image.fromarray(frame).save(held, "JPEG", qtables=tables, subsampling=sampling)
    return decoded(held.getvalue())


def decoded(data: bytes) -> Frame:
    """Decode a JPEG."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def by_jpegpixi(jpeg: bytes, shape: tuple[int, ...], places: Sequence[Place], size: int) -> Frame:
    """Repair squares round each place with jpegpixi."""
    specs = []
    for row, column in places:
        top, left = (max(0, place - size // 2) for place in (row, column))
        bottom, right = (
            min(place + size // 2 + 1, limit)
            for place, limit in zip((row, column), shape, strict=False)
        )
        specs.append(f"{left},{top},{right - left},{bottom - top}")
    with TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.jpg", Path(folder) / "after.jpg"
        before.write_bytes(jpeg)
        command = [JPEGPIXI or "jpegpixi", str(before), str(after), *specs]
        subprocess.run(command, check=True, capture_output=True)
        return decoded(after.read_bytes())
