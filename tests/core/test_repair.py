"""From defects and a frame to a patch."""

import numpy as np
import numpy.typing as npt
import pytest

from hotpixeld.core.defects import FootprintPixel
from hotpixeld.core.repair import When, footprint_at, repair_patch


def slope(height: int = 40, width: int = 50, channels: int = 3) -> npt.NDArray[np.uint8]:
    """A smooth frame with a little grain."""
    rows, columns = np.mgrid[:height, :width]
    grain = np.random.default_rng(4).integers(-1, 2, (height, width, channels))
    values: npt.NDArray[np.uint8] = ((60 + rows + columns)[..., None] + grain).astype(np.uint8)
    return values


def footprint(
    *places: tuple[int, int], spoiled: tuple[bool, ...] = (True, True, True)
) -> tuple[FootprintPixel, ...]:
    excess = tuple(100.0 * s for s in spoiled)
    return tuple(FootprintPixel(row, column, excess, spoiled) for row, column in places)


WHENS: tuple[When, ...] = ("visible", "always")
SPOTS = {
    "single": [(20, 20)],
    "pair": [(20, 20), (20, 21)],
    "two by two": [(20, 20), (20, 21), (21, 20), (21, 21)],
    "corner": [(0, 0), (0, 1), (1, 0)],
    "opposite corner": [(39, 49), (38, 49)],
    "edge": [(0, 25), (1, 25)],
    "column": [(row, 25) for row in range(40)],
}


@pytest.mark.parametrize("spot", SPOTS)
def test_a_spot_is_gone_wherever_it_lies(spot: str) -> None:
    clean = slope()
    frame = clean.copy()
    for place in SPOTS[spot]:
        frame[place] = 255
    patch = repair_patch(frame, [footprint(*SPOTS[spot])], when="visible")
    repaired = patch.applied_to(frame)
    error = np.abs(repaired.astype(int) - clean.astype(int))
    assert error.max() <= 6
    far = np.ones(frame.shape[:2], bool)
    for row, column in SPOTS[spot]:
        far[max(0, row - 3) : row + 4, max(0, column - 3) : column + 4] = False
    assert not error[far].any()


def test_only_the_spoiled_channel_changes() -> None:
    clean = slope()
    frame = clean.copy()
    frame[20, 20, 0] = 255
    spot = footprint((20, 20), spoiled=(True, False, False))
    repaired = repair_patch(frame, [spot], when="visible").applied_to(frame)
    assert np.array_equal(repaired[..., 1:], clean[..., 1:])
    assert abs(int(repaired[20, 20, 0]) - int(clean[20, 20, 0])) <= 4


def test_neighbouring_defects_are_never_used_for_each_other() -> None:
    clean = slope()
    frame = clean.copy()
    frame[20, 20] = frame[20, 22] = frame[21, 21] = 255
    spots = [footprint((20, 20)), footprint((20, 22)), footprint((21, 21))]
    repaired = repair_patch(frame, spots, when="visible").applied_to(frame)
    assert np.abs(repaired.astype(int) - clean.astype(int)).max() <= 6


def test_a_defect_that_does_not_show_leaves_the_photo_unaffected() -> None:
    frame = slope()
    assert len(repair_patch(frame, [footprint((20, 20))], when="visible")) == 0
    frame[20, 20] += 3
    assert len(repair_patch(frame, [footprint((20, 20))], when="always")) >= 1


def test_repairing_a_repaired_frame_changes_nothing() -> None:
    frame = slope()
    frame[20:22, 20:23] = 250
    spot = footprint(*[(r, c) for r in (20, 21) for c in (20, 21, 22)])
    repaired = repair_patch(frame, [spot], when="visible").applied_to(frame)
    assert len(repair_patch(repaired.astype(np.uint8), [spot], when="visible")) == 0


def test_no_pixel_is_repaired_twice_and_all_are_in_order() -> None:
    frame = slope()
    frame[20:22, 20:23] = 250
    spots = [footprint((20, 20), (20, 21)), footprint((20, 21), (20, 22)), footprint((21, 20))]
    patch = repair_patch(frame, spots, when="always")
    places = list(zip(patch.rows.tolist(), patch.columns.tolist(), strict=True))
    assert places == sorted(set(places))
    assert {(20, 20), (20, 21), (20, 22), (21, 20)} <= set(places)


def test_pixels_beyond_the_frame_are_passed_over() -> None:
    frame = slope()
    patch = repair_patch(frame, [footprint((-1, 3), (40, 3), (3, 50))], when="always")
    assert len(patch) == 0


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_and_any_number_of_channels(channels: int) -> None:
    clean = slope(channels=channels).astype(np.uint16) * 200
    frame = clean.copy()
    frame[20, 20] = 65535
    spot = footprint((20, 20), spoiled=(True,) * channels)
    patch = repair_patch(frame, [spot], when="visible")
    assert patch.values_dn.dtype == np.uint16
    repaired = patch.applied_to(frame).astype(int)
    assert np.abs(repaired - clean.astype(int)).max() < 1000


