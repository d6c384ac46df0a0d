"""Pillow's own memory seen through the Arrow C data interface, so that it is not copied.

``np.asarray(image)`` packs the pixels into bytes and copies those, which takes as long as decoding
a JPEG. Pillow exports the memory itself when the image lies in one block: four bytes a pixel,
whatever the mode.
https://arrow.apache.org/docs/format/CDataInterface.html
"""

import ctypes

import numpy as np
import numpy.typing as npt
from PIL import Image, _imaging

_BYTES_A_PIXEL = 4

# One block for images up to 64 megapixels; two freed blocks (512 MiB at most) are kept for the next
# photos, because fresh memory costs a fifth of a decode.
_imaging.set_block_size(1 << 28)
_imaging.set_blocks_max(2)


def keep_blocks(count: int) -> None:
    """Keep the memory of so many freed images for the next ones; 2 is what a daemon needs."""
    _imaging.set_blocks_max(count)


class _Pixels:
    """Pillow's memory for numpy, which holds this for as long as it shows a part of it."""

    def __init__(
        self, address: int, shape: tuple[int, int, int], owners: tuple[object, ...]
    ) -> None:
        read_only = True
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": "|u1",
            "data": (address, read_only),
        }
        self._owners = owners


class _ArrowArray(ctypes.Structure):
    pass


_ArrowArray._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_ArrowArray))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = ctypes.c_void_p
_capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


def first_channels(image: Image.Image, channels: int) -> npt.NDArray[np.uint8] | None:
    """Return the first channels of a loaded image of three or four 8-bit channels.

    Returns
    -------
    (height, width, channels) uint8, or None
        Read-only, four bytes from pixel to pixel; it keeps the image's memory alive. None where
        Pillow cannot export the image as it is.
    """
    try:
        capsules = image.__arrow_c_array__()  # they keep the memory alive
    except (ValueError, MemoryError):
        return None
    array = ctypes.cast(
        _capsule_pointer(capsules[1], b"arrow_array"), ctypes.POINTER(_ArrowArray)
    ).contents
    size = image.width * image.height * _BYTES_A_PIXEL
    if array.n_children != 1 or array.offset or array.children[0].contents.length != size:
        return None
    address = array.children[0].contents.buffers[1]
    if not address:
        return None
    shape = (image.height, image.width, _BYTES_A_PIXEL)
    pixels: npt.NDArray[np.uint8] = np.asarray(_Pixels(address, shape, (*capsules, image)))
    return pixels[..., :channels]
