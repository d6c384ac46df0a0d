"""What a photo costs beyond decoding it: the table of the README, ratios in one run.

Times of one thread are the processor's, so that other programs disturb them little; those of two
jobs, of files and of the daemon are the clock's.
``python -m benchmarks.speed [photos] [runs]`` with ``PYTHONPATH=daemon:tests``.
"""

import io
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from benchmarks.madephotos import QUALITY, jpeg
from benchmarks.timing import Row, cpu_s, wall_s
from benchmarks.whole import whole_rows
from hotpixeld.core import kernel
from hotpixeld.core.moments import Frame, Moments
from hotpixeld.core.rank import rank
from hotpixeld.core.repair import footprint_at, repair_patch
from hotpixeld.core.residual import add_residuals
from hotpixeld.core.spread import bands_of
from hotpixeld.edge import pillowmemory
from hotpixeld.edge.decode import frame_of, load, open_image
from hotpixeld.edge.encode import encode_copy
from hotpixeld.edge.generations import write_generation
from hotpixeld.edge.photo import Photo, read_photo
from hotpixeld.service.correcting import repaired

BATCH = 4
_MOST_PIXELS = 10**9


def main(arguments: Sequence[str] = ()) -> None:
    """Print the table; ``arguments``: photos of each `find` (100), runs (5)."""
    photos = int(arguments[0]) if arguments else 100
    runs = int(arguments[1]) if len(arguments) > 1 else 5
    pillowmemory.keep(BATCH + 2)
    print("| what | bar | measured |")
    print("|---|---|---|")
    for row in _rows(photos, runs):
        print(row, flush=True)


