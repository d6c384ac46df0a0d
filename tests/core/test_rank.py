"""Ranking: true defects come up, good pixels do not."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fakecamera import Defect, Development, FakeCamera
from hotpixeld.core import kernel, reasons
from hotpixeld.core.moments import Moments
from hotpixeld.core.rank import Ranking, rank

STRONG = (
    Defect(60, 80, "stuck", level=0.95),
    Defect(131, 200, "hot", offset=0.05),
    Defect(190, 41, "dead", response=0.0),
    Defect(1, 150, "stuck", level=0.95),
    Defect(239, 319, "stuck", level=0.95),
)


def folded(frames: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> Moments:
    height, width, channels = frames[0].shape
    moments = Moments.empty((height, width, channels), 8 * frames[0].dtype.itemsize)
    moments.fold(frames)
    return moments


def confirmed(ranking: Ranking) -> set[tuple[int, int]]:
    return {(c.row, c.column) for c in ranking.candidates if c.state == "confirmed"}


@pytest.fixture(scope="module")
def moments() -> Moments:
    camera = FakeCamera(seed=11, defects=STRONG)
    return folded([shot.frame.astype(np.uint8) for shot in camera.shoot(30)])


def test_strong_defects_are_confirmed_and_nothing_else(moments: Moments) -> None:
    found = confirmed(rank([moments]))
    truth = {(defect.row, defect.column) for defect in STRONG}
    for site in truth:
        assert any(abs(site[0] - r) <= 1 and abs(site[1] - c) <= 1 for r, c in found), site
    assert len(found) == len(truth)


def test_kinds_are_told_apart(moments: Moments) -> None:
    kinds = {}
    for candidate in rank([moments]).candidates:
        if candidate.state == "confirmed":
            kinds[candidate.row // 10, candidate.column // 10] = candidate.kind
    assert kinds[6, 8] == "stuck"
    assert kinds[13, 20] == "hot"
    assert kinds[19, 4] == "dead"


def test_epochs_rank_as_the_whole(moments: Moments) -> None:
    shots = FakeCamera(seed=11, defects=STRONG).shoot(30)
    parts = [
        folded([shot.frame.astype(np.uint8) for shot in half]) for half in (shots[:12], shots[12:])
    ]
    assert rank(parts) == rank([moments])


def test_numpy_and_several_threads_rank_as_the_compiled_kernel_does(moments: Moments) -> None:
    alone = rank([moments])
    with ThreadPoolExecutor(3) as pool:
        assert rank([moments], spread=pool.map) == alone
        with kernel.using(None):
            assert rank([moments], spread=pool.map) == rank([moments]) == alone


def test_whoever_gives_up_ends_the_ranking_and_the_moments_stay(moments: Moments) -> None:
    def give_up() -> None:
        raise InterruptedError

    before = {name: array.copy() for name, array in moments.arrays().items()}
    with ThreadPoolExecutor(2) as pool, pytest.raises(InterruptedError):
        rank([moments], on_progress=give_up, spread=pool.map)
    for name, array in moments.arrays().items():
        assert np.array_equal(array, before[name])


def test_a_camera_without_defects_confirms_nothing() -> None:
    for seed in range(3):
        camera = FakeCamera(seed=seed, development=Development("gradient", quality=88))
        assert not confirmed(rank([folded([s.frame.astype(np.uint8) for s in camera.shoot(20)])]))


def test_few_photos_and_no_photo_rank_nothing() -> None:
    empty = rank([Moments.empty((32, 32, 3), 8)])
    assert (empty.candidates, empty.held_reason, empty.photos) == ((), reasons.FEW_PHOTOS, 0)


def test_least_variance_is_what_numpy_says(moments: Moments) -> None:
    ranking = rank([moments])
    variance = moments.variance()
    assert ranking.variance.least == pytest.approx(variance.min())
    assert ranking.variance.greatest == pytest.approx(variance.max())
    assert ranking.variance.mean == pytest.approx(variance.mean())
    ten = sorted(variance.ravel())[:10]
    assert [found.variance_dn2 for found in ranking.least_variance] == pytest.approx(ten)


def test_parts_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        rank([Moments.empty((8, 8, 3), 8), Moments.empty((8, 9, 3), 8)])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 7, 3), (3, 3, 4), (5, 40, 1), (16, 16, 3), (130, 50, 3)]
)
def test_frames_of_any_size_and_content_rank_without_a_false_alarm(
    shape: tuple[int, int, int], bits: int
) -> None:
    rng = np.random.default_rng(0)
    top = 2**bits
    for made in (rng.integers(0, top, (8, *shape)), np.full((8, *shape), top - 1)):
        frames = made.astype(np.uint8) if bits == 8 else made.astype(np.uint16)
        moments = Moments.empty(shape, bits)
        moments.fold(list(frames))
        assert not confirmed(rank([moments]))


def test_raw_data_of_sixteen_bits_is_ranked_too() -> None:
    camera = FakeCamera(seed=3, grey16=True, defects=STRONG)
    moments = Moments.empty((240, 320, 1), 16)
    moments.fold([shot.frame.astype(np.uint16) for shot in camera.shoot(25)])
    found = confirmed(rank([moments]))
    assert {(60, 80), (131, 200), (239, 319)} <= found
    assert found <= {(defect.row, defect.column) for defect in STRONG}
