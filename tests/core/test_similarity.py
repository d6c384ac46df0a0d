"""One scene is known again, two scenes are told apart."""

import itertools

import numpy as np
import pytest

from fakecamera import Defect, FakeCamera, from_jpeg, to_jpeg
from hotpixeld.core import kernel
from hotpixeld.core.similarity import SIGNATURE_BYTES, find_similar, is_similar, signature
from kernels import built


@pytest.mark.parametrize("kind", ["tripod", "burst"])
@pytest.mark.parametrize("seed", range(4))
def test_photos_of_one_series_are_similar(kind: str, seed: int) -> None:
    camera = FakeCamera(640, 480, seed=seed, defects=[Defect(9, 9)])
    shots = camera.shoot(3, scene="tripod" if kind == "tripod" else "burst")
    first, *others = [signature(shot.frame) for shot in shots]
    if any(first):  # a plain sky has no scene to know again, and cannot deceive
        assert all(is_similar(first, other) for other in others)


def test_varied_photos_are_not_similar() -> None:
    signatures = [signature(shot.frame) for shot in FakeCamera(320, 240, seed=8).shoot(40)]
    pairs = list(itertools.combinations(signatures, 2))
    assert sum(is_similar(one, other) for one, other in pairs) <= 1  # stereo pairs are among them


def test_a_saved_again_or_brightened_copy_is_similar_to_its_original() -> None:
    shot = FakeCamera(320, 240, seed=3).shoot()[0].frame.astype(np.uint8)
    again = from_jpeg(to_jpeg(shot, quality=60))
    brighter = np.clip(shot.astype(np.float64) * 1.15 + 6, 0, 255).astype(np.uint8)
    assert is_similar(signature(shot), signature(again))
    assert is_similar(signature(shot), signature(brighter))


@built
@pytest.mark.parametrize("shape", [(16, 16, 1), (700, 900, 3), (1100, 40, 4), (2000, 17, 2)])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_compiled_and_numpy_signatures_are_the_same(
    shape: tuple[int, int, int], padding: int, dtype: type[np.uint8 | np.uint16]
) -> None:
    generator = np.random.default_rng(shape[0] + padding)
    height, width, channels = shape
    whole = generator.integers(0, np.iinfo(dtype).max + 1, (height, width, channels + padding))
    frame = (whole.astype(np.uint8) if dtype is np.uint8 else whole.astype(np.uint16))[
        ..., :channels
    ]
    with kernel.using(None):
        expected = signature(frame)
    assert any(expected)
    assert signature(frame) == expected


def test_flat_and_tiny_frames_are_similar_to_nothing() -> None:
    flat = signature(np.full((64, 64, 3), 7, np.uint8))
    tiny = signature(np.ones((3, 3, 1), np.uint16))
    assert flat == tiny == bytes(SIGNATURE_BYTES)
    assert not is_similar(flat, flat)


def test_the_most_similar_known_photo_is_named() -> None:
    shots = FakeCamera(320, 240, seed=12).shoot(5)
    known = [signature(shot.frame) for shot in shots]
    again = signature(from_jpeg(to_jpeg(shots[3].frame.astype(np.uint8), quality=70)))
    assert find_similar(again, known) == 3
    assert find_similar(again, known[:3]) is None
    assert find_similar(again, []) is None
