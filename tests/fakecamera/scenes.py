"""What the fake camera looks at: crops of scikit-image's small photos, skies, walls."""

import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage
from PIL import Image

Scene = npt.NDArray[np.float32]  # (height, width, 3), linear light, 1 = full scale at ISO 100

_NAMES = (
    "astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "retina.jpg",
    "hubble_deep_field.jpg", "motorcycle_left.png", "motorcycle_right.png", "brick.png",
    "grass.png", "gravel.png", "ihc.png", "camera.png", "color.png", "moon.png", "coins.png",
)  # fmt: skip


@functools.cache
def _photo(name: str) -> Image.Image:
    with Image.open(Path(skimage.__file__).parent / "data" / name) as image:
        return image.convert("RGB")


def _cover(rng: np.random.Generator, height: int, width: int) -> Scene:
    """A photo's crop, turned and scaled, mirrored where it is too small."""
    photo = _photo(str(rng.choice(_NAMES)))
    photo = photo.transpose(Image.Transpose(int(rng.integers(0, 7))))
    zoom = float(rng.uniform(0.7, 2.2))
    wanted = (int(np.ceil(width / zoom)), int(np.ceil(height / zoom)))
    size = (min(wanted[0], photo.width), min(wanted[1], photo.height))
    left = int(rng.integers(0, photo.width - size[0] + 1))
    top = int(rng.integers(0, photo.height - size[1] + 1))
    box = (left, top, left + size[0], top + size[1])
    pixels = np.asarray(
        photo.resize(
            (round(size[0] * zoom), round(size[1] * zoom)), Image.Resampling.BICUBIC, box=box
        )
    )
    short = (max(0, height - pixels.shape[0]), max(0, width - pixels.shape[1]))
    pixels = np.pad(pixels, ((0, short[0]), (0, short[1]), (0, 0)), mode="symmetric")
    linear: Scene = _LINEAR[pixels[:height, :width]]
    return linear


_LINEAR = ((np.arange(256) / 255) ** 2.2).astype(np.float32)


def smooth_noise(rng: np.random.Generator, height: int, width: int, cell_px: int) -> Scene:
    """Return noise (height, width) of unit spread with structures of about ``cell_px``."""
    small = rng.standard_normal((height // cell_px + 2, width // cell_px + 2)).astype(np.float32)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _texture(rng: np.random.Generator, height: int, width: int) -> Scene:
    grain = smooth_noise(rng, height, width, 40)
    for cell_px, weight in ((2, 0.3), (5, 0.4)):
        grain = grain + np.float32(weight) * smooth_noise(rng, height, width, cell_px)
    colour = rng.uniform(0.3, 1.0, 3).astype(np.float32)
    return np.asarray(0.25 * np.exp(0.5 * grain)[..., None] * colour, dtype=np.float32)


def _sky(rng: np.random.Generator, height: int, width: int) -> Scene:
    top, bottom = rng.uniform(0.15, 0.9, 2)
    gradient = np.linspace(top, bottom, height, dtype=np.float32)[:, None]
    clouds = 1 + 0.15 * smooth_noise(rng, height, width, 60)
    blue = np.array([0.75, 0.88, 1.0], np.float32)
    return np.asarray((gradient * clouds)[..., None] * blue, dtype=np.float32)


def varied(rng: np.random.Generator, height: int, width: int) -> Scene:
    """Return one more different scene, as an ordinary day of photos would have it."""
    draw = rng.random()
    if draw < 0.6:
        scene = _cover(rng, height, width)
    elif draw < 0.8:
        scene = _cover(rng, height, width)
        horizon = height * (0.4 + 0.05 * smooth_noise(rng, 2, width, 40)[0])
        above = np.arange(height)[:, None] < horizon[None, :]
        scene = np.where(above[..., None], _sky(rng, height, width), scene)
    elif draw < 0.9:
        scene = _texture(rng, height, width)
    else:
        scene = _sky(rng, height, width)
    scene = scene * np.exp2(rng.normal(-0.3, 0.6)).astype(np.float32)
    scene = scene * rng.uniform(0.85, 1.15, 3).astype(np.float32)
    return np.asarray(scene + np.float32(0.003), dtype=np.float32)
