"""Time and memory of the repair of 24 megapixels.

``python -m benchmarks.repairtime``; every figure comes from this run.
"""

import io
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import skimage.data
from PIL import Image

from benchmarks.rivals import JPEGPIXI, Frame, Place, decoded
from hotpixeld.core.jpeg.rewrite import repair_blocks
from hotpixeld.core.patch import Patch
from hotpixeld.core.repair import footprint_at, repair_patch


def main() -> None:
    """Print the table."""
    print(speed_table())


def speed_table() -> str:
    """Return time and memory for 24 megapixels and 50 defects."""
    places = _fifty_places()
    around = [(r + dr, c + dc) for r, c in places for dr in (-1, 0, 1) for dc in (-1, 0, 1)]
    rows, columns = (np.array(axis, np.intp) for axis in zip(*around, strict=True))
    picture = large_picture()
    patch = Patch(rows, columns, picture[rows, columns])
    picture[rows, columns] = np.minimum(picture[rows, columns].astype(int) + 100, 255)
    data = encoded(picture)
    frame = decoded(data)
    pillow = seconds(lambda: _decode_and_save(data))
    blocks = seconds(lambda: repair_blocks(data, patch))
    choosing = seconds(
        lambda: repair_patch(frame, [footprint_at(frame, *p) for p in places], when="always")
    )
    lines = [
        f"24 megapixels, {len(data) / 1e6:.1f} MB, 50 defects of 3x3; CPU time, best of 3",
        "",
        "| way | seconds | / Pillow decode + save |",
        "|---|---|---|",
        f"| Pillow decode + save with the same tables | {pillow:.2f} | 1 |",
        f"| repair of the touched blocks, checked | {blocks:.2f} | {blocks / pillow:.2f} |",
        f"| choosing the footprints and filling them | {choosing:.2f} | {choosing / pillow:.2f} |",
    ]
    if JPEGPIXI:
        rival = _jpegpixi_seconds(data, places)
        lines.append(f"| jpegpixi, 50 pixels (wall) | {rival:.2f} | {rival / pillow:.2f} |")
    tracemalloc.start()
    repair_blocks(data, patch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    lines += ["", f"Greatest memory of the repair beyond the file itself: {peak / 1e6:.0f} MB"]
    return "\n".join(lines)


def large_picture() -> Frame:
    """Return 24 megapixels of photos with noise."""
    rng = np.random.default_rng(3)
    photos = (skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea())  # type: ignore[no-untyped-call]
    picture = Image.new("RGB", (6000, 4000))
    for number, (left, top) in enumerate(
        (x, y) for y in range(0, 4000, 1000) for x in range(0, 6000, 1000)
    ):
        tile = Image.fromarray(photos[number % len(photos)]).resize(
            (1000, 1000), Image.Resampling.LANCZOS
        )
        noisy = np.asarray(tile) + rng.normal(0, 1.5, (1000, 1000, 1))
        picture.paste(Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)), (left, top))
    return np.array(picture)


def encoded(frame: Frame) -> bytes:
    """Return the frame as a JPEG of quality 97, 4:2:2."""
    held = io.BytesIO()
    Image.fromarray(frame).save(held, "JPEG", quality=97, subsampling=1)
    return held.getvalue()


def _fifty_places() -> list[Place]:
    rng = np.random.default_rng(4)
    return [(int(rng.integers(5, 3995)), int(rng.integers(5, 5995))) for _ in range(50)]


def seconds(work: Callable[[], object]) -> float:
    """Return the least CPU time of three runs."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def _decode_and_save(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        image.save(io.BytesIO(), "JPEG", qtables=image.quantization, subsampling=1)  # type: ignore[attr-defined]


def _jpegpixi_seconds(data: bytes, places: Sequence[Place]) -> float:
    with TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.jpg", Path(folder) / "after.jpg"
        before.write_bytes(data)
        pixels = [f"{column},{row}" for row, column in places]
        start = time.perf_counter()
        subprocess.run(
            ["jpegpixi", str(before), str(after), *pixels], check=True, capture_output=True
        )
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