def _rows(photos: int, runs: int) -> Iterator[Row]:
    for megapixels in (10, 24):
        yield from _fold_rows(megapixels, runs)
    yield from _copy_rows(runs)
    yield from _state_rows(runs)
    yield from whole_rows(photos, max(1, runs // 2))


def _add_sums(moments: Moments, frames: Sequence[Frame]) -> None:
    for rows in bands_of(moments.shape[0], 256):
        if (compiled := kernel.chosen()) is None:
            moments._add_sums(frames, rows)
            continue
        sums = moments.sum_dn, moments.sum_squares_dn2
        compiled.fold(frames, *sums, None, rows.start, rows.stop)


def _fold_rows(megapixels: int, runs: int) -> Iterator[Row]:
    files = [jpeg(megapixels, seed) for seed in range(BATCH)]
    frames = [frame_of(load(open_image(data, _MOST_PIXELS))) for data in files]
    height, width, channels = frames[0].shape
    moments = Moments.empty((height, width, channels), 8)
    plain: list[Any] = [np.ascontiguousarray(frame) for frame in frames]
    sums, other = np.zeros((height, width, channels)), np.zeros((height, width, channels))
    narrow, narrow_too = moments.sum_dn, np.ones_like(moments.sum_dn)

    def decode() -> None:
        for data in files:
            Image.open(io.BytesIO(data)).load()

    def residuals() -> None:
        add_residuals(frames, moments.residual)

    def opencv() -> None:
        for frame in plain:
            cv2.accumulate(frame, sums)
            cv2.accumulateSquare(frame, other)

    def bandwidth() -> None:  # read and write as many bytes as the sums have, once a batch
        np.add(narrow, narrow_too, out=narrow)
        np.add(narrow, narrow_too, out=narrow)

    def with_numpy(function: object) -> None:
        with kernel.using(None):
            function()  # type: ignore[operator]

    taken = cpu_s(
        {
            "decode": decode,
            "sums": lambda: _add_sums(moments, frames),
            "residuals": residuals,
            "sums, numpy": lambda: with_numpy(lambda: _add_sums(moments, frames)),
            "opencv": opencv,
            "bandwidth": bandwidth,
        },
        runs,
    ) | cpu_s({"residuals, numpy": lambda: with_numpy(residuals)}, 1)
    one = taken["decode"]
    compiled = "compiled" if kernel.COMPILED is not None else "NOT BUILT"
    yield Row(
        f"{megapixels} MP: sum and sum of squares over decoding alone, {compiled} / numpy",
        "<= 15 % / <= 45 %",
        f"{taken['sums'] / one:.0%} / {taken['sums, numpy'] / one:.0%}",
    )
    yield Row(
        f"{megapixels} MP: the third accumulator besides, {compiled} / numpy",
        "<= 40 % / as measured",
        f"{taken['residuals'] / one:.0%} / {taken['residuals, numpy'] / one:.1f} decodes",
    )
    yield Row(
        f"{megapixels} MP: rivals of the sums: OpenCV accumulate + accumulateSquare; "
        "the memory's own speed, a batch's share",
        "",
        f"{taken['opencv'] / one:.0%}; {taken['bandwidth'] / one:.0%}",
    )


def _copy_rows(runs: int) -> Iterator[Row]:
    generator = np.random.default_rng(5)
    spots = generator.integers(20, 3980, (50, 2)).tolist()
    data = jpeg(24, 1, spots)
    photo = read_photo(data, "a.jpg", max_pixels=_MOST_PIXELS)
    footprints = [footprint_at(photo.frame, row, column) for row, column in spots]

    patch = repair_patch(photo.frame, footprints, when="always")

    def read() -> Photo:
        return read_photo(data, "a.jpg", max_pixels=_MOST_PIXELS)

    def recode(taken: Photo = photo) -> None:
        encode_copy(taken, patch, jpeg="blocks", quality=97)

    def ours() -> None:
        taken = read()
        chosen = repair_patch(taken.frame, footprints, when="always")
        encode_copy(taken, chosen, jpeg="blocks", quality=97)

    def correct() -> None:
        named = [(column, row) for row, column in spots]
        repaired(data, Path("a.jpg"), named, displayed=False, reencode=False)

    def with_numpy() -> None:
        with kernel.using(None):
            recode()

    def pillow() -> None:
        image = Image.open(io.BytesIO(data))
        image.load()
        image.save(io.BytesIO(), "JPEG", quality=QUALITY, subsampling=1)

    def decode() -> None:
        Image.open(io.BytesIO(data)).load()

    taken = cpu_s(
        {
            "whole": ours,
            "read": read,
            "decode": decode,
            "recode": recode,
            "recode, numpy": with_numpy,
            "read and recode": lambda: recode(read()),
            "pillow": pillow,
        },
        runs,
    )
    # apart, as in its own process: what it decodes is small, and takes the memory that Pillow keeps
    taken |= cpu_s({"correct": correct}, runs)
    share = {name: f"{seconds / taken['pillow']:.2f}" for name, seconds in taken.items()}
    yield Row(
        "`correct`, 24 MP, 50 defects, from bytes to bytes, against Pillow decode + save",
        "<= 0.8",
        share["correct"],
    )
    beyond = (taken["whole"] - taken["read"]) / taken["pillow"]
    yield Row(
        "repaired copy by the daemon, which has read the photo: beyond that; with it; "
        "without choosing and filling",
        "",
        f"{beyond:.2f}; {share['whole']}; {share['read and recode']}",
    )
    yield Row(
        "of it: decoding alone; reading; re-coding the touched blocks, compiled / numpy",
        "numpy <= 2.6",
        f"{share['decode']}; {share['read']}; {share['recode']} / {share['recode, numpy']}",
    )


def _state_rows(runs: int) -> Iterator[Row]:
    data = jpeg(24, 2)
    frames = [frame_of(load(open_image(jpeg(24, seed), _MOST_PIXELS))) for seed in range(6)]
    height, width, channels = frames[0].shape
    moments = Moments.empty((height, width, channels), 8)
    moments.fold(frames)
    del frames

    def decode() -> None:
        Image.open(io.BytesIO(data)).load()

    taken = cpu_s({"decode": decode, "rank": lambda: rank([moments])}, max(1, runs // 2))
    yield Row("ranking, 24 MP", "<= 15 decodes", f"{taken['rank'] / taken['decode']:.1f} decodes")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:

        def checkpoint() -> None:
            write_generation(Path(folder) / "a.moments", moments, lambda: None)

        def plain() -> None:
            with (Path(folder) / "plain").open("wb", buffering=0) as file:
                for array in moments.arrays().values():
                    file.write(array.data)
                os.fsync(file.fileno())

        for run in (plain, checkpoint):  # the disk's caches are the same for both
            run()
        wall = wall_s({"plain": plain, "checkpoint": checkpoint}, max(1, runs // 2))
    yield Row(
        "checkpoint of a 24 MP sensor against writing and syncing the same bytes",
        "<= 1.5",
        f"{wall['checkpoint'] / wall['plain']:.2f}",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
