"""Symmetric holes are solved in two halves, to the same answer."""

import numpy as np
import numpy.typing as npt
import pytest

from hotpixeld.core.fill import Field
from hotpixeld.core.hole import halves, pairs, patterns, solved_in_halves, symmetric

SHAPE = (5, 7)


def hole(*places: tuple[int, int], shape: tuple[int, int] = SHAPE) -> npt.NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    for place in places:
        mask[place] = True
    return mask


HOLES = {
    "in the middle": hole((2, 3)),
    "cross": hole((2, 3), (1, 3), (3, 3), (2, 2), (2, 4)),
    "two apart": hole((0, 1), (4, 5)),
    "even window": hole((1, 2), (2, 2), shape=(4, 5)),
    "askew": hole((1, 2), (3, 5)),
}


@pytest.mark.parametrize("name", HOLES)
def test_patterns_are_orthonormal_and_hold_all_that_the_pixels_tell(name: str) -> None:
    mask = HOLES[name]
    field = Field(np.eye(1)[None], np.array([[[1.3, 0.4], [0.4, 0.8]]]))
    height, width = mask.shape
    alike, table = field.alike(height, width)[0], field.table(height, width)
    known, unknown = np.flatnonzero(~mask), np.flatnonzero(mask)
    found = patterns(mask)
    assert len(found) == (1 if name == "askew" else 2)
    for ones, others, at in ((known, known, 0), (known, unknown, 1), (unknown, unknown, 2)):
        put_together = np.zeros((len(ones), len(others)))
        for part in found:
            left = part.unknown if at == 2 else part.known
            right = part.known if at == 0 else part.unknown
            assert np.allclose(left.T @ left, np.eye(left.shape[1]))
            folded = (part.known_known, part.known_unknown, part.unknown_unknown)[at](table)[0]
            put_together += left @ folded @ right.T
        assert np.allclose(put_together, alike[np.ix_(ones, others)])


def test_every_pair_of_the_same_offset_stands_at_the_same_place() -> None:
    pixels = np.arange(SHAPE[0] * SHAPE[1])
    places = pairs(pixels, pixels, SHAPE)
    assert len(np.unique(np.diag(places))) == 1
    assert places[0, 1] == places[8, 9]
    assert places.min() == 0
    assert places.max() == (2 * SHAPE[0] - 1) * (2 * SHAPE[1] - 1) - 1


def test_a_hole_turned_by_half_is_known_as_symmetric() -> None:
    assert {name for name, mask in HOLES.items() if not symmetric(mask)} == {"askew"}


@pytest.mark.parametrize("pixels", [1, 2, 5, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_halves_solve_as_the_whole_does(pixels: int, channels: int) -> None:
    rng = np.random.default_rng(pixels)
    size = pixels * channels
    root = rng.normal(0, 1, (2, size, size))
    one_sided = root @ root.swapaxes(1, 2) + 3 * np.eye(size)
    turn = np.arange(size).reshape(pixels, channels)[::-1].ravel()
    covariances = one_sided + one_sided[:, turn][:, :, turn]
    more = rng.uniform(0, 2, (2, size))
    more += more[:, turn]
    right = rng.normal(0, 1, (2, size, 2))
    found = solved_in_halves(halves(covariances, channels), more, right, channels)
    assert np.allclose(np.linalg.solve(covariances + more[..., None] * np.eye(size), right), found)
