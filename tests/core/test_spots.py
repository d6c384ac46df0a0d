"""Spots: one per defect, with peak, footprint, channels and kind, wherever it lies."""

import numpy as np
import pytest

from fakecamera import Defect, Development, FakeCamera, bad_column, group
from hotpixeld.core.defects import Candidate, FootprintPixel
from hotpixeld.core.moments import Moments
from hotpixeld.core.rank import rank
from hotpixeld.core.spots import Spot, without_ghosts

FINE = Development(subsampling="4:4:4", quality=95)


def confirmed(
    defects: tuple[Defect, ...], *, seed: int = 1, photos: int = 25, development: Development = FINE
) -> list[Candidate]:
    camera = FakeCamera(192, 144, seed=seed, defects=defects, development=development)
    moments = Moments.empty((144, 192, 3), 8)
    moments.fold([shot.frame.astype(np.uint8) for shot in camera.shoot(photos)])
    return [candidate for candidate in rank([moments]).candidates if candidate.state == "confirmed"]


def pixels(candidate: Candidate) -> set[tuple[int, int]]:
    return {(pixel.row, pixel.column) for pixel in candidate.footprint}


@pytest.mark.parametrize(("height", "width"), [(1, 2), (2, 1), (2, 2)])
def test_doublets_and_groups_are_one_spot_that_covers_them(height: int, width: int) -> None:
    defects = group(70, 90, height, width)
    found = confirmed(defects)
    assert len(found) == 1
    assert {(defect.row, defect.column) for defect in defects} <= pixels(found[0])
    assert found[0].kind == "stuck"


@pytest.mark.parametrize(("height", "width"), [(1, 2), (2, 1), (2, 2)])
@pytest.mark.parametrize("top", [70, 71])
def test_of_two_middle_pixels_the_greater_row_and_column_is_reported(
    height: int, width: int, top: int
) -> None:
    rows, columns = np.mgrid[-12:13, -12:13]
    stuck = (np.isin(rows, range(height)) & np.isin(columns, range(width)))[..., None]
    rng = np.random.default_rng(top)
    moments = Moments.empty((144, 192, 3), 8)
    for shot in FakeCamera(192, 144, seed=top, development=FINE).shoot(20):
        frame = shot.frame.astype(np.uint8)
        frame[top - 12 : top + 13, 78:103] = np.where(
            stuck,
            210 + rng.integers(0, 12, frame[:25, :25].shape),
            frame[top - 12 : top + 13, 78:103],
        )
        moments.fold([frame])
    found = [
        candidate for candidate in rank([moments]).candidates if candidate.state == "confirmed"
    ]
    assert [(c.row, c.column) for c in found] == [(top + height - 1, 90 + width - 1)]


@pytest.mark.parametrize("seed", range(4))
def test_a_defect_of_one_photosite_is_reported_there(seed: int) -> None:
    defects = tuple(Defect(20 + 30 * n, 20 + 37 * n, "stuck", level=0.95) for n in range(4))
    found = confirmed(defects, seed=seed, photos=20)
    assert sorted((c.row, c.column) for c in found) == [(d.row, d.column) for d in defects]


def test_two_defects_some_pixels_apart_are_two_spots() -> None:
    found = confirmed((Defect(70, 60), Defect(70, 72)))
    assert sorted((c.row, c.column) for c in found) == [(70, 60), (70, 72)]


def test_a_bad_column_is_kept_together() -> None:
    found = confirmed(bad_column(100, range(30, 110)))
    assert len(found) == 1
    assert {(row, 100) for row in range(32, 108)} <= pixels(found[0])
    assert max(column for _, column in pixels(found[0])) <= 104


@pytest.mark.parametrize(
    "site", [(0, 0), (0, 191), (143, 0), (143, 191), (0, 90), (143, 90), (70, 0), (70, 191)]
)
def test_a_defect_in_a_corner_or_on_an_edge_is_found(site: tuple[int, int]) -> None:
    found = confirmed((Defect(site[0], site[1], level=0.95),))
    assert [(c.row, c.column) for c in found] == [site]


def test_a_defect_in_one_channel_spoils_that_channel_alone() -> None:
    clean = Development(sharpen=0.0, subsampling="4:4:4", quality=97)
    found = confirmed((Defect(60, 80, "hot", offset=0.1, channel=2),), development=clean)
    assert [(c.row, c.column) for c in found] == [(60, 80)]
    assert found[0].channels == (2,)
    assert found[0].excess_dn[2] > 10
    assert abs(found[0].excess_dn[0]) < 5


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_the_ghosts_of_a_strong_defect_are_not_defects(subsampling: str) -> None:
    how = Development(subsampling=subsampling, quality=85)  # type: ignore[arg-type]  # parametrised
    found = confirmed((Defect(66, 85, level=1.0),), development=how, photos=40)
    assert [(c.row, c.column) for c in found] == [(66, 85)]
    assert len(found[0].footprint) < 60


def test_a_pixel_stuck_amid_the_scenes_range_is_found_by_its_variance() -> None:
    found = confirmed((Defect(66, 85, level=0.14),), photos=30)
    assert [(abs(c.row - 66) <= 1, abs(c.column - 85) <= 1, c.kind) for c in found] == [
        (True, True, "stuck")
    ]


def spot_at(row: int, column: int, strength_dn: float) -> Spot:
    pixel = FootprintPixel(row, column, (strength_dn,), (True,))
    excess = (strength_dn,)
    return Spot(
        row=row,
        column=column,
        score=9.0,
        by_calm=False,
        kind="hot",
        mean_dn=(90.0,),
        variance_dn2=(1.0,),
        excess_dn=excess,
        footprint=(pixel,),
        half_area_px=1,
        strength_dn=strength_dn,
    )


@pytest.mark.parametrize(("column", "is_ghost"), [(40, True), (47, True), (48, True), (49, False)])
def test_an_echo_is_in_the_blocks_of_the_stronger_spot_or_directly_beside_them(
    column: int, *, is_ghost: bool
) -> None:
    strong, faint = spot_at(66, 37, 60.0), spot_at(70, column, 5.0)
    assert without_ghosts([faint, strong]) == ([strong] if is_ghost else [strong, faint])
    alike = spot_at(70, column, 30.0)
    assert without_ghosts([alike, strong]) == [strong, alike]


def test_a_channel_that_only_the_residuals_show_is_spoiled_too() -> None:
    camera = FakeCamera(320, 240, seed=5, defects=[Defect(60, 80, level=0.95)])
    moments = Moments.empty((240, 320, 3), 8)
    moments.fold([shot.frame.astype(np.uint8) for shot in camera.shoot(20)])
    (found,) = [c for c in rank([moments]).candidates if c.state == "confirmed"]
    assert (found.row, found.column) == (60, 80)
    (peak,) = [p for p in found.footprint if (p.row, p.column) == (60, 80)]
    assert peak.spoiled == (True, True, True)
