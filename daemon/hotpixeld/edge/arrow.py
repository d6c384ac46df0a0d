"""Pillow's own memory seen through the Arrow C data interface, so that it is copied only once.

``np.asarray(image)`` packs the pixels into bytes and copies those. Pillow exports the memory
itself when the image lies in one block: four bytes a pixel, whatever the mode.
https://arrow.apache.org/docs/format/CDataInterface.html
"""

import ctypes

import numpy as np
import numpy.typing as npt
from PIL import Image, _imaging

_BYTES_A_PIXEL = 4
_BAND_ROWS = 64

# One block for images up to 256 megapixels; two freed blocks are kept for the next photos, because
# fresh memory costs a fifth of a decode.
_imaging.set_block_size(1 << 30)
_imaging.set_blocks_max(2)


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
        C order, memory of its own; None where Pillow cannot export the image as it is.
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
    memory = (ctypes.c_uint8 * size).from_address(array.children[0].contents.buffers[1])
    pixels = np.ctypeslib.as_array(memory).reshape(image.height, image.width, _BYTES_A_PIXEL)
    copied = np.empty((image.height, image.width, channels), np.uint8)
    for top in range(0, image.height, _BAND_ROWS):
        for channel in range(channels):  # numpy copies whole rows of one channel fastest
            copied[top : top + _BAND_ROWS, :, channel] = pixels[top : top + _BAND_ROWS, :, channel]
    return copied
