"""What exposure and ISO let one expect of a defect."""

import numpy as np
import pytest

from hotpixeld.core.prediction import Prediction, predict

DOSES = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0] * 4)


def test_a_hot_pixel_is_expected_in_proportion_to_the_dose() -> None:
    generator = np.random.default_rng(1)
    series = np.rint(3 * DOSES + 5 + generator.normal(0, 3, len(DOSES))).astype(np.int64)
    found = predict(series, DOSES)
    usual = 3 * DOSES.mean() + 5
    assert found.at(100, 0.01) == pytest.approx((3 * 1 + 5) / usual, abs=0.1)
    assert found.at(1600, 0.02) == pytest.approx((3 * 32 + 5) / usual, abs=0.2)
    assert found.at(None, 0.01) == found.at(100, None) == 1.0
    assert found.at(1e6, 10.0) == 4.0


@pytest.mark.parametrize("level", [0, 40, -40])
def test_a_stuck_pixel_or_none_at_all_is_expected_as_usual(level: int) -> None:
    generator = np.random.default_rng(2)
    series = np.rint(level + generator.normal(0, 10, len(DOSES))).astype(np.int64)
    assert predict(series, DOSES) == Prediction()


def test_few_photos_or_one_exposure_tell_nothing() -> None:
    assert predict(np.arange(7), np.arange(7.0) + 1) == Prediction()
    assert predict(np.arange(24), np.full(24, 3.0)) == Prediction()
    assert predict(np.arange(24), np.full(24, np.nan)) == Prediction()
