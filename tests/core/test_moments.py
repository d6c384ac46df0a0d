"""The laws of the running moments."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpixeld.core import moments as module
from hotpixeld.core.moments import MAX_PHOTOS, Moments, MomentsFullError
from hotpixeld.core.residual import residual_rows

Frames = list[npt.NDArray[np.uint8]] | list[npt.NDArray[np.uint16]]


@st.composite
def stacks(draw: st.DrawFn) -> tuple[Frames, int]:
    bits = draw(st.sampled_from([8, 16]))
    shape = (draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.sampled_from([1, 3, 4])))
    count = draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    top = 2**bits
    low = draw(st.sampled_from([0, top // 2, top - 1]))
    if bits == 8:
        return [rng.integers(low, top, shape, np.uint8) for _ in range(count)], 8
    return [rng.integers(low, top, shape, np.uint16) for _ in range(count)], 16


def moments_of(frames: Sequence[module.Frame], bits: int) -> Moments:
    height, width, channels = frames[0].shape
    moments = Moments.empty((height, width, channels), bits)
    moments.fold(frames)
    return moments


def assert_same(one: Moments, other: Moments) -> None:
    assert one.count == other.count
    for name, array in one.arrays().items():
        assert array.dtype == other.arrays()[name].dtype
        assert np.array_equal(array, other.arrays()[name]), name


@given(stacks())
@settings(max_examples=60, deadline=None)
def test_one_by_one_equals_the_whole_stack_at_once(stack: tuple[Frames, int]) -> None:
    frames, bits = stack
    whole = np.stack(frames).astype(np.uint64)
    moments = moments_of(frames[:1], bits)
    for frame in frames[1:]:
        moments.fold([frame])
    assert_same(moments, moments_of(frames, bits))
    assert np.array_equal(moments.sum_dn, whole.sum(axis=0))
    assert np.array_equal(moments.sum_squares_dn2, (whole**2).sum(axis=0))
    residuals = [residual_rows(frame, slice(0, frame.shape[0])) for frame in frames]
    assert np.array_equal(moments.residual, np.sum(residuals, axis=0, dtype=np.int64))


@given(stacks(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_frames_does_not_matter(stack: tuple[Frames, int], random: object) -> None:
    frames, bits = stack
    shuffled: list[module.Frame] = [*frames]
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis has no public type for it
    assert_same(moments_of(shuffled, bits), moments_of(frames, bits))


@given(stacks(), st.integers(0, 7), st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_any_split_and_merge_gives_the_same_moments(
    stack: tuple[Frames, int], first: int, second: int
) -> None:
    frames, bits = stack
    cuts = sorted((min(first, len(frames)), min(second, len(frames))))
    whole = moments_of(frames, bits)
    merged = Moments.empty(whole.shape, bits)
    for part in (frames[: cuts[0]], frames[cuts[0] : cuts[1]], frames[cuts[1] :]):
        moments = Moments.empty(whole.shape, bits)
        moments.fold(part)
        merged.merge(moments)
    assert_same(merged, whole)


@given(stacks(), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_the_formula_of_chan_golub_and_leveque_holds(stack: tuple[Frames, int], cut: int) -> None:
    frames, bits = stack
    if len(frames) < 2:
        return
    cut = min(cut, len(frames) - 1)
    a, b, whole = (moments_of(part, bits) for part in (frames[:cut], frames[cut:], frames))
    delta = b.mean() - a.mean()
    squares = a.variance() * a.count + b.variance() * b.count
    squares += delta**2 * a.count * b.count / whole.count
    assert np.allclose(whole.variance() * whole.count, squares, rtol=1e-9, atol=1e-6)
    assert np.allclose(whole.mean(), a.mean() + delta * b.count / whole.count)


@given(stacks())
@settings(max_examples=30, deadline=None)
def test_saving_and_loading_is_identity(stack: tuple[Frames, int]) -> None:
    moments = moments_of(stack[0], stack[1])
    saved = {name: array.copy() for name, array in moments.arrays().items()}
    loaded = Moments.from_arrays(moments.shape, stack[1], moments.count, saved)
    assert_same(loaded, moments)


def test_the_variance_of_the_greatest_sums_is_exact() -> None:
    moments = Moments.empty((1, 2, 1), 16)
    half = MAX_PHOTOS // 2
    moments.sum_dn[...] = half * 65535
    moments.sum_squares_dn2[...] = np.uint64(half * 65535**2)
    moments.count = MAX_PHOTOS
    assert np.all(moments.variance() == 65535**2 / 4)


def test_more_photos_than_the_integers_hold_are_refused_and_nothing_changes() -> None:
    moments = Moments.empty((2, 2, 1), 8)
    moments.count = MAX_PHOTOS
    frame = np.full((2, 2, 1), 9, np.uint8)
    with pytest.raises(MomentsFullError):
        moments.fold([frame])
    other = moments_of([frame], 8)
    with pytest.raises(MomentsFullError):
        moments.merge(other)
    assert moments.count == MAX_PHOTOS
    assert not moments.sum_dn.any()


def test_a_frame_of_another_shape_or_depth_is_refused_and_nothing_changes() -> None:
    moments = Moments.empty((4, 4, 3), 8)
    good = np.ones((4, 4, 3), np.uint8)
    for bad in (np.ones((4, 5, 3), np.uint8), np.ones((4, 4, 3), np.uint16)):
        with pytest.raises(ValueError, match="is not"):
            moments.fold([good, bad])
    assert moments.count == 0
    assert not moments.sum_dn.any()


def test_arrays_of_another_shape_or_type_are_refused() -> None:
    arrays = Moments.empty((4, 4, 3), 8).arrays()
    with pytest.raises(ValueError, match="sum_dn"):
        Moments.from_arrays((4, 5, 3), 8, 1, arrays)
    with pytest.raises(ValueError, match="sum_squares"):
        Moments.from_arrays((4, 4, 3), 16, 1, arrays)
    with pytest.raises(ValueError, match="count"):
        Moments.from_arrays((4, 4, 3), 8, -1, arrays)


def test_folding_in_bands_equals_folding_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    frames = [rng.integers(0, 256, (40, 30, 3), np.uint8) for _ in range(70)]
    whole = moments_of(frames, 8)
    monkeypatch.setattr(module, "_BAND_VALUES", 100)
    assert_same(moments_of(frames, 8), whole)


def test_few_photos_have_narrow_sums_until_they_are_more_and_the_same_ones() -> None:
    generator = np.random.default_rng(8)
    frames = [generator.integers(250, 256, (9, 11, 3), dtype=np.uint8) for _ in range(256)]
    for frame in frames:
        frame[4, 5] = 255 if frame is not frames[0] else 0
    few, plain = Moments.empty((9, 11, 3), 8, few=True), Moments.empty((9, 11, 3), 8)
    for start, stop, held in ((0, 100, 2), (100, 255, 2), (255, 256, 4)):
        few.fold(frames[start:stop])
        plain.fold(frames[start:stop])
        assert few.sum_dn.itemsize == few.residual.itemsize == held
        assert np.array_equal(few.sum_dn, plain.sum_dn)
        assert np.array_equal(few.residual, plain.residual)
        assert np.array_equal(few.variance(), plain.variance())
        assert np.array_equal(few.mean(), plain.mean())
    part = Moments.empty((9, 11, 3), 8, few=True)
    part.fold(frames[:200])
    merged = Moments.empty((9, 11, 3), 8, few=True)
    merged.fold(frames[200:])
    merged.merge(part)
    assert_same(merged, plain)
    assert merged.sum_dn.dtype == np.uint32
