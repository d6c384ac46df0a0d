"""Camera-like JPEGs of any size from the photos that scikit-image brings, with fresh noise."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage.data
from PIL import Image

SIZES = {10: (2592, 3888), 24: (4000, 6000)}
STUCK = (1000, 1000)
_SOURCES = ("astronaut", "coffee", "chelsea", "rocket")
_SPREAD_DN = np.array([[20, 60, 20], [60, 150, 60], [20, 60, 20]])  # a photosite after demosaicing
QUALITY = 97  # some 3 bits a pixel; files of real cameras have 2.5 (SX260) to 3.4 (Coolpix L6)


def frame(megapixels: int, seed: int) -> npt.NDArray[np.uint8]:
    """Return a scene (height, width, 3) with noise, and one stuck pixel at `STUCK`."""
    generator = np.random.default_rng(seed)
    height, width = SIZES[megapixels]
    source: npt.NDArray[np.uint8] = getattr(skimage.data, _SOURCES[seed % len(_SOURCES)])()
    part = [int(length * generator.uniform(0.4, 0.9)) for length in source.shape[:2]]
    top, left = (
        int(generator.integers(0, length - some))
        for length, some in zip(source.shape[:2], part, strict=True)
    )
    piece = Image.fromarray(source[top : top + part[0], left : left + part[1]])
    piece = piece.transpose(Image.Transpose(seed % 4))
    scene = np.asarray(piece.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    strip = generator.normal(0, 3, (height, width // 8, 3)).astype(np.int16)
    for number in range(8):
        columns = slice(number * (width // 8), (number + 1) * (width // 8))
        scene[:, columns] += np.roll(strip, 37 * number, axis=0)
    made: npt.NDArray[np.uint8] = np.clip(scene, 0, 255).astype(np.uint8)
    made[STUCK] = 255
    return made


def jpeg(megapixels: int, seed: int, hot: Iterable[tuple[int, int]] = ()) -> bytes:
    """Return a camera-like JPEG: 4:2:2, as dense as a camera's; pixels ``hot`` and those round."""
    held = io.BytesIO()
    made = frame(megapixels, seed)
    for row, column in hot:
        spot = np.s_[row - 1 : row + 2, column - 1 : column + 2]
        made[spot] = np.minimum(made[spot].astype(int) + _SPREAD_DN[..., None], 255)
    Image.fromarray(made).save(held, "JPEG", quality=QUALITY, subsampling=1)
    return held.getvalue()


def write_photos(folder: Path, megapixels: int, count: int) -> list[Path]:
    """Write so many different photos."""
    paths = [folder / f"{megapixels}mp-{seed:04}.jpg" for seed in range(count)]
    for seed, path in enumerate(paths):
        path.write_bytes(jpeg(megapixels, seed))
    return paths
