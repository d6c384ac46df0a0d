"""`correct` without decoding the photo gives what decoding it gives, and refuses the same."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hotpixeld
import pictures
from hotpixeld.core.repair import footprint_at, repair_patch
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.encode import encode_copy
from hotpixeld.edge.photo import read_photo
from hotpixeld.errors import HotpixeldError, PhotoError, UsageError
from hotpixeld.service.correcting import correct, repaired
from jpegmaker import HEIGHT, VARIANTS, WIDTH, damaged, encoded, scene

PATH = Path("photo.jpg")
PIXELS = {
    "none": [],
    "within": [(60, 20)],
    "near each other": [(60, 40), (63, 42)],
    "upper left": [(0, 0)],
    "upper right": [(WIDTH - 1, 0)],
    "lower left": [(0, HEIGHT - 1)],
    "lower right": [(WIDTH - 1, HEIGHT - 1)],
    "edges": [(0, 50), (WIDTH - 2, 31)],
    "upper and lower edge": [(64, 1), (80, HEIGHT - 1)],
}


def by_decoding(data: bytes, pixels: list[tuple[int, int]]) -> tuple[int, EncodedCopy]:
    photo = read_photo(data, PATH.name, max_pixels=400_000_000)
    footprints = [footprint_at(photo.frame, y, x) for x, y in pixels]
    patch = repair_patch(photo.frame, footprints, when="always")
    return len(patch), encode_copy(photo, patch, jpeg="blocks", quality=97)


def as_told(made: tuple[int, EncodedCopy]) -> tuple[int, bytes, str, str]:
    return made[0], made[1].data, made[1].method, made[1].note


@pytest.mark.parametrize("pixels", PIXELS.values(), ids=PIXELS)
@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != "one block"])
def test_the_copy_is_the_one_that_decoding_gives(
    variant: str, pixels: list[tuple[int, int]]
) -> None:
    data = VARIANTS[variant]()
    made = repaired(data, PATH, pixels, displayed=False, reencode=False)
    assert as_told(made) == as_told(by_decoding(data, pixels))


def test_damaged_files_are_refused_or_repaired_as_by_decoding_them() -> None:
    generator = np.random.default_rng(21)
    outcomes = set()
    for number in range(160):
        name = list(VARIANTS)[number % len(VARIANTS)]
        data = damaged(VARIANTS[name](), generator)
        pixels = [(int(generator.integers(0, 150)), int(generator.integers(0, 100)))]
        told: tuple[object, ...]
        wanted: tuple[object, ...]
        try:
            wanted = as_told(by_decoding(data, pixels))
        except PhotoError as error:
            wanted = (str(error),)
        except ValueError:
            wanted = ("outside",)
        try:
            told = as_told(repaired(data, PATH, pixels, displayed=False, reencode=False))
        except UsageError:
            told = ("outside",)
        except HotpixeldError as error:
            told = (str(error).removeprefix(f"{PATH}: "),)
        assert told == wanted, (name, number)
        outcomes.add(told[2] if len(told) > 1 else told[0])
    assert {"blocks", "outside"} < outcomes


def test_a_pixel_is_named_as_the_photo_is_shown_where_that_is_asked() -> None:
    turned = encoded(scene(), quality=92, exif=pictures.exif())
    shown = repaired(turned, PATH, [(5, 60)], displayed=True, reencode=False)
    stored = repaired(turned, PATH, [(60, HEIGHT - 1 - 5)], displayed=False, reencode=False)
    assert as_told(shown) == as_told(stored)


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_a_photo_with_nothing_to_repair_is_copied(options: dict[str, bool]) -> None:
    data = encoded(Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)), **options)
    made, copy = repaired(data, PATH, [(60, 40)], displayed=False, reencode=False)
    assert (made, copy.data) == (0, data)


def test_a_pixel_outside_the_photo_is_refused_and_nothing_written(tmp_path: Path) -> None:
    photo, target = tmp_path / "photo.jpg", tmp_path / "c_photo.jpg"
    photo.write_bytes(VARIANTS["4:2:0"]())
    with pytest.raises(UsageError, match="outside"):
        correct(photo, [(WIDTH, 0)], target, displayed=False, reencode=False, overwrite=False)
    assert not target.exists()


def test_the_memory_that_a_decoded_photo_needs_is_not_asked_for(tmp_path: Path) -> None:
    side = 7000  # 196 MB, were it decoded
    grey = np.full((side, side), 90, np.uint8)
    grey[3000, 3000] = 255
    photo = tmp_path / "photo.jpg"
    Image.fromarray(grey).convert("RGB").save(photo, quality=90)
    program = f"""
        import resource
        from pathlib import Path
        from hotpixeld.service.correcting import correct
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        made = correct(Path({str(photo)!r}), [(3000, 3000)], Path({str(tmp_path / "c.jpg")!r}),
                       displayed=False, reencode=False, overwrite=False)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        print(made.method, made.repaired_px > 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(hotpixeld.__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"},
    )
    grown_kib, made = done.stdout.splitlines()
    assert made == "blocks True"
    assert int(grown_kib) < 100_000
