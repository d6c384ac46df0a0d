"""Repair beside its rivals: squared error round a defect, and time and memory for 24 megapixels.

``python -m benchmarks.repair``; every figure comes from this run.
"""

import io
import shutil
import subprocess
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import numpy.typing as npt
import skimage.data
from PIL import Image, JpegImagePlugin
from skimage.restoration import inpaint_biharmonic

from fakecamera import Defect, Development, FakeCamera, Shot
from hotpixeld.core.defects import Candidate
from hotpixeld.core.jpeg import repair_blocks
from hotpixeld.core.moments import Moments
from hotpixeld.core.patch import Patch
from hotpixeld.core.rank import rank
from hotpixeld.core.repair import footprint_at, repair_patch

Frame = npt.NDArray[np.uint8]
Place = tuple[int, int]

DEVELOPMENTS = (
    Development("bilinear", 0.5, 0.0, 92, "4:2:0"),
    Development("gradient", 0.8, 0.5, 85, "4:2:0"),
    Development("gradient", 0.5, 0.0, 95, "4:2:2"),
    Development("bilinear", 0.0, 0.0, 97, "4:4:4"),
)
TRAINING, TESTED = 36, 4
VISIBLE_DN = 20  # at the defect; fainter ones are left out of the table
NONE = "doing nothing"


def main() -> None:
    """Print the tables."""
    print(quality_table())
    print()
    print(speed_table())


# --- quality


def quality_table(developments: Sequence[Development] = DEVELOPMENTS) -> str:
    """Return the squared errors of all ways, relative to the best rival's."""
    errors: defaultdict[str, list[float]] = defaultdict(list)
    for seed, development in enumerate(developments):
        camera = FakeCamera(
            400, 300, seed=70 + seed, defects=some_defects(seed), development=development
        )
        shots = camera.shoot(TRAINING + TESTED)
        learned = found_defects(shots[:TRAINING], camera.defects)
        for shot in shots[TRAINING:]:
            _add_errors(errors, shot, learned)
    nothing = np.array(errors[NONE])
    rivals = [name for name in errors if name.startswith("rival")]
    best = min(np.mean(errors[name]) for name in rivals)
    lines = [
        f"{len(nothing)} cases, {len(developments)} simulated cameras; mean squared error (MSE) in",
        "the 9x9 round the defect against the same photo without it.",
        "",
        "| way | MSE | / best rival | worse than nothing |",
        "|---|---|---|---|",
    ]
    for name, values in errors.items():
        worse = 100 * np.mean(np.array(values) > nothing)
        mean = np.mean(values)
        lines.append(f"| {name} | {mean:.1f} | {mean / best:.2f} | {worse:.1f} % |")
    return "\n".join(lines)


def some_defects(seed: int) -> tuple[Defect, ...]:
    """Return defects some 40 pixels apart: hot, stuck and dead."""
    rng = np.random.default_rng([5, seed])
    found = []
    for row in range(20, 290, 40):
        for column in range(20, 390, 40):
            at = (row + int(rng.integers(-6, 7)), column + int(rng.integers(-6, 7)))
            draw = rng.random()
            if draw < 0.6:
                offset = float(np.exp(rng.uniform(np.log(0.01), np.log(0.3))))
                found.append(Defect(*at, "hot", offset=offset))
            elif draw < 0.85:
                found.append(Defect(*at, "stuck", level=float(rng.uniform(0, 1))))
            else:
                found.append(Defect(*at, "dead", response=float(rng.uniform(0, 0.6))))
    return tuple(found)


def found_defects(shots: Sequence[Shot], truth: Sequence[Defect]) -> dict[Place, Candidate]:
    """Rank the photos; return the candidates that stand at a true defect, by its place."""
    moments = Moments.empty(shots[0].frame.shape, 8)
    moments.fold([shot.frame for shot in shots])
    candidates = rank([moments]).candidates
    found = {}
    for defect in truth:
        near = [
            c for c in candidates
            if abs(c.row - defect.row) <= 2 and abs(c.column - defect.column) <= 2
        ]  # fmt: skip
        if near:
            found[defect.row, defect.column] = near[0]
    return found


