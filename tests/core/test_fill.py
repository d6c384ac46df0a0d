"""What the good samples say about the doubtful ones."""

import numpy as np
import pytest

from hotpixeld.core.fill import Field, expectation, falloff, field_of


def ramp(channels: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    rows, columns = np.mgrid[:11, :11].astype(np.float64)
    return np.stack([100 + 2 * rows + columns + 5 * c for c in range(channels)], axis=2)


def test_a_ramp_is_expected_to_go_on() -> None:
    window = ramp()
    doubtful = np.zeros(window.shape, bool)
    doubtful[4:7, 4:7] = True
    expected = expectation(window, doubtful, field_of(window, ~doubtful))
    assert np.abs(expected.residuals_dn).max() < 0.6


def test_what_is_expected_does_not_depend_on_the_doubtful_values() -> None:
    window = ramp()
    doubtful = np.zeros(window.shape, bool)
    doubtful[4:7, 4:7] = True
    field = field_of(window, ~doubtful)
    spoiled = window + 90 * doubtful
    clean, off = (expectation(w, doubtful, field) for w in (window, spoiled))
    assert np.allclose(off.residuals_dn - clean.residuals_dn, 90)


def test_certain_signal_is_taken_out_whole_and_none_where_there_can_be_none() -> None:
    window = ramp()
    window[5, 5] += 80
    doubtful = np.zeros(window.shape, bool)
    doubtful[4:7, 4:7] = True
    expected = expectation(window, doubtful, field_of(window, ~doubtful))
    rows, columns, _ = expected.doubtful
    core = (rows == 5) & (columns == 5)
    zero = np.zeros(len(core))
    signal = expected.signal(zero, np.where(core, 1000.0, 0.0))
    assert np.allclose(signal[core], 80, atol=2)
    assert not signal[~core].any()


def test_a_channel_that_is_good_tells_of_the_others() -> None:
    rng = np.random.default_rng(2)
    luminance = rng.normal(120, 25, (11, 11))
    window = np.stack([luminance, luminance + 9, luminance - 7], axis=2)
    doubtful = np.zeros(window.shape, bool)
    doubtful[5, 5, 0] = True
    expected = expectation(window, doubtful, field_of(window, ~doubtful))
    assert abs(expected.residuals_dn[0]) < 3


def test_without_any_good_sample_there_is_still_an_answer() -> None:
    window = ramp(1)
    doubtful = np.ones(window.shape, bool)
    expected = expectation(window, doubtful, field_of(window, ~doubtful))
    assert np.isfinite(expected.residuals_dn).all()
    assert np.isfinite(expected.covariance_dn2).all()


@pytest.mark.parametrize("size", [1, 2])
def test_windows_of_a_pixel_or_two_have_a_covariance(size: int) -> None:
    window = np.full((size, size, 3), 7.0)
    field = field_of(window, np.ones(window.shape, bool))
    assert field.channels_dn2.shape == (3, 3)
    assert (np.diag(field.channels_dn2) > 0).all()
    assert np.array_equal(field.metric, np.eye(2))


@pytest.mark.parametrize("slope", [(1, 0), (0, 1), (1, 1), (1, -1)])
def test_an_edge_is_followed(slope: tuple[int, int]) -> None:
    rows, columns = np.mgrid[-7:8, -7:8]
    noise = np.random.default_rng(3).normal(0, 1, (15, 15))
    height = 120 * (slope[0] * rows + slope[1] * columns > 1) + noise
    window = np.repeat(height[..., None], 3, axis=2)
    doubtful = np.zeros(window.shape, bool)
    doubtful[6:9, 6:9] = True
    field = field_of(window, ~doubtful)
    same = Field(field.channels_dn2, np.eye(2))
    along, blind = (expectation(window, doubtful, each).residuals_dn for each in (field, same))
    assert np.square(along).mean() < 0.6 * np.square(blind).mean()


def test_conditioning_in_two_steps_is_conditioning_in_one() -> None:
    window = np.random.default_rng(6).normal(100, 20, (7, 6, 3)).cumsum(axis=0)
    doubtful = np.zeros(window.shape, bool)
    doubtful[2:5, 2:4, 0] = doubtful[3, 3] = True
    field = field_of(window, ~doubtful)
    found = expectation(window, doubtful, field)
    alike = field.alike(7, 6)[:, None, :, None] * field.channels_dn2[:, None]
    whole = alike.reshape(window.size, window.size) + np.eye(window.size)
    bad = doubtful.ravel()
    weights = np.linalg.solve(whole[np.ix_(~bad, ~bad)], whole[np.ix_(~bad, bad)])
    level = window[~doubtful].mean()
    told = level + weights.T @ (window[~doubtful] - level)
    left = whole[np.ix_(bad, bad)] - whole[np.ix_(bad, ~bad)] @ weights
    # the level is taken of other samples, which its great variance makes nearly the same
    assert np.allclose(found.residuals_dn, window[doubtful] - told, atol=0.05)
    assert np.allclose(found.covariance_dn2, left, rtol=1e-6, atol=1e-3)


def test_the_usual_reach_falls_off() -> None:
    reach = falloff(np.array([0.0, 1.0, 1.5, 2.0, 3.0, 9.0]))
    assert reach[0] == 1
    assert (np.diff(reach) < 0).all()
    assert reach[-1] < 0.02
