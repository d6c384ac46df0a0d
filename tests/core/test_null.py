"""The null: what good subpixels reach is foretold, whatever their tail."""

import numpy as np
import pytest

from hotpixeld.core.null import GREATEST_SCORE, Null, fitted

FLOOR = 2.4


def null_of(levels: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Null:
    sizes = np.abs(levels)
    return fitted(np.sort(sizes[sizes > FLOOR]), FLOOR, len(sizes))


@pytest.mark.parametrize("tail", ["gaussian", "mixed", "exponential"])
def test_the_greatest_good_level_is_about_the_one_of_score_zero(tail: str) -> None:
    beyond = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        levels = {
            "gaussian": rng.standard_normal(1_000_000),
            "mixed": rng.standard_normal(1_000_000) * rng.choice([0.8, 1.0, 1.3], 1_000_000),
            "exponential": rng.laplace(0, 0.7, 1_000_000),
        }[tail]
        null = null_of(levels)
        beyond.append(float(null.scores(np.array([np.abs(levels).max()]))[0]))
    assert -1 < np.median(beyond) < 1.2
    assert max(beyond) < 2.5


def test_level_and_score_are_each_others_inverse() -> None:
    null = null_of(np.random.default_rng(1).standard_normal(500_000))
    for score in (0.0, 2.0, 10.0, 50.0):
        assert null.scores(np.array([null.level(score)]))[0] == pytest.approx(score, abs=1e-6)
    assert null.scores(np.array([-1e6]))[0] == GREATEST_SCORE


def test_fewer_photos_ask_for_a_higher_level() -> None:
    null = null_of(np.random.default_rng(1).standard_normal(500_000))
    levels = [null.of_few(photos, 1.5).level(2.0) for photos in (10, 20, 40, 1000)]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] == pytest.approx(null.level(2.0), rel=0.01)


def test_a_frame_without_a_tail_is_judged_cautiously() -> None:
    assert fitted(np.zeros(0), FLOOR, 48).level(2.0) > 5
    assert fitted(np.full(3, 3.0), FLOOR, 1000).level(2.0) > 6
