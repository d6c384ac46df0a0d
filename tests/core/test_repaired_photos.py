"""Simulated cameras: the repair against the same photo without the defect."""

import functools
from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from fakecamera import Defect, Development, FakeCamera, Shot
from hotpixeld.core.defects import FootprintPixel
from hotpixeld.core.jpeg.rewrite import repair_blocks
from hotpixeld.core.repair import footprint_at, repair_patch
from jpegmaker import frame_of

PLACES = [(row, column) for row in (30, 75, 120) for column in (30, 75, 121, 166, 211)]
DEVELOPMENTS = {
    "4:2:0": Development("bilinear", 0.5, 0.0, 90, "4:2:0"),
    "4:2:2": Development("gradient", 0.5, 0.0, 95, "4:2:2"),
    "4:4:4": Development("gradient", 0.3, 0.2, 93, "4:4:4"),
}
EVERY_SAMPLING = pytest.mark.parametrize("sampling", DEVELOPMENTS)


@functools.cache
def shots(sampling: str) -> list[Shot]:
    defects = [Defect(r, c, "hot", offset=0.05 + 0.02 * i) for i, (r, c) in enumerate(PLACES)]
    return FakeCamera(240, 150, seed=11, defects=defects, development=DEVELOPMENTS[sampling]).shoot(
        4
    )


@functools.cache
def learned(sampling: str) -> list[tuple[FootprintPixel, ...]]:
    """Return footprints as many photos would teach them: the mean excess over other photos."""
    excess = np.mean(
        [shot.frame.astype(float) - shot.clean_frame for shot in shots(sampling)[1:]], axis=0
    )
    return [footprint(excess, place) for place in PLACES]


def footprint(
    excess: np.ndarray[tuple[int, ...], np.dtype[np.float64]], place: tuple[int, int]
) -> tuple[FootprintPixel, ...]:
    pixels = []
    for row in range(place[0] - 3, place[0] + 4):
        for column in range(place[1] - 3, place[1] + 4):
            spoiled = tuple((np.abs(excess[row, column]) > 4).tolist())
            if any(spoiled):
                values = tuple(excess[row, column].tolist())
                pixels.append(FootprintPixel(row, column, values, spoiled))
    return tuple(pixels)


def squared_error(frame: np.ndarray[tuple[int, ...], np.dtype[np.generic]], shot: Shot) -> float:
    total = 0.0
    for row, column in PLACES:
        around = np.s_[row - 4 : row + 5, column - 4 : column + 5]
        total += float(((frame[around].astype(float) - shot.clean_frame[around]) ** 2).mean())
    return total / len(PLACES)


def inpainting_error(shot: Shot) -> float:
    mask = np.zeros(shot.frame.shape[:2], np.uint8)
    for row, column in PLACES:
        mask[row - 1 : row + 2, column - 1 : column + 2] = 1
    ways: Sequence[int] = (cv2.INPAINT_NS, cv2.INPAINT_TELEA)
    return min(
        squared_error(np.asarray(cv2.inpaint(shot.frame, mask, 3, way)), shot) for way in ways
    )


@EVERY_SAMPLING
def test_a_position_alone_gives_less_error_than_the_best_inpainting(sampling: str) -> None:
    shot = shots(sampling)[0]
    chosen = [footprint_at(shot.frame, row, column) for row, column in PLACES]
    patch = repair_patch(shot.frame, chosen, when="always")
    rival = inpainting_error(shot)
    assert squared_error(patch.applied_to(shot.frame), shot) < 0.85 * rival
    assert squared_error(frame_of(repair_blocks(shot.jpeg, patch)), shot) < 0.95 * rival


@EVERY_SAMPLING
def test_a_learned_footprint_gives_less_error_still(sampling: str) -> None:
    shot = shots(sampling)[0]
    patch = repair_patch(shot.frame, learned(sampling), when="visible")
    rival = inpainting_error(shot)
    assert squared_error(patch.applied_to(shot.frame), shot) < 0.75 * rival
    assert squared_error(frame_of(repair_blocks(shot.jpeg, patch)), shot) < 0.85 * rival


@EVERY_SAMPLING
def test_repairing_a_repaired_jpeg_changes_nothing(sampling: str) -> None:
    for shot in shots(sampling):
        patch = repair_patch(shot.frame, learned(sampling), when="visible")
        assert len(patch)
        repaired = repair_blocks(shot.jpeg, patch)
        again = repair_patch(frame_of(repaired), learned(sampling), when="visible")
        assert repair_blocks(repaired, again) == repaired


@EVERY_SAMPLING
def test_no_value_lies_far_beyond_those_around(sampling: str) -> None:
    shot = shots(sampling)[0]
    repaired = repair_patch(shot.frame, learned(sampling), when="visible").applied_to(shot.frame)
    for row, column in PLACES:
        around = shot.clean_frame[row - 8 : row + 9, column - 8 : column + 9].astype(int)
        core = repaired[row - 1 : row + 2, column - 1 : column + 2].astype(int)
        assert (core >= around.min(axis=(0, 1)) - 6).all()
        assert (core <= around.max(axis=(0, 1)) + 6).all()


def test_a_clean_photo_is_unaffected() -> None:
    shot = shots("4:2:2")[0]
    patch = repair_patch(shot.clean_frame, learned("4:2:2"), when="visible")
    shown = {
        (row // 20, column // 20) for row, column in zip(patch.rows, patch.columns, strict=True)
    }
    assert len(shown) <= 1
