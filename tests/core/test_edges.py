"""The frame's edge lines have a normal of their own."""

import numpy as np

from hotpixeld.core.edges import edges_of
from hotpixeld.core.fields import combined
from hotpixeld.core.moments import Moments
from hotpixeld.core.screening import Beyond, Normal

SHAPE = (120, 160, 3)


def learned(residual: np.ndarray[tuple[int, int, int], np.dtype[np.int32]]) -> Beyond:
    height, width, channels = residual.shape
    moments = Moments.empty((height, width, channels), 8)
    moments.residual[:] = residual
    blocks = np.full((-(-height // 16), -(-width // 16), channels), 0.01, np.float32)
    none, one = np.zeros((16, 16, channels), np.float32), np.ones((16, 16, channels), np.float32)
    edges = edges_of(combined([moments]), Normal(blocks, none, one))
    levels = (residual * np.float32(0.01)).ravel()
    places = np.flatnonzero(np.abs(levels) >= 2)
    return edges.eased(Beyond(places, levels[places]), 2.0)


def test_a_wide_line_at_the_edge_is_measured_by_its_own_spread_and_bias() -> None:
    residual = np.random.default_rng(1).normal(0, 100, SHAPE)
    inside = residual.copy()
    residual[0] = residual[0] * 2.5 + 150
    residual[:, -3] *= 2.5
    eased = learned(residual.astype(np.int32))
    rows, columns, _ = np.unravel_index(eased.places, SHAPE)
    for outer in (rows == 0, columns == SHAPE[1] - 3):
        assert outer.sum() < 0.12 * 3 * 160
        assert np.abs(eased.levels[outer]).max() < 4.5
    within = (rows > 2) & (columns > 2) & (rows < SHAPE[0] - 3) & (columns < SHAPE[1] - 3)
    expected = np.abs(inside[3:-3, 3:-3].astype(np.int32) * np.float32(0.01)) >= 2
    assert within.sum() == expected.sum()


def test_a_narrow_line_is_not_widened_and_a_small_frame_has_no_lines() -> None:
    residual = np.random.default_rng(2).normal(0, 100, SHAPE)
    residual[-1] *= 0.1
    residual[-1, 50, 1] = 900
    eased = learned(residual.astype(np.int32))
    at = np.ravel_multi_index((SHAPE[0] - 1, 50, 1), SHAPE)
    assert 8.9 < eased.levels[eased.places == at][0] < 9.1
    small = np.full((20, 30, 3), 300, np.int32)
    assert np.allclose(learned(small).levels, 3.0)
