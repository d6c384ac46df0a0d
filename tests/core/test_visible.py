"""Whether a defect shows."""

import numpy as np

from hotpixeld.core.fill import Expectation
from hotpixeld.core.visible import standing, strength

NOWHERE = (np.zeros(3, np.intp),) * 3
FLOOR = 3.0


def expected(*residuals_dn: float, spread_dn: float = 2.0) -> Expectation:
    covariance = np.eye(len(residuals_dn)) * spread_dn**2
    return Expectation(NOWHERE, np.array(residuals_dn), covariance)


PROFILE = np.array([100.0, 50.0, 10.0])


def test_a_profile_that_stands_in_the_residuals_shows_at_its_scale() -> None:
    found = strength(expected(50, 25, 5), PROFILE)
    assert np.isclose(found.scale, 0.5)
    assert np.isclose(found.peak_dn, 50)
    assert found.shows(floor_dn=FLOOR)


def test_noise_does_not_show() -> None:
    assert not strength(expected(3, -2, 4), PROFILE).shows(floor_dn=FLOOR)


def test_what_no_eye_would_see_does_not_show_however_sure_it_is() -> None:
    found = strength(expected(2, 1, 0.2, spread_dn=0.1), PROFILE)
    assert found.spreads > 10
    assert not found.shows(floor_dn=FLOOR)


def test_a_dark_spot_shows_too() -> None:
    assert strength(expected(-40, -20, -4), PROFILE).shows(floor_dn=FLOOR)


def test_a_stuck_pixel_without_a_profile_of_one_sign_shows_by_its_core() -> None:
    found = strength(expected(30, -25, 10), np.array([1.0, 0.9, -0.5]))
    assert found.core_spreads > 5
    assert found.shows(floor_dn=FLOOR)


def test_where_it_cannot_show_by_exposure_the_evidence_must_be_stronger() -> None:
    found = strength(expected(10, 5, 1), PROFILE)
    assert found.shows(floor_dn=FLOOR)
    assert not found.shows(floor_dn=FLOOR, predicted=0.0)
    assert strength(expected(50, 25, 5), PROFILE).shows(floor_dn=FLOOR, predicted=0.0)


def test_nothing_learned_nothing_shows() -> None:
    assert not strength(expected(90, 90, 90), np.zeros(3)).shows(floor_dn=FLOOR)


USUAL = np.array([1.0, 0.6, 0.4])


def test_what_stands_off_as_a_defect_would_is_believed() -> None:
    found = standing(expected(50, 30, 20), USUAL, np.zeros(3), 1)
    assert found.shows(floor_dn=FLOOR)
    assert 45 <= found.spread_dn[0] <= 55


def test_of_what_the_picture_allows_little_is_taken_for_a_defect() -> None:
    found = standing(expected(3.5, 0, 0), USUAL, np.zeros(3), 1)
    assert not found.shows(floor_dn=FLOOR)
    assert found.spread_dn[0] < 0.1


def test_what_another_defect_may_have_added_proves_nothing() -> None:
    found = standing(expected(50, 30, 20), USUAL, np.full(3, 100.0), 1)
    assert not found.shows(floor_dn=FLOOR)
