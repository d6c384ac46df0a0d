"""The three original programs, written anew from what is known of them: the rivals.

1. Correct: x,y becomes the weighted mean of its eight neighbours, diagonal ones weighing 1/sqrt 2;
   saved as ``c_NAME``, quality 97.
2. Find: a running mean and sum of squared differences of every subpixel (Welford), in float64 over
   whole arrays; the least, greatest and mean variance, and the ten least.
3. Find in parallel: the photos dealt over processes, whose parts are just added.

``python -m benchmarks.original`` with ``correct PHOTO X Y``, ``find PHOTO…``, ``parallel N PHOTO…``
or ``decode PHOTO…``; ``decode`` is the limit: Pillow's fast path, and nothing done with the pixels.
"""

import math
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, _imaging

Array = npt.NDArray[np.float64]


def correct(photo: Path, x: int, y: int) -> None:
    """Repair one pixel of one photo."""
    image = Image.open(photo).convert("RGB")
    total, weights = np.zeros(3), 0.0
    for across in (-1, 0, 1):
        for down in (-1, 0, 1):
            if across or down:
                weight = 1 / math.hypot(across, down)
                neighbour: Any = image.getpixel((x + across, y + down))
                total += weight * np.array(neighbour)
                weights += weight
    red, green, blue = (round(value) for value in (total / weights).tolist())
    image.putpixel((x, y), (red, green, blue))
    image.save(photo.with_name(f"c_{photo.name}"), quality=97)


def accumulated(photos: Sequence[Path]) -> tuple[int, Array, Array]:
    """Return count, mean and sum of squared differences."""
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for photo in photos:
        image = np.asarray(Image.open(photo)).astype(np.float64)
        if count == 0:
            mean, squares = np.zeros_like(image), np.zeros_like(image)
        elif image.shape != mean.shape:
            print(f"{photo}: another shape")
            continue
        count += 1
        delta = image - mean
        mean += delta / count
        squares += delta * (image - mean)
    return count, mean, squares


def find(photos: Sequence[Path]) -> None:
    """Print the least varying subpixels."""
    count, _, squares = accumulated(photos)
    _tell(squares / count)


def parallel(photos: Sequence[Path], processes: int) -> None:
    """Print the least varying subpixels, by several processes."""
    with multiprocessing.Pool(processes) as pool:
        parts = pool.map(accumulated, [photos[part::processes] for part in range(processes)])
    total = sum(count for count, _, _ in parts)
    squares = parts[0][2]
    for _, _, part in parts[1:]:
        squares += part
    _tell(squares / total)


def _tell(variance: Array) -> None:
    print(f"least {variance.min()} greatest {variance.max()} mean {variance.mean()}")
    for at in np.argpartition(variance.ravel(), 10)[:10]:
        row, column, channel = np.unravel_index(at, variance.shape)
        print(column, row, channel, variance[row, column, channel])


def decode(photos: Sequence[Path]) -> None:
    """Decode every photo the fastest way that Pillow has."""
    _imaging.set_block_size(1 << 30)
    _imaging.set_blocks_max(2)
    for photo in photos:
        Image.open(photo).load()


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "correct":
        correct(Path(arguments[0]), int(arguments[1]), int(arguments[2]))
    elif what == "parallel":
        parallel([Path(name) for name in arguments[1:]], int(arguments[0]))
    else:
        {"find": find, "decode": decode}[what]([Path(name) for name in arguments])