def test_no_known_defect_no_patch() -> None:
    patch = repair_patch(slope(), [], when="always")
    assert len(patch) == 0
    assert patch.values_dn.shape == (0, 3)


def test_from_a_position_alone_what_stands_off_round_it_is_repaired() -> None:
    clean = slope()
    frame = clean.copy()
    frame[20, 20:23] = 255
    patch = repair_patch(frame, [footprint_at(frame, 20, 21)], when="always")
    chosen = set(zip(patch.rows.tolist(), patch.columns.tolist(), strict=True))
    assert {(20, 20), (20, 21), (20, 22)} <= chosen
    assert all(abs(row - 20) <= 3 and abs(column - 21) <= 3 for row, column in chosen)
    error = patch.applied_to(frame).astype(int) - clean.astype(int)
    assert np.abs(error).max() <= 8


@pytest.mark.parametrize("spot", SPOTS)
def test_positions_alone_are_enough_wherever_they_lie(spot: str) -> None:
    clean = slope()
    frame = clean.copy()
    for place in SPOTS[spot]:
        frame[place] = 255
    bare = [footprint_at(frame, *place) for place in SPOTS[spot]]
    for when in WHENS:
        patch = repair_patch(frame, bare, when=when)
        error = patch.applied_to(frame).astype(int) - clean.astype(int)
        assert np.abs(error).max() <= 6


def test_positions_of_which_one_lies_within_reach_of_another_hide_nothing() -> None:
    clean = slope()
    frame = clean.copy()
    frame[20, 20], frame[20, 25], frame[24, 22] = 255, 0, 200
    bare = [footprint_at(frame, *place) for place in ((20, 20), (20, 25), (24, 22))]
    patch = repair_patch(frame, bare, when="always")
    error = patch.applied_to(frame).astype(int) - clean.astype(int)
    assert np.abs(error).max() <= 6


def test_a_position_where_nothing_stands_off_is_left_as_it_is() -> None:
    frame = slope()
    assert len(repair_patch(frame, [footprint_at(frame, 20, 20)], when="always")) == 0
    noise = np.random.default_rng(8).normal(0, 20, frame.shape)
    texture = np.clip(frame + noise, 0, 255).astype(np.uint8)
    bare = [footprint_at(texture, row, column) for row in (8, 20, 32) for column in (8, 22, 36)]
    assert len(repair_patch(texture, bare, when="visible")) == 0


def test_a_position_is_repaired_at_a_corner_too() -> None:
    frame = slope()
    frame[0, 0] = 255
    patch = repair_patch(frame, [footprint_at(frame, 0, 0)], when="always")
    assert (patch.rows[0], patch.columns[0]) == (0, 0)
    assert (patch.values_dn[0] < 80).all()


@pytest.mark.parametrize("shape", [(1, 60), (60, 1), (1, 1), (2, 2), (3, 60)])
def test_narrow_frames(shape: tuple[int, int]) -> None:
    frame = np.full((*shape, 3), 90, np.uint8)
    frame[shape[0] // 2, shape[1] // 2] = 250
    place = (shape[0] // 2, shape[1] // 2)
    for spot in (footprint_at(frame, *place), footprint(place)):
        repaired = repair_patch(frame, [spot], when="always").applied_to(frame)
        others = np.delete(repaired.reshape(-1, 3), place[0] * shape[1] + place[1], axis=0)
        assert (others == 90).all()
        if max(shape) > 2:
            assert np.abs(repaired[place].astype(int) - 90).max() <= 3
        else:  # not a single pixel is surely good
            assert np.array_equal(repaired, frame)


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_invented_beyond_the_good_neighbours(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, rng.choice([1.0, 8.0]), (30, 30, 3)).cumsum(axis=int(rng.integers(2)))
    clean = np.clip(steps + rng.integers(0, 256), 0, 255)
    frame = clean.astype(np.uint8)
    spot = [(14 + r, 13 + c) for r in range(rng.integers(1, 4)) for c in range(rng.integers(1, 4))]
    for place in spot:
        frame[place] = rng.choice([0, 255], 3)
    bare = [footprint_at(frame, *place) for place in spot]
    for spots in ([footprint(*spot)], bare):
        for when in WHENS:
            patch = repair_patch(frame, spots, when=when)
            rows, columns = np.array(spot).T
            good = np.ones(frame.shape[:2], bool)
            good[rows.min() - 3 : rows.max() + 4, columns.min() - 3 : columns.max() + 4] = False
            near = np.s_[rows.min() - 11 : rows.max() + 12, columns.min() - 11 : columns.max() + 12]
            held = frame[near][good[near]].astype(int)
            old = frame[patch.rows, patch.columns].astype(int)
            new = patch.values_dn.astype(int)
            # a value moves towards the range, widened by the noise, and never out of it
            assert (new >= np.minimum(old, held.min(axis=0) - 3)).all()
            assert (new <= np.maximum(old, held.max(axis=0) + 3)).all()


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (40, 0), (0, 50)])
def test_a_position_outside_the_frame_is_refused(place: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="outside"):
        footprint_at(slope(), *place)
