"""The fake camera tells the truth."""

import numpy as np
import pytest

from fakecamera import Defect, Development, FakeCamera, bad_column, scattered


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = (FakeCamera(64, 48, seed=seed).shoot(2) for seed in (1, 1, 2))
    assert [shot.jpeg for shot in first] == [shot.jpeg for shot in again]
    assert [shot.jpeg for shot in first] != [shot.jpeg for shot in other]


@pytest.mark.parametrize("demosaic", ["bilinear", "gradient"])
def test_a_stuck_pixel_stands_out_where_it_is_said_to_be(demosaic: str) -> None:
    how = Development("gradient" if demosaic == "gradient" else "bilinear", subsampling="4:4:4")
    camera = FakeCamera(64, 48, seed=3, defects=[Defect(20, 31, level=1.0)], development=how)
    shots = camera.shoot(8)
    off = np.mean([s.frame.astype(float) - s.clean_frame for s in shots], axis=0).max(axis=2)
    assert divmod(int(np.argmax(off)), off.shape[1]) == (20, 31)
    said = np.mean([s.excess_dn[0] for s in shots], axis=0).max()
    assert abs(said - off[20, 31]) < 12
    assert np.abs(off[:, 48:]).max() == 0


def test_onset_and_healing_are_kept() -> None:
    defect = Defect(5, 5, "stuck", level=1.0, onset=2, healed=4)
    shots = FakeCamera(32, 32, seed=1, defects=[defect]).shoot(6)
    assert [len(shot.defects) for shot in shots] == [0, 0, 1, 1, 0, 0]
    assert [bool(shot.excess_dn.any()) for shot in shots] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]


def test_a_tripod_series_shows_one_scene_and_varied_photos_do_not() -> None:
    camera = FakeCamera(64, 48, seed=4)
    still, varied = camera.shoot(2, scene="tripod"), camera.shoot(2)
    assert np.abs(still[0].frame.astype(float) - still[1].frame).mean() < 12
    assert np.abs(varied[0].frame.astype(float) - varied[1].frame).mean() > 12


def test_sixteen_bit_grey_frames_decode_to_what_was_made() -> None:
    shot = FakeCamera(64, 48, seed=5, grey16=True, defects=bad_column(9, range(10))).shoot()[0]
    assert shot.frame.dtype == np.uint16
    assert shot.frame.shape == (48, 64, 1)
    assert np.array_equal(shot.frame, shot.picture)


def test_scattered_defects_keep_their_distance() -> None:
    found = scattered(np.random.default_rng(0), 240, 320, 20, apart_px=30)
    assert len(found) == 20
    for one in found:
        near = [o for o in found if abs(o.row - one.row) < 30 and abs(o.column - one.column) < 30]
        assert near == [one]
