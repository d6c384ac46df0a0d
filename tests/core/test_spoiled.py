"""Footprints merged into spots."""

import numpy as np

from hotpixeld.core.box import Box
from hotpixeld.core.defects import FootprintPixel
from hotpixeld.core.spoiled import spots_of

SHAPE = (30, 40, 3)


def pixel(row: int, column: int, excess: float = 50.0, *, red_only: bool = False) -> FootprintPixel:
    return FootprintPixel(row, column, (excess,) * 3, (True, not red_only, not red_only))


def test_footprints_that_share_a_pixel_are_one_spot() -> None:
    chain = [[pixel(5, 5), pixel(5, 6)], [pixel(9, 9)], [pixel(5, 7), pixel(5, 8)]]
    assert len(spots_of(chain, [1.0] * 3, SHAPE)) == 3
    chain.append([pixel(5, 6), pixel(5, 7)])
    spots = spots_of(chain, [1.0, 1.0, 0.2, 3.0], SHAPE)
    assert len(spots) == 2
    assert sorted(spot.predicted for spot in spots) == [1.0, 3.0]


def test_the_greater_excess_and_every_spoiled_channel_are_kept() -> None:
    (spot,) = spots_of([[pixel(5, 5, 20, red_only=True)], [pixel(5, 5, -60)]], [1, 1], SHAPE)
    at = np.flatnonzero((spot.rows == 5) & (spot.columns == 5))[0]
    assert spot.profile_dn[at].tolist() == [-60, -60, -60]


def test_what_lies_within_reach_is_doubtful_in_the_spoiled_channels_only() -> None:
    (spot,) = spots_of([[pixel(0, 5, red_only=True)]], [1], SHAPE)
    assert set(zip(spot.rows.tolist(), spot.columns.tolist(), strict=True)) == {
        (row, column)
        for row in range(4)
        for column in range(2, 9)
        if row**2 + (column - 5) ** 2 <= 10
    }
    assert spot.doubtful[:, 0].all()
    assert not spot.doubtful[:, 1:].any()


def test_each_pixel_stands_once() -> None:
    (spot,) = spots_of([[pixel(5, 5), pixel(5, 5), pixel(6, 5)]], [1], SHAPE)
    places = list(zip(spot.rows.tolist(), spot.columns.tolist(), strict=True))
    assert len(places) == len(set(places))


def test_footprints_beyond_the_frame_are_passed_over() -> None:
    assert spots_of([[pixel(-1, 0)], [pixel(30, 0)], [pixel(0, 40)], []], [1] * 4, SHAPE) == []


def test_a_long_box_is_cut_into_even_pieces_that_cover_it_once() -> None:
    box = Box(3, 4, 40, 6)
    pieces = list(box.pieces(9))
    assert all(piece.bottom - piece.top <= 9 for piece in pieces)
    covered = [row for piece in pieces for row in range(piece.top, piece.bottom)]
    assert covered == list(range(3, 40))


def test_bare_positions_that_reach_each_other_are_one_spot() -> None:
    bare = [[FootprintPixel(5, column, (0.0,) * 3, (True,) * 3)] for column in (5, 8, 20)]
    spots = spots_of(bare, [1.0] * 3, SHAPE)
    assert sorted(len(spot.rows) for spot in spots) == [37, 58]
    assert not any(spot.learned for spot in spots)


def test_a_bare_position_within_a_learned_footprint_adds_nothing_but_doubt() -> None:
    bare = FootprintPixel(5, 6, (0.0,) * 3, (True,) * 3)
    (spot,) = spots_of([[bare], [pixel(5, 5), pixel(5, 6)]], [1.0, 1.0], SHAPE)
    assert spot.learned
    assert np.abs(spot.profile_dn).max() == 50
