"""Laws of the block-wise repair, held against an independent decoder of coefficients."""

import io

import numpy as np
import pytest
from PIL import Image

from hotpixeld.core.jpeg.opened import open_mcus
from hotpixeld.core.jpeg.rewrite import recoded, repair_blocks
from hotpixeld.core.jpeg.unsupported import JpegUnsupported
from hotpixeld.core.patch import Patch
from jpegmaker import (
    HEIGHT,
    VARIANTS,
    WIDTH,
    coefficients,
    encoded,
    frame_of,
    header_of,
    scene,
    spotless,
)

EVERY_VARIANT = pytest.mark.parametrize("variant", VARIANTS)


def touched_blocks(data: bytes, patch: Patch) -> list[set[tuple[int, int]]]:
    """Return for each component the blocks that lie in a touched MCU."""
    header = header_of(data)
    high, wide = 8 * header.down, 8 * header.across
    mcus = {
        (int(r) // high, int(c) // wide) for r, c in zip(patch.rows, patch.columns, strict=True)
    }
    return [
        {
            (row * component.down + y, column * component.across + x)
            for row, column in mcus
            for y in range(component.down)
            for x in range(component.across)
        }
        for component in header.components
    ]


@EVERY_VARIANT
def test_only_blocks_of_touched_mcus_change(variant: str) -> None:
    data = VARIANTS[variant]()
    frame = frame_of(data)
    patch = spotless(frame)
    repaired = repair_blocks(data, patch)
    allowed = touched_blocks(data, patch)
    before, after = coefficients(data), coefficients(repaired)
    for component, (old, new) in enumerate(zip(before, after, strict=True)):
        changed = {(int(r), int(c)) for r, c in np.argwhere((old != new).any(axis=(2, 3)))}
        assert changed <= allowed[component]


@EVERY_VARIANT
def test_bytes_before_the_scan_and_from_its_end_on_stay(variant: str) -> None:
    data = VARIANTS[variant]()
    frame = frame_of(data)
    repaired = repair_blocks(data, spotless(frame))
    header, now = header_of(data), header_of(repaired)
    assert repaired[: header.scan_start] == data[: header.scan_start]
    assert repaired[now.scan_end :].lstrip(b"\xff") == data[header.scan_end :].lstrip(b"\xff")


@EVERY_VARIANT
def test_pixels_come_nearer_to_what_is_wanted(variant: str) -> None:
    data = VARIANTS[variant]()
    frame = frame_of(data)
    patch = spotless(frame)
    repaired = frame_of(repair_blocks(data, patch))
    wanted = patch.values_dn.astype(int)
    before = np.abs(frame[patch.rows, patch.columns] - wanted).mean()
    after = np.abs(repaired[patch.rows, patch.columns] - wanted).mean()
    assert after < before * (0.5)


@EVERY_VARIANT
def test_coding_every_mcu_anew_without_a_change_gives_the_same_file(variant: str) -> None:
    data = VARIANTS[variant]()
    header = header_of(data)
    assert recoded(open_mcus(data, header, np.arange(header.mcus)), lambda blocks: blocks) == data


@EVERY_VARIANT
def test_coding_some_mcus_anew_without_a_change_gives_the_same_file(variant: str) -> None:
    data = VARIANTS[variant]()
    header = header_of(data)
    numbers = np.unique([0, header.mcus // 3, header.mcus - 1])
    assert recoded(open_mcus(data, header, numbers), lambda blocks: blocks) == data


@EVERY_VARIANT
def test_an_empty_patch_returns_the_file_itself(variant: str) -> None:
    data = VARIANTS[variant]()
    none = np.empty(0, np.intp)
    channels = frame_of(data).shape[2]
    assert repair_blocks(data, Patch(none, none, np.empty((0, channels), np.uint8))) is data


def test_of_a_file_with_two_images_the_second_stays() -> None:
    data = VARIANTS["MPO"]()
    repaired = repair_blocks(data, spotless(frame_of(data)))
    with Image.open(io.BytesIO(data)) as old, Image.open(io.BytesIO(repaired)) as new:
        for image in (old, new):
            image.seek(1)
        assert old.tobytes() == new.tobytes()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encoded(scene(), progressive=True), "progressive"),
        (b"", "not-a-jpeg"),
        (b"GIF89a", "not-a-jpeg"),
        (encoded(scene())[:300], "truncated"),
        (encoded(scene(), quality=95)[:3000], "truncated"),
    ],
)
def test_what_cannot_be_repaired_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    patch = Patch(np.array([3]), np.array([3]), np.zeros((1, 3), np.uint8))
    with pytest.raises(JpegUnsupported) as refusal:
        repair_blocks(data, patch)
    assert refusal.value.reason == reason


@pytest.mark.parametrize("place", [(-1, 3), (HEIGHT, 3), (3, WIDTH)])
def test_a_patch_beyond_the_picture_is_an_error(place: tuple[int, int]) -> None:
    patch = Patch(np.array([place[0]]), np.array([place[1]]), np.zeros((1, 3), np.uint8))
    with pytest.raises(ValueError, match="beyond"):
        repair_blocks(VARIANTS["4:2:0"](), patch)


def test_a_patch_of_other_channels_is_an_error() -> None:
    patch = Patch(np.array([3]), np.array([3]), np.zeros((1, 1), np.uint8))
    with pytest.raises(ValueError, match="channels"):
        repair_blocks(VARIANTS["4:2:0"](), patch)
