"""Small JPEG files of every coding that the repair must know, made with Pillow, and their truth."""

import functools
import io
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import jpeglib
import numpy as np
import numpy.typing as npt
import skimage.data
from PIL import Image

from hotpixeld.core.jpeg.markers import read_layout
from hotpixeld.core.jpeg.parse import Header, read_header
from hotpixeld.core.patch import Patch

Coefficients = list[npt.NDArray[np.int16]]

#: Odd on purpose: no multiple of any MCU.
WIDTH, HEIGHT = 157, 101


def spots(width: int, height: int) -> list[tuple[int, int]]:
    """Return where a scene has its spots: corners, across a block corner, within a block."""
    inner = [(15, 31), (15, 32), (16, 31), (16, 32), (20, 60)]
    corners = [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)]
    return sorted({*corners, *((r, c) for r, c in inner if r < height and c < width)})


@functools.cache
def scene(mode: str = "RGB", width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Return a piece of a real photo with bright spots."""
    photo = np.array(clean_scene("RGB", width, height))
    for place in spots(width, height):
        photo[place] = 255
    return Image.fromarray(photo).convert(mode)


@functools.cache
def clean_scene(mode: str = "RGB", width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Return the same piece without the spots."""
    photo: npt.NDArray[np.uint8] = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    return Image.fromarray(photo).crop((60, 0, 60 + width, height)).convert(mode)


def encoded(image: Image.Image, **options: object) -> bytes:
    """Return ``image`` as a JPEG file."""
    held = io.BytesIO()
    image.save(held, "JPEG", **options)
    return held.getvalue()


def camera_like() -> bytes:
    """Return a JPEG with what cameras put round the picture, a second image after EOI included."""
    plain = encoded(scene(), quality=93, subsampling=1, icc_profile=bytes(70000))
    segments = [
        (0xE1, b"Exif\0\0" + bytes(range(256))),
        (0xED, b"Photoshop 3.0\0" + bytes(30)),
        (0xFE, b"a comment \xff\xd9 that looks like an end"),
    ]
    extra = b"".join(
        bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload
        for marker, payload in segments
    )
    second = encoded(scene("L"), quality=50)
    return plain[:2] + extra + plain[2:] + second + b"vendor trailer \xff\xd8\xff\x00"


def two_images() -> bytes:
    """Return an MPO file: two images and an index of their offsets."""
    held = io.BytesIO()
    scene().save(held, "MPO", save_all=True, append_images=[scene("RGB", 90, 80)], quality=92)
    return held.getvalue()


VARIANTS: dict[str, Callable[[], bytes]] = {
    "4:2:0": lambda: encoded(scene(), quality=90, subsampling=2),
    "4:2:2": lambda: encoded(scene(), quality=97, subsampling=1),
    "4:4:4": lambda: encoded(scene(), quality=93, subsampling=0),
    "coarse": lambda: encoded(scene(), quality=40, subsampling=2),
    "optimised": lambda: encoded(scene(), quality=90, subsampling=2, optimize=True),
    "restart by blocks": lambda: encoded(scene(), quality=90, restart_marker_blocks=3),
    "restart by rows": lambda: encoded(scene(), quality=90, subsampling=1, restart_marker_rows=1),
    "grey": lambda: encoded(scene("L"), quality=92),
    "grey with restarts": lambda: encoded(scene("L"), quality=92, restart_marker_blocks=1),
    "CMYK": lambda: encoded(scene("CMYK"), quality=90),
    "CMYK 4:2:0": lambda: encoded(scene("CMYK"), quality=90, subsampling=2),
    "RGB": lambda: encoded(scene(), quality=90, keep_rgb=True),
    "camera-like": camera_like,
    "MPO": two_images,
    "one block": lambda: encoded(scene(width=5, height=3), quality=95),
    "several chunks": lambda: encoded(scene(width=400, height=500), quality=97, subsampling=1),
}


def header_of(data: bytes) -> Header:
    """Read the markers of a JPEG file."""
    return read_header(data, read_layout(data))


def frame_of(data: bytes) -> npt.NDArray[np.uint8]:
    """Decode the first image, (height, width, channels)."""
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1)


def coefficients(data: bytes) -> Coefficients:
    """Read every component's coefficients by an independent decoder, (rows, columns, 8, 8)."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        path.write_bytes(data)
        read = jpeglib.read_dct(str(path))
        planes = (read.Y, read.Cb, read.Cr, getattr(read, "K", None))
        return [plane.copy() for plane in planes if plane is not None]


def spotless(frame: npt.NDArray[np.uint8]) -> Patch:
    """Return the patch that takes the spots out of a scene's frame."""
    height, width, channels = frame.shape
    rows, columns = (np.array(axis, np.intp) for axis in zip(*spots(width, height), strict=True))
    clean = np.asarray(clean_scene({1: "L", 3: "RGB", 4: "CMYK"}[channels], width, height))
    return Patch(rows, columns, clean.reshape(frame.shape)[rows, columns])


def patch_at(frame: npt.NDArray[np.uint8], places: list[tuple[int, int]], change_dn: int) -> Patch:
    """Return a patch that moves the given pixels' values by ``change_dn`` within their range."""
    rows, columns = (np.array(axis, np.intp) for axis in zip(*places, strict=True))
    values = np.clip(frame[rows, columns].astype(int) + change_dn, 0, 255).astype(np.uint8)
    return Patch(rows, columns, values)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip some bits, drop, double or overwrite a few bytes, mostly in the header."""
    changed = bytearray(data)
    end = len(changed) if rng.random() < 0.5 else min(len(changed), 700)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, end))
        action = int(rng.integers(0, 5))
        if action <= 1:
            changed[at % len(changed)] ^= 1 << int(rng.integers(0, 8))
        elif action == 2:
            del changed[at : at + int(rng.integers(1, 9))]
        elif action == 3:
            changed[at:at] = bytes(rng.integers(0, 256, int(rng.integers(1, 5)), np.uint8))
        else:
            changed[at : at + 2] = bytes((0xFF, int(rng.integers(0, 256))))
    return bytes(changed)
