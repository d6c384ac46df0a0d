"""Pillow's own memory: seen without a copy, and used again for the next photo.

``np.asarray(image)`` packs the pixels into bytes and copies those, which takes as long as decoding
a JPEG. Pillow exports the memory itself through the Arrow C data interface when the image lies in
one block: four bytes a pixel, whatever the mode.
https://arrow.apache.org/docs/format/CDataInterface.html

Fresh memory costs a fifth of a decode, cleared memory a thirtieth, and memory in pages of 4 KiB a
twentieth. So a frame's memory is lent to the next photo of its size as it is, in large pages.
"""

import ctypes
import mmap
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, _imaging

_BYTES_A_PIXEL = 4

Memory = Any  # Pillow's own image, which has no type at run time
_Pixels = npt.NDArray[np.uint8]

# One block for images up to 64 megapixels. Pillow itself keeps one for those that are lent none.
_imaging.set_block_size(1 << 28)
_imaging.set_blocks_max(1)
_DAEMON_KEEPS = 2  # 512 MiB at most
_LARGE_PAGES = getattr(mmap, "MADV_HUGEPAGE", None)


class _Spares:
    """Memory of frames that nobody sees any more. What threads do to a deque needs no lock."""

    def __init__(self, most: int) -> None:
        self.held: deque[Memory] = deque(maxlen=most)

    def take(self, mode: str, size: tuple[int, int]) -> Memory | None:
        """Return some for this mode and size, of which nobody else knows now; else None."""
        for _ in range(len(self.held)):
            try:
                memory = self.held.popleft()
            except IndexError:  # another thread was faster
                break
            if (memory.mode, memory.size) == (mode, size):
                return memory
            self.held.append(memory)
        return None

    def give_back(self, memory: Memory) -> None:
        """Keep it for the next frame, in place of the oldest."""
        self.held.append(memory)


_spares = _Spares(_DAEMON_KEEPS)


def keep(count: int) -> None:
    """Keep the memory of so many frames for the next ones, and no more; a daemon needs two."""
    _imaging.set_blocks_max(min(count, 1))
    _spares.held = deque(_spares.held, maxlen=count)


def lend(image: Image.Image) -> None:
    """Have ``image``, not decoded yet, decoded into the memory of a frame that nobody sees.

    Once decoded it is for `lent_channels` only: its pixels change when that frame is gone.
    """
    image.im = _spares.take(image.mode, image.size) or _in_large_pages(image.mode, image.size)


def lent_channels(image: Image.Image, channels: int) -> _Pixels | None:
    """Return `first_channels` of an image that was lent memory, and get that back after them."""
    memory = image.im
    return _channels(image, channels, lambda: _spares.give_back(memory))


def first_channels(image: Image.Image, channels: int) -> _Pixels | None:
    """Return the first channels of a loaded image of three or four 8-bit channels.

    Returns
    -------
    (height, width, channels) uint8, or None
        Read-only, four bytes from pixel to pixel; it keeps the image's memory alive. None where
        Pillow cannot export the image as it is.
    """
    return _channels(image, channels, lambda: None)


def _channels(image: Image.Image, channels: int, when_gone: Callable[[], None]) -> _Pixels | None:
    exported = _exported(image)
    if exported is None:
        return None
    shape = (image.height, image.width, _BYTES_A_PIXEL)
    pixels: _Pixels = np.asarray(_Seen(exported, shape, when_gone))
    return pixels[..., :channels]


def _in_large_pages(mode: str, size: tuple[int, int]) -> Memory:
    """Return fresh memory, in pages of 2 MiB where the system has them."""
    image = Image.new(mode, size, None)
    exported = _exported(image)
    if exported is not None and _LARGE_PAGES is not None:
        start = -(-exported.address // mmap.PAGESIZE) * mmap.PAGESIZE
        length = exported.address + image.width * image.height * _BYTES_A_PIXEL - start
        if length > 0:
            _madvise(start, length, _LARGE_PAGES)
    return image.im


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
_madvise = ctypes.CDLL(None).madvise
_madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


@dataclass(frozen=True)
class _Exported:
    """Where an image's pixels stand; they stay there while this is held."""

    address: int
    owners: tuple[object, ...]


def _exported(image: Image.Image) -> _Exported | None:
    try:
        capsules = image.__arrow_c_array__()
    except (ValueError, MemoryError):
        return None
    array = ctypes.cast(
        _capsule_pointer(capsules[1], b"arrow_array"), ctypes.POINTER(_ArrowArray)
    ).contents
    size = image.width * image.height * _BYTES_A_PIXEL
    if array.n_children != 1 or array.offset or array.children[0].contents.length != size:
        return None
    address = array.children[0].contents.buffers[1]
    return _Exported(address, (*capsules, image)) if address else None


class _Seen:
    """Pillow's memory for numpy, which holds this for as long as it shows a part of it."""

    def __init__(
        self, exported: _Exported, shape: tuple[int, int, int], when_gone: Callable[[], None]
    ) -> None:
        read_only = True
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": "|u1",
            "data": (exported.address, read_only),
        }
        self._exported = exported
        self._when_gone = when_gone

    def __del__(self) -> None:
        self._when_gone()
