"""Ranking's loops over all subpixels, as their definitions say, compiled and in numpy."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpixeld.core import kernel
from hotpixeld.core.screening import (
    BAND_ROWS,
    Normal,
    Screen,
    Values,
    block_sums,
    blocks_of,
    phase_sums,
    screened,
)
from hotpixeld.core.spread import bands_of
from kernels import both, built

SCREEN = Screen(2.4, 0.3, 6.0)


@dataclass(frozen=True)
class Made:
    """Two fields of noise, and what is normal in them."""

    residual: npt.NDArray[np.int32]
    steadiness: npt.NDArray[np.int16]
    normals: tuple[Normal, Normal]

    @property
    def each(self) -> list[tuple[Values, Normal]]:
        """Either field with its own."""
        return [(self.residual, self.normals[0]), (self.steadiness, self.normals[1])]


def made(shape: tuple[int, int, int], seed: int, spread: float = 60.0) -> Made:
    rng = np.random.default_rng(seed)
    residual = rng.normal(0, spread, shape).astype(np.int32)
    steadiness = np.clip(rng.normal(0, 90, shape), -2500, 2500).astype(np.int16)
    residual[rng.random(shape) < 1e-3] = 2_000_000  # a defect
    return Made(residual, steadiness, (normal(shape, rng, spread), normal(shape, rng, 90.0)))


def normal(shape: tuple[int, int, int], rng: np.random.Generator, spread: float) -> Normal:
    blocks = blocks_of(shape[0]), blocks_of(shape[1]), shape[2]
    return Normal(
        (1 / (spread * rng.uniform(0.7, 1.5, blocks))).astype(np.float32),
        rng.normal(0, 0.05, (16, 16, shape[2])).astype(np.float32),
        rng.uniform(0.9, 1.1, (16, 16, shape[2])).astype(np.float32),
    )


def repeated(blocks: npt.NDArray[np.float32], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return blocks.repeat(16, axis=0).repeat(16, axis=1)[: shape[0], : shape[1]]


def tiled(phases: npt.NDArray[np.float32], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    whole = np.tile(phases, (blocks_of(shape[0]), blocks_of(shape[1]), 1))
    return whole[: shape[0], : shape[1]]


@both
@pytest.mark.parametrize("shape", [(32, 60, 3), (17, 16, 1), (5, 3, 4), (16, 4100, 3)])
def test_block_sums_are_the_sums_of_clipped_sizes(
    each: kernel.Kernel | None, shape: tuple[int, int, int]
) -> None:
    case = made(shape, 1)
    for values, limit in ((case.residual, 240), (case.steadiness, 360), (case.steadiness, 9000)):
        limits = np.arange(limit, limit + shape[2], dtype=np.int32)
        with kernel.using(each):
            sums = block_sums(values, limits)
        size = np.minimum(np.abs(values.astype(np.int64)), limits)
        for row in range(blocks_of(shape[0])):
            for column in range(blocks_of(shape[1])):
                block = size[16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
                assert np.array_equal(sums[row, column], block.sum(axis=(0, 1)))


@both
@pytest.mark.parametrize("shape", [(32, 60, 3), (17, 16, 1), (15, 40, 4), (32, 4100, 3)])
def test_phase_sums_are_those_of_whole_blocks_in_their_spreads(
    each: kernel.Kernel | None, shape: tuple[int, int, int]
) -> None:
    case = made(shape, 2)
    for values, usual in case.each:
        with kernel.using(each):
            total, size = phase_sums(values, usual.inverse)
        level = values * repeated(usual.inverse, shape).astype(np.float64)
        down, across = shape[0] // 16, shape[1] // 16
        whole = np.clip(level[: 16 * down, : 16 * across], -4, 4)
        at = whole.reshape(down, 16, across, 16, shape[2])
        assert np.allclose(total / 2**14, at.sum(axis=(0, 2)), atol=1e-4 * max(1, down * across))
        sizes = np.abs(at).sum(axis=(0, 2))
        assert np.allclose(size / 2**14, sizes, atol=1e-4 * max(1, down * across))


@both
def test_beyond_the_screen_is_what_stands_off_or_is_calm(each: kernel.Kernel | None) -> None:
    shape = (70, 90, 3)
    case, fields = made(shape, 3), []
    for values, usual in case.each:
        level = values * repeated(usual.inverse, shape) - tiled(usual.bias, shape)
        fields.append(level * tiled(usual.factor, shape))
    level, calm = fields
    level = level + np.copysign(0.3 * np.clip(calm, 0, 6), level)
    with kernel.using(each):
        for rows in bands_of(70, BAND_ROWS):
            off, calmer = screened(
                (case.residual[rows], case.steadiness[rows]), case.normals, rows, SCREEN
            )
            assert np.array_equal(off.places, np.flatnonzero(np.abs(level[rows]) >= 2.4))
            assert np.array_equal(calmer.places, np.flatnonzero(calm[rows] >= 2.4))
            assert np.allclose(off.levels, level[rows].ravel()[off.places], rtol=1e-5)
            assert np.allclose(calmer.levels, calm[rows].ravel()[calmer.places], rtol=1e-5)
    assert (off.levels < 0).any()


@built
@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 50),
    width=st.integers(1, 80) | st.sampled_from([1023, 1024, 1025, 4097]),
    channels=st.integers(1, 4),
    seed=st.integers(0, 2**32),
    spread=st.sampled_from([0.4, 60.0, 1e6]),
)
def test_compiled_and_numpy_loops_give_the_same_bits(
    *, height: int, width: int, channels: int, seed: int, spread: float
) -> None:
    case = made((height, width, channels), seed, spread)
    limits = np.full(channels, 1000, np.int32)
    found = []
    for each in (kernel.COMPILED, None):
        with kernel.using(each):
            rows = slice(0, height)
            fields = case.residual, case.steadiness
            off, calm = screened(fields, case.normals, rows, SCREEN)
            arrays = [off.places, off.levels, calm.places, calm.levels]
            for values, usual in case.each:
                arrays += [block_sums(values, limits), *phase_sums(values, usual.inverse)]
        found.append(arrays)
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


@built
def test_what_does_not_go_together_is_refused_and_nothing_is_changed() -> None:
    compiled = kernel.COMPILED
    assert compiled is not None
    values = np.ones((20, 30, 3), np.int32)
    sums, limits = np.zeros((2, 2, 3), np.int32), np.ones(3, np.int32)
    with pytest.raises(ValueError, match="limit"):
        compiled.block_sums(values, limits[:2], sums)
    with pytest.raises(ValueError, match="limit"):
        compiled.block_sums(values, limits, sums[:1])
    with pytest.raises(ValueError, match="type"):
        compiled.block_sums(values.astype(np.float32), limits, sums)
    assert not sums.any()
    total, size = np.zeros((16, 16, 3), np.int64), np.zeros((16, 16, 3), np.int64)
    with pytest.raises(ValueError, match="inverse"):
        compiled.phase_sums(values, np.ones((2, 1, 3), np.float32), 1.0, total, size)
    assert not total.any()
    inverse, steady = np.ones((2, 2, 3), np.float32), np.ones((20, 30, 3), np.int16)
    rooms = [(np.zeros(1799, np.int32), np.zeros(1799, np.float32)) for _ in range(2)]
    phases = np.zeros((4, 16, 16, 3), np.float32)
    with pytest.raises(ValueError, match="rooms"):
        compiled.screen(
            (values, steady), (inverse, inverse), phases, (0.0, 1.0, 1.0), (rooms[0], rooms[1])
        )
    assert not any(array.any() for room in rooms for array in room)
    sum_dn, out = np.ones((9, 30, 3), np.uint32), np.zeros((4, 30, 3), np.int16)
    table, least = np.zeros(3584, np.int32), np.zeros(4, np.uint64)
    for first, count in ((-1, 3), (6, 3), (0, 0), (0, 2**40)):
        with pytest.raises(ValueError, match="go together"):
            compiled.steadiness((sum_dn, sum_dn), (count, 1.0), table, first, (out, least))
    assert not out.any()
