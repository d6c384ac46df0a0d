"""What looks like a defect and is none: every trap that real series showed, with made data."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from fakecamera import Defect, FakeCamera, Shot, bad_column, from_jpeg, group, to_jpeg
from hotpixeld.core import reasons
from hotpixeld.core.defects import Candidate
from hotpixeld.core.moments import Moments
from hotpixeld.core.rank import Ranking, rank

Frame = npt.NDArray[np.uint8]
REAL = Defect(120, 60, "stuck", level=0.95)


def ranked(frames: Sequence[Frame]) -> Ranking:
    height, width, channels = frames[0].shape
    moments = Moments.empty((height, width, channels), 8)
    moments.fold(frames)
    return rank([moments])


def frames_of(shots: Sequence[Shot]) -> list[Frame]:
    return [shot.frame.astype(np.uint8) for shot in shots]


def saved(frame: npt.NDArray[np.generic]) -> Frame:
    return from_jpeg(to_jpeg(frame.astype(np.uint8), quality=90))


def confirmed(ranking: Ranking) -> list[Candidate]:
    return [candidate for candidate in ranking.candidates if candidate.state == "confirmed"]


def is_real(candidate: Candidate, real: Defect = REAL) -> bool:
    return max(abs(candidate.row - real.row), abs(candidate.column - real.column)) <= 1


def test_a_date_stamp_is_held_back_as_a_region_and_the_true_defect_is_not() -> None:
    shots = FakeCamera(seed=1, defects=[REAL], date_stamp=True).shoot(25)
    ranking = ranked(frames_of(shots))
    assert [is_real(candidate) for candidate in confirmed(ranking)] == [True]
    held = [candidate for candidate in ranking.candidates if candidate.state == "held"]
    assert held
    assert {candidate.reason for candidate in held} <= {reasons.REGION, reasons.BORDER}


def test_a_logo_is_held_back_as_a_region() -> None:
    logo = Image.new("L", (320, 240))
    ImageDraw.Draw(logo).text((200, 20), "PHOTO Co.\nsince 1924", fill=255)
    ImageDraw.Draw(logo).ellipse((180, 20, 194, 34), outline=255)
    alpha = np.asarray(logo)[..., None] / 255 * 0.6
    frames = [
        saved(frame * (1 - alpha) + 255 * alpha)
        for frame in frames_of(FakeCamera(seed=2, defects=[REAL]).shoot(25))
    ]
    assert [is_real(candidate) for candidate in confirmed(ranked(frames))] == [True]


@pytest.mark.parametrize("seed", [71, 73, 74])
def test_a_faint_logo_is_held_back_before_all_of_its_strokes_are_sure(seed: int) -> None:
    logo = Image.new("L", (480, 320))
    ImageDraw.Draw(logo).text((370, 290), "* my photo *", fill=255)
    ImageDraw.Draw(logo).line((370, 306, 440, 306), fill=255)
    alpha = np.asarray(logo)[..., None] / 255 * 0.12
    frames = [
        saved(frame * (1 - alpha) + 255 * alpha)
        for frame in frames_of(FakeCamera(480, 320, seed=seed, defects=[REAL]).shoot(20))
    ]
    ranking = ranked(frames)
    assert [is_real(candidate) for candidate in confirmed(ranking)] == [True]
    assert reasons.REGION in {candidate.reason for candidate in ranking.candidates}


@pytest.mark.parametrize("border_px", [1, 3, 12])
def test_a_black_border_confirms_nothing(border_px: int) -> None:
    frames = frames_of(FakeCamera(seed=3, defects=[REAL]).shoot(25))
    for frame in frames:
        frame.setflags(write=True) if frame.flags.owndata else None
    framed = []
    for frame in frames:
        inside = np.zeros_like(frame)
        inner = slice(border_px, -border_px)
        inside[inner, inner] = frame[inner, inner]
        framed.append(saved(inside))
    assert [is_real(candidate) for candidate in confirmed(ranked(framed))] == [True]


@pytest.mark.parametrize("seed", range(4))
def test_a_tripod_series_confirms_nothing(seed: int) -> None:
    camera = FakeCamera(seed=seed)
    ranking = ranked(frames_of(camera.shoot(25, scene="tripod")))
    assert not confirmed(ranking)
    assert ranking.held_reason == reasons.LITTLE_VARIETY


def test_a_tripod_series_among_varied_photos_confirms_nothing() -> None:
    for seed in (20, 21, 22, 24, 46):
        camera = FakeCamera(seed=seed)
        shots = camera.shoot(12) + camera.shoot(12, scene="tripod")
        assert not confirmed(ranked(frames_of(shots)))


def test_a_strong_defect_is_confirmed_though_half_of_the_photos_are_a_tripod_series() -> None:
    camera = FakeCamera(seed=46, defects=[REAL])
    shots = camera.shoot(12) + camera.shoot(12, scene="tripod")
    assert [is_real(candidate) for candidate in confirmed(ranked(frames_of(shots)))] == [True]


def test_lens_cap_frames_confirm_no_good_pixel() -> None:
    camera = FakeCamera(seed=5, defects=[REAL])
    ranking = ranked(frames_of(camera.shoot(20, scene="cap")))
    assert all(is_real(candidate) for candidate in confirmed(ranking))


def test_clipped_skies_confirm_no_good_pixel() -> None:
    frames = []
    for frame in frames_of(FakeCamera(seed=6, defects=[REAL]).shoot(25)):
        sky = frame.copy()
        sky[:100] = 255
        frames.append(saved(sky))
    assert [is_real(candidate) for candidate in confirmed(ranked(frames))] == [True]


def test_pages_of_text_with_one_margin_confirm_nothing_amid_their_white() -> None:
    rng = np.random.default_rng(1)
    pages = []
    for _ in range(20):
        page = Image.new("L", (320, 240), 252)
        for row in range(20, 220, 14):
            text = "".join(rng.choice(list("abcdefghijklm nopqrstu"), 40))
            ImageDraw.Draw(page).text((30, row), text, fill=20)
        grey = np.asarray(page)[..., None].repeat(3, 2) + rng.normal(0, 1.5, (240, 320, 3))
        pages.append(saved(np.clip(grey, 0, 255)))
    ranking = ranked(pages)
    assert not confirmed(ranking)
    assert {c.reason for c in ranking.candidates} <= {
        reasons.CLIPPED,
        reasons.NOT_SURE,
        reasons.REGION,
        reasons.SMEARED,
    }


def test_block_corners_that_gather_a_bias_are_not_confirmed() -> None:
    rng = np.random.default_rng(7)
    corner = np.zeros((240, 320, 3))
    corner[7::8, 7::8, 0] = corner[8::8, 7::8, 2] = 3.0
    corner *= rng.random(corner.shape) < 0.3  # only some of them, so that they stand out
    frames = [
        np.clip(frame + corner + rng.normal(0, 0.5, frame.shape), 0, 255).astype(np.uint8)
        for frame in frames_of(FakeCamera(seed=7).shoot(80))
    ]
    assert not confirmed(ranked(frames))


def test_moved_pixels_confirm_no_good_pixel() -> None:
    rng = np.random.default_rng(8)
    frames = []
    for frame in frames_of(FakeCamera(seed=8, defects=[REAL]).shoot(30)):
        zoom = 1 + 0.03 * rng.random()  # digital zoom or lens correction: another for each photo
        box = (160 - 160 / zoom, 120 - 120 / zoom, 160 + 160 / zoom, 120 + 120 / zoom)
        image = Image.fromarray(frame).resize((320, 240), Image.Resampling.BICUBIC, box=box)
        frames.append(saved(np.asarray(image)))
    found = confirmed(ranked(frames))
    assert all(abs(c.row - REAL.row) <= 6 and abs(c.column - REAL.column) <= 6 for c in found)
    assert len(found) <= 1


def test_dust_is_wide_and_dark_and_not_ours() -> None:
    rows, columns = np.mgrid[:240, :320]
    dust = 1 - 0.2 * np.exp(-((rows - 80) ** 2 + (columns - 200) ** 2) / (2 * 6.0**2))
    frames = [saved(frame * dust[..., None]) for frame in frames_of(FakeCamera(seed=9).shoot(30))]
    assert not confirmed(ranked(frames))


def test_sharp_specks_of_dust_wider_than_a_dark_pixel_are_held_back() -> None:
    rows, columns = np.mgrid[:240, :320]
    dust = np.ones((240, 320))
    for row, column, width_px in ((80, 200, 2.0), (150, 90, 2.2), (200, 260, 2.5)):
        away = ((rows - row) ** 2 + (columns - column) ** 2) / (2 * width_px**2)
        dust *= 1 - 0.35 * np.exp(-(away**2))
    shots = FakeCamera(seed=9, defects=[REAL]).shoot(25)
    frames = [saved(frame * dust[..., None]) for frame in frames_of(shots)]
    ranking = ranked(frames)
    assert [is_real(candidate) for candidate in confirmed(ranking)] == [True]
    assert reasons.SMEARED in {candidate.reason for candidate in ranking.candidates}


def test_dead_photosites_in_a_row_are_darker_than_dust_and_confirmed() -> None:
    defects = [*bad_column(50, range(100, 115), level=0.0), *group(160, 250, 3, 3, level=0.0)]
    found = confirmed(ranked(frames_of(FakeCamera(seed=12, defects=defects).shoot(25))))
    assert sorted((c.row, c.column) for c in found) == [(107, 50), (161, 251)]


@pytest.mark.parametrize(
    "edited",
    [
        lambda frame: np.clip(frame * 1.2 + 10, 0, 255),
        lambda frame: frame,
    ],
)
def test_one_photo_saved_again_and_again_confirms_nothing(
    edited: Callable[[Frame], npt.NDArray[np.generic]],
) -> None:
    frame = frames_of(FakeCamera(seed=10).shoot())[0]
    frames = [saved(edited(frame))] * 20
    assert not confirmed(ranked(frames))
