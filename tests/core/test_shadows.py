"""Specks of dust are told from dark photosites by width and colour."""

import numpy as np
import numpy.typing as npt
import pytest

from fakecamera import Defect, Development, FakeCamera
from hotpixeld.core import reasons
from hotpixeld.core.defects import Candidate
from hotpixeld.core.moments import Moments
from hotpixeld.core.rank import rank

HEIGHT, WIDTH = 240, 320
DEVELOPMENTS = (
    Development("bilinear", 0.5, 0.0, 92, "4:2:0"),
    Development("gradient", 0.4, 0.6, 88, "4:2:0"),
    Development("bilinear", 0.7, 0.3, 95, "4:4:4"),
    Development("bilinear", 0.3, 0.5, 85, "4:2:2"),
)
Dust = npt.NDArray[np.float32]


def squares(rng: np.random.Generator, count: int) -> Dust:
    """Return hard specks of 3 x 3 pixels."""
    dust = np.zeros((HEIGHT, WIDTH), np.float32)
    for _ in range(count):
        row, column = int(rng.integers(6, HEIGHT - 6)), int(rng.integers(6, WIDTH - 6))
        dust[row - 1 : row + 2, column - 1 : column + 2] = rng.uniform(0.15, 0.4)
    return dust


def discs(rng: np.random.Generator, count: int) -> Dust:
    """Return specks of 3 to 25 pixels, 2 to 40 % deep, with soft and with hard edges."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    dust = np.zeros((HEIGHT, WIDTH), np.float32)
    for _ in range(count):
        row, column = rng.uniform(0, HEIGHT), rng.uniform(0, WIDTH)
        radius_px = np.exp(rng.uniform(np.log(1.5), np.log(12.5)))
        edge_px = max(0.3, rng.uniform(0, 1) * radius_px)
        away = np.hypot(rows - row, columns - column)
        shape = np.clip((radius_px + edge_px / 2 - away) / edge_px, 0, 1)
        depth = np.exp(rng.uniform(np.log(0.02), np.log(0.4)))
        dust = np.maximum(dust, (depth * shape).astype(np.float32))
    return dust


def ranked(camera: FakeCamera, photos: int = 20) -> tuple[Candidate, ...]:
    moments = Moments.empty((camera.height, camera.width, 3), 8)
    moments.fold([shot.frame.astype(np.uint8) for shot in camera.shoot(photos)])
    return rank([moments]).candidates


def confirmed(candidates: tuple[Candidate, ...]) -> list[tuple[int, int]]:
    return [(c.row, c.column) for c in candidates if c.state == "confirmed"]


def dusty(seed: int, dust: Dust, defects: tuple[Defect, ...] = ()) -> FakeCamera:
    how = DEVELOPMENTS[seed % len(DEVELOPMENTS)]
    return FakeCamera(WIDTH, HEIGHT, seed=seed, defects=defects, development=how, dust=dust)


@pytest.mark.parametrize("seed", range(4))
def test_specks_of_3_by_3_pixels_are_held_back_and_a_hot_pixel_is_not(seed: int) -> None:
    dust = squares(np.random.default_rng([seed, 1]), 20)
    dust[112:130, 150:168] = 0
    candidates = ranked(dusty(seed, dust, (Defect(120, 160, level=0.95),)))
    assert confirmed(candidates) == [(120, 160)]
    assert reasons.SHADOW in {c.reason for c in candidates if c.state == "held"}


@pytest.mark.parametrize(
    ("first", "seeds"), [(50, 3), pytest.param(100, 60, marks=pytest.mark.soak)]
)
@pytest.mark.parametrize("shape", [squares, discs])
def test_hardly_a_speck_of_any_size_is_taken_for_a_dark_pixel(
    shape: object, first: int, seeds: int
) -> None:
    specks, wrong = 0, 0
    for seed in range(first, first + seeds):
        rng = np.random.default_rng([seed, 2])
        count = round(np.exp(rng.uniform(np.log(3), np.log(60))))
        dust = squares(rng, count) if shape is squares else discs(rng, count)
        specks += count
        wrong += len(confirmed(ranked(dusty(seed, dust))))
    assert wrong <= 0.01 * specks


@pytest.mark.parametrize("response", [0.0, 0.25])
def test_dead_and_weak_photosites_without_any_dust_are_confirmed(response: float) -> None:
    places = [(60, 80), (61, 201), (150, 90), (151, 230)]  # red, blue, and green on either row
    places += [(200, 141), (101, 260)]
    dead = tuple(Defect(*place, "dead", response=response) for place in places)
    camera = FakeCamera(WIDTH, HEIGHT, seed=3, defects=dead, development=DEVELOPMENTS[2])
    found = confirmed(ranked(camera))
    assert all(
        any(max(abs(row - r), abs(column - c)) <= 1 for r, c in found) for row, column in places
    )
