"""The residual is exactly what its definition says."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpixeld.core import residual as module
from hotpixeld.core.residual import add_residuals, residual_rows


def by_the_letter(frame: module.Frame, row: int, column: int) -> list[int]:
    """The definition at the head of the module, one subpixel at a time, in Python's integers."""
    height, width, channels = frame.shape
    deep = frame.dtype == np.uint16

    def mirrored(position: int, length: int) -> int:
        if length == 1:
            return 0
        position = abs(position) % (2 * (length - 1))
        return position if position < length else 2 * (length - 1) - position

    def value(r: int, c: int, channel: int) -> int:
        v = int(frame[mirrored(r, height), mirrored(c, width), channel])
        return v >> 4 if deep else v

    def off(r: int, c: int, channel: int) -> tuple[int, int]:
        pairs = sorted(
            value(r + a, c + b, channel) + value(r - a, c - b, channel)
            for a, b in ((2, 0), (0, 2), (2, 2), (2, -2))
        )
        return 4 * value(r, c, channel) - pairs[1] - pairs[2], pairs[1] + pairs[2]

    shift, cap = (2 if deep else 0), 1310 // channels
    around = 0
    for r in range(row - 3, row + 4):
        for c in range(column - 3, column + 4):
            if max(abs(r - row), abs(c - column)) > 1:
                around += sum(min(abs(off(r, c, k)[0]) >> shift, cap) for k in range(channels))
    divisor = (around + 160 * channels) << shift
    weight = (2 * 4096 * 640 * channels + divisor) // (2 * divisor)
    result = []
    for channel in range(channels):
        r, e = off(row, column, channel)
        silent = e == 0 or e >= 4 * 250 * (16 if deep else 1)
        result.append(0 if silent else max(-128, min(128, (r * weight + 2048) >> 12)))
    return result


@given(
    st.integers(1, 14),
    st.integers(1, 14),
    st.sampled_from([1, 3, 4]),
    st.sampled_from([8, 16]),
    st.integers(0, 2**32),
)
@settings(max_examples=25, deadline=None)
def test_every_residual_is_what_the_definition_says(
    height: int,
    width: int,
    channels: int,
    bits: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    top = int(rng.choice([3, 30, 256])) * (256 if bits == 16 else 1)
    values = rng.integers(0, top, (height, width, channels))
    frame = values.astype(np.uint16) if bits == 16 else values.astype(np.uint8)
    found = residual_rows(frame)
    for row, column in {(0, 0), (height - 1, width - 1), (height // 2, width // 3)}:
        assert found[row, column].tolist() == by_the_letter(frame, row, column)


@pytest.mark.parametrize("extreme", [0, 255])
def test_the_greatest_contrasts_do_not_overflow(extreme: int) -> None:
    rng = np.random.default_rng(1)
    for top in (255, 65535):
        for channels in (1, 3, 4):
            drawn = rng.choice([0, top], (20, 20, channels))
            drawn[8:12, 8:12] = top if extreme else 0
            values = drawn.astype(np.uint8) if top == 255 else drawn.astype(np.uint16)
            found = residual_rows(values)
            for row, column in ((10, 10), (7, 9), (3, 16)):
                assert found[row, column].tolist() == by_the_letter(values, row, column)


def test_rows_and_tiles_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    frame: npt.NDArray[np.uint8] = rng.integers(0, 256, (50, 70, 3), np.uint8)
    whole = residual_rows(frame)
    assert np.array_equal(residual_rows(frame, slice(7, 9)), whole[7:9])
    monkeypatch.setattr(module, "_TILE_ROWS", 9)
    monkeypatch.setattr(module, "_TILE_COLUMNS", 13)
    total = np.zeros(frame.shape, np.int32)
    add_residuals([frame] * 300, total)
    assert np.array_equal(total, 300 * whole.astype(np.int64))


def test_a_bright_pixel_in_a_flat_sky_counts_eight_spreads_and_in_foliage_less() -> None:
    rng = np.random.default_rng(3)
    sky = np.full((21, 21, 1), 100, np.uint8)
    foliage = rng.integers(60, 140, (21, 21, 1), np.uint8)
    sky[10, 10] = foliage[10, 10] = 150
    assert residual_rows(sky)[10, 10, 0] == 128
    assert 0 < residual_rows(foliage)[10, 10, 0] < 64


def test_clipped_surroundings_say_nothing() -> None:
    white = np.full((21, 21, 1), 255, np.uint8)
    white[10, 10] = 0
    black = np.zeros((21, 21, 1), np.uint8)
    black[10, 10] = 255
    assert residual_rows(white)[10, 10, 0] == 0
    assert residual_rows(black)[10, 10, 0] == 0


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("shift", [0, 2])
def test_all_reciprocals_are_rounded_rightly_in_float32(channels: int, shift: int) -> None:
    around = np.arange(65_536, dtype=np.uint16)
    divisors = (around.astype(np.int64) + 160 * channels) << shift
    exact = (2 * 4096 * 640 * channels + divisors) // (2 * divisors)
    assert np.array_equal(module._reciprocals(around, channels, shift), exact)