def _add_errors(
    errors: defaultdict[str, list[float]], shot: Shot, learned: dict[Place, Candidate]
) -> None:
    frame, clean = shot.frame.astype(np.uint8), shot.clean_frame.astype(int)
    places = list(learned)
    footprints = [learned[place].footprint for place in places]
    chosen = [footprint_at(frame, *place) for place in places]
    alone = repair_patch(frame, chosen, when="always")
    shown = repair_patch(frame, footprints, when="visible")
    always = repair_patch(frame, footprints, when="always")
    telea, stokes = (inpainted(frame, places, way) for way in (cv2.INPAINT_TELEA, cv2.INPAINT_NS))
    ways = {
        NONE: frame,
        "rival: original corrector, saved at q97": saved(original(frame, places), quality=97),
        "rival: original corrector's pixels": original(frame, places),
        "rival: Telea, 3x3, pixels": telea,
        "rival: Navier-Stokes, 3x3, pixels": stokes,
        "rival: biharmonic, 3x3, pixels": biharmonic(frame, places),
        "Navier-Stokes, saved with the same tables": saved(stokes, like=shot.jpeg),
        "`correct`, pixels": alone.applied_to(frame),
        "`correct`, blocks": decoded(repair_blocks(shot.jpeg, alone)),
        "learned, always, pixels": always.applied_to(frame),
        "learned, visible, pixels": shown.applied_to(frame),
        "learned, visible, blocks": decoded(repair_blocks(shot.jpeg, shown)),
    }
    for row, column in places:
        core = np.s_[row - 1 : row + 2, column - 1 : column + 2]
        if np.abs(frame[core] - clean[core]).max() < VISIBLE_DN:
            continue
        around = np.s_[row - 4 : row + 5, column - 4 : column + 5]
        for name, picture in ways.items():
            errors[name].append(float(np.mean((picture[around].astype(int) - clean[around]) ** 2)))


def original(frame: Frame, places: Sequence[Place]) -> Frame:
    """Repair as the first program did: the weighted mean of the eight neighbours."""
    weights = np.array([[0.5**0.5, 1, 0.5**0.5], [1, 0, 1], [0.5**0.5, 1, 0.5**0.5]])
    result = frame.copy()
    for row, column in places:
        around = frame[row - 1 : row + 2, column - 1 : column + 2]
        result[row, column] = np.einsum("yx,yxc->c", weights, around) / weights.sum()
    return result


def _mask(frame: Frame, places: Sequence[Place]) -> Frame:
    mask = np.zeros(frame.shape[:2], np.uint8)
    for row, column in places:
        mask[row - 1 : row + 2, column - 1 : column + 2] = 1
    return mask


def inpainted(frame: Frame, places: Sequence[Place], way: int) -> Frame:
    """Inpaint 3x3 round each place with OpenCV."""
    return np.asarray(cv2.inpaint(frame, _mask(frame, places), 3, way), np.uint8)


def biharmonic(frame: Frame, places: Sequence[Place]) -> Frame:
    """Inpaint 3x3 round each place with scikit-image."""
    mask = _mask(frame, places).astype(bool)
    filled = inpaint_biharmonic(frame / 255, mask, channel_axis=-1)
    result: Frame = np.clip(np.rint(255 * filled), 0, 255).astype(np.uint8)
    return result


def saved(frame: Frame, *, quality: int = 97, like: bytes | None = None) -> Frame:
    """Return the frame after Pillow has saved it as JPEG."""
    held = io.BytesIO()
    if like is None:
        Image.fromarray(frame).save(held, "JPEG", quality=quality)
    else:
        with Image.open(io.BytesIO(like)) as other:
            tables, sampling = other.quantization, JpegImagePlugin.get_sampling(other)  # type: ignore[attr-defined]
        Image.fromarray(frame).save(held, "JPEG", qtables=tables, subsampling=sampling)
    return decoded(held.getvalue())


def decoded(data: bytes) -> Frame:
    """Decode a JPEG."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


# --- speed


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
    if shutil.which("jpegpixi"):
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
