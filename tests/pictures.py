"""Small pictures for tests: smooth scenes with grain, in any mode, encoded by Pillow."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

MAX_PIXELS = 10_000_000


def scene(height: int, width: int, channels: int, *, seed: int = 1) -> npt.NDArray[np.uint8]:
    """Return a scene of smooth slopes with grain, (height, width, channels) uint8."""
    generator = np.random.default_rng(seed)
    rows = np.linspace(0, 2, height)[:, None, None]
    columns = np.linspace(0, 3, width)[None, :, None]
    phases = generator.uniform(0, 6, channels)
    slopes = 128 + 90 * np.sin(rows + columns + phases)
    grain = generator.normal(0, 3, (height, width, channels))
    return np.clip(slopes + grain, 0, 255).round().astype(np.uint8)


def image(mode: str, size: tuple[int, int] = (61, 43), *, seed: int = 1) -> Image.Image:
    """Return a picture of any mode that Pillow writes; size is (width, height)."""
    width, height = size
    if mode == "I;16":
        deep = scene(height, width, 1, seed=seed)[..., 0].astype(np.uint16) * 257 + 3
        return Image.fromarray(deep)
    if mode in {"1", "P"}:
        return Image.fromarray(scene(height, width, 3, seed=seed)).convert(mode)
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    return Image.frombytes(mode, size, scene(height, width, channels, seed=seed).tobytes())


def encoded(picture: Image.Image, container: str, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's
    """Return the bytes of a picture file."""
    stream = io.BytesIO()
    picture.save(stream, container, **options)
    return stream.getvalue()


def exif(**overrides: str) -> Image.Exif:
    """Return the EXIF of a camera with a serial."""
    block = Image.Exif()
    block[0x010F] = overrides.get("make", "Maker")
    block[0x0110] = overrides.get("model", "Model One")
    block[0x0112] = 6
    details = block.get_ifd(0x8769)
    details[0x9003] = overrides.get("taken", "2024:05:06 07:08:09")
    details[0x9011] = overrides.get("offset", "+02:00")
    details[0x9291] = "25"
    details[0x8827] = 800
    details[0x829A] = 0.02
    details[0xA431] = overrides.get("serial", "A 123")
    return block
