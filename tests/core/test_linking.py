"""Maps of one body in two geometries are linked, and two bodies in one sensor are seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpixeld.core.linking import TURNS, Turn, carried, link, turned, visibly_two

SIZE = (3000, 4000)
SITES = [(100, 3900), (2137, 3635), (1324, 3363), (1751, 1322)]


@given(st.integers(1, 50), st.integers(1, 50), st.data())
def test_turns_are_what_numpy_does(height: int, width: int, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, height - 1))
    column = data.draw(st.integers(0, width - 1))
    frame = np.zeros((height, width), np.uint8)
    frame[row, column] = 1
    for turns, turn in zip((0, 3, 2, 1), TURNS, strict=True):
        there = np.argwhere(np.rot90(frame, turns))[0]
        assert turned((row, column), (height, width), turn) == tuple(there.tolist())


@pytest.mark.parametrize("turn", ["clockwise", "anticlockwise", "half"])
def test_a_turned_map_is_linked_with_its_turn(turn: Turn) -> None:
    size = SIZE if turn == "half" else (4000, 3000)
    other = [turned(site, SIZE, turn) for site in SITES[:3]] + [(5, 5), (700, 200)]
    found = link(SITES, SIZE, other, size)
    assert found is not None
    assert (found.turn, found.scale) == (turn, 1.0)
    assert found.pairs == ((0, 0), (1, 1), (2, 2))
    assert carried(SITES[0], SIZE, found) == other[0]


def test_one_strong_defect_is_enough_to_know_a_turned_portrait() -> None:
    found = link(SITES[:1], SIZE, [turned(SITES[0], SIZE, "clockwise")], (4000, 3000))
    assert found is not None
    assert found.turn == "clockwise"


def test_a_smaller_size_of_the_same_body_is_linked_with_its_scale() -> None:
    other = [(row // 2, column // 2) for row, column in SITES]
    found = link(SITES, SIZE, other, (1500, 2000))
    assert found is not None
    assert (found.turn, found.scale, len(found.pairs)) == ("none", 0.5, 4)


def test_unrelated_maps_other_shapes_and_empty_maps_are_not_linked() -> None:
    rng = np.random.default_rng(1)
    other = [(int(rng.integers(4000)), int(rng.integers(3000))) for _ in range(30)]
    assert link(SITES, SIZE, other, (4000, 3000)) is None
    assert link(SITES, SIZE, SITES, (3000, 3000)) is None
    assert link([], SIZE, [], (4000, 3000)) is None
    assert link(SITES, SIZE, [], (4000, 3000)) is None


def shows(
    camp: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
    rng = np.random.default_rng(2)
    level = np.where(camp[:, None], [100, 100, 90, 0, 0, 0], [0, 0, 0, 100, 90, 100])
    return np.clip(level + rng.normal(0, 16, level.shape), -128, 128).astype(np.int16)


def test_photos_of_two_bodies_in_turns_are_seen() -> None:
    camp = np.random.default_rng(3).random(40) < 0.5
    assert visibly_two(shows(camp))


def test_one_body_a_repaired_body_and_few_photos_are_not_two() -> None:
    assert not visibly_two(shows(np.ones(40, np.bool_)))
    assert not visibly_two(shows(np.arange(40) < 20))
    assert not visibly_two(shows(np.arange(6) % 2 == 0))
