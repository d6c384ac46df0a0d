"""From bytes to pixel values, with Pillow, strictly: what is not whole and plain is refused."""

import io
import warnings
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from hotpixeld.edge import pillowmemory, reasons
from hotpixeld.errors import PhotoError

Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "WEBP")  # no other decoder ever sees a photo
_DEEP_GREY = frozenset({"I;16", "I;16L", "I;16B"})
_CHANNELS = {"1": 1, "L": 1, "LA": 1, "RGB": 3, "RGBA": 3, "RGBX": 3, "CMYK": 4}  # without alpha
_UNDO_ROTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

# Our own limit is checked before decoding, and Pillow's warnings tell us nothing that we act on.
Image.MAX_IMAGE_PIXELS = None
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def open_image(data: bytes | BinaryIO, max_pixels: int) -> Image.Image:
    """Read the header of an image whose pixels are still to be decoded.

    Raises
    ------
    PhotoError
        ``not-a-photo``, ``damaged``, ``truncated`` or ``too-large``.
    """
    try:
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
        image = Image.open(stream, formats=_FORMATS)
    except Exception as error:
        raise _refusal(error) from error
    check_size(*image.size, max_pixels)
    return image


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise ``PhotoError`` for more pixels than ``max_pixels``, or none."""
    if width < 1 or height < 1:
        raise PhotoError(reasons.DAMAGED, f"{width}x{height} pixels")
    if width * height > max_pixels:
        raise PhotoError(reasons.TOO_LARGE, f"{width}x{height} pixels, limit {max_pixels}")


def load(image: Image.Image, orientation: int = 1) -> Image.Image:
    """Decode all pixels of ``image`` and return it with its pixels where the file stores them.

    ``orientation`` is the EXIF orientation that was read before loading: Pillow rotates TIFF
    (and only TIFF) by it without being asked.

    Raises
    ------
    PhotoError
        ``truncated``, ``damaged`` or ``too-large`` (no memory).
    """
    try:
        image.load()
        undo = _UNDO_ROTATION.get(orientation)
        if image.format == "TIFF" and undo is not None:
            return image.transpose(undo)
    except Exception as error:
        raise _refusal(error) from error
    return image


def decoded_frame(image: Image.Image) -> Frame:
    """Decode a JPEG that was just opened, into memory of an earlier frame, and return its frame.

    ``image`` is spent after it.

    Raises
    ------
    PhotoError
        As `load` and `frame_of` do.
    """
    channels = _CHANNELS.get(image.mode, 0)
    if channels < 2:  # grey ones are copied anyway
        return frame_of(load(image))
    try:
        pillowmemory.lend(image)
        seen = pillowmemory.lent_channels(load(image), channels)
    except MemoryError as error:
        raise _refusal(error) from error
    return frame_of(image) if seen is None else seen


def frame_of(image: Image.Image) -> Frame:
    """Return the pixel values of a loaded image, without alpha, palettes expanded.

    Returns
    -------
    (height, width, channels) uint8 or uint16
        Channels 1 (grey), 3 (RGB) or 4 (CMYK). In C order, or read-only with four bytes from
        pixel to pixel: then it is the image's own memory, kept alive by the frame.

    Raises
    ------
    PhotoError
        ``unsupported-pixels`` for a mode that is none of these, ``too-large`` without memory.
    """
    try:
        return _frame_of(image)
    except MemoryError as error:
        raise _refusal(error) from error


def _frame_of(image: Image.Image) -> Frame:
    mode = image.mode
    if mode in _DEEP_GREY:
        deep = np.asarray(image).astype(np.uint16)  # also turns big-endian into native
        return deep.reshape(image.height, image.width, 1)
    if mode in {"P", "PA"}:
        return _expanded(image)
    if mode not in _CHANNELS:
        raise PhotoError(reasons.UNSUPPORTED_PIXELS, f"mode {mode}")
    if _CHANNELS[mode] > 1:
        seen = pillowmemory.first_channels(image, _CHANNELS[mode])
        if seen is not None:
            return seen
    plain = image.convert("L") if mode == "1" else image
    values = np.asarray(plain).reshape(image.height, image.width, -1)
    return np.ascontiguousarray(values[..., : _CHANNELS[mode]])


def stored_values(image: Image.Image) -> Frame:
    """Return the samples of a loaded image as its file stores them, alpha and all.

    Returns
    -------
    (height, width, samples) uint8 or uint16
        Palette images give their indices, one-bit images 0 and 1.
    """
    values = np.asarray(image).reshape(image.height, image.width, -1)
    return values.astype(np.uint16) if image.mode in _DEEP_GREY else values.astype(np.uint8)


def palette_of(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Return the colours of a palette image, (256, 3) uint8 RGB, zeros where it has no more."""
    flat = np.zeros(768, np.uint8)
    colours = np.frombuffer(bytes(image.getpalette("RGB") or ()), np.uint8)
    flat[: len(colours)] = colours
    return flat.reshape(256, 3)


def _expanded(image: Image.Image) -> npt.NDArray[np.uint8]:
    indices = np.asarray(image)
    indices = indices[..., 0] if image.mode == "PA" else indices
    expanded: npt.NDArray[np.uint8] = palette_of(image)[indices]
    return expanded


def _refusal(error: Exception) -> PhotoError:
    message = str(error)
    if isinstance(error, MemoryError):
        return PhotoError(reasons.TOO_LARGE, "not enough memory", may_pass=True)
    if isinstance(error, UnidentifiedImageError):
        return PhotoError(reasons.DAMAGED, "the header cannot be read")
    if "runcated" in message:
        return PhotoError(reasons.TRUNCATED, message)
    # Pillow's own errors have no number: the bytes are at hand, so this is of the machine
    may_pass = isinstance(error, OSError) and error.errno is not None
    return PhotoError(
        reasons.DAMAGED, f"{type(error).__name__}: {message}"[:200], may_pass=may_pass
    )
