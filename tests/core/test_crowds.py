"""Strokes of a text that is hardly there, and defects that happen to be neighbours."""

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont

from fakecamera import Defect, FakeCamera, from_jpeg, to_jpeg
from hotpixeld.core.defects import Candidate
from hotpixeld.core.moments import Moments
from hotpixeld.core.rank import rank

HEIGHT, WIDTH = 240, 320
WORDS = ("* my photo *", "(c) Jane Doe", "A", "i-x", "SAMPLE", "www.example.org")
COLOURS = ((255, 255, 255), (0, 0, 0), (255, 140, 20))
Frame = npt.NDArray[np.uint8]


def ranked(frames: list[Frame]) -> tuple[Candidate, ...]:
    moments = Moments.empty((HEIGHT, WIDTH, 3), 8)
    moments.fold(frames)
    return rank([moments]).candidates


def confirmed(candidates: tuple[Candidate, ...]) -> list[tuple[int, int]]:
    return [(c.row, c.column) for c in candidates if c.state == "confirmed"]


def marked(seed: int, opacity: float, photos: int = 20) -> list[Frame]:
    """Return photos with a translucent text in a corner or amid, and a stuck pixel at (60, 60)."""
    rng = np.random.default_rng([seed, 1])
    font = ImageFont.load_default(size=int(rng.integers(9, 28)))
    left, top = ((200, 15), (210, 200), (20, 205), (140, 110))[int(rng.integers(0, 4))]
    mark = Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(mark).text((left, top), str(rng.choice(WORDS)), font=font, fill=255)
    share = np.asarray(mark)[..., None] / 255 * opacity
    colour = np.array(COLOURS[int(rng.integers(0, len(COLOURS)))])
    defects = (Defect(60, 60, level=0.95),)
    shots = FakeCamera(WIDTH, HEIGHT, seed=seed, defects=defects).shoot(photos)
    return [
        from_jpeg(to_jpeg((shot.picture * (1 - share) + colour * share).astype(np.uint8)))
        for shot in shots
    ]


def near(places: list[tuple[int, int]], row: int, column: int) -> list[bool]:
    return [max(abs(r - row), abs(c - column)) <= 1 for r, c in places]


@pytest.mark.parametrize("opacity", [0.1, 0.2])
@pytest.mark.parametrize(
    ("first", "seeds"), [(0, 6), pytest.param(100, 100, marks=pytest.mark.soak)]
)
def test_no_stroke_of_a_translucent_text_is_confirmed(
    opacity: float, first: int, seeds: int
) -> None:
    found = [confirmed(ranked(marked(seed, opacity))) for seed in range(first, first + seeds)]
    wrong = [place for places in found for place in places if not any(near([place], 60, 60))]
    assert len(wrong) <= 0.08 * seeds  # 10 of 200 when it was written; the aim is none
    assert all(any(near(places, 60, 60)) for places in found)


def test_two_defects_side_by_side_are_no_crowd() -> None:
    defects = (Defect(60, 60, level=0.95), Defect(60, 72, "hot", offset=0.04))
    shots = FakeCamera(WIDTH, HEIGHT, seed=2, defects=defects).shoot(20)
    found = confirmed(ranked([shot.frame.astype(np.uint8) for shot in shots]))
    assert any(near(found, 60, 60))
    assert any(near(found, 60, 72))
    assert len(found) == 2


def test_a_lone_letter_that_is_redder_and_less_blue_than_the_photos_is_held_back() -> None:
    mark = Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(mark).text((200, 100), "A", font=ImageFont.load_default(size=8), fill=255)
    share = np.asarray(mark)[..., None] / 255
    frames = [
        from_jpeg(to_jpeg((shot.picture * (1 - share) + [255, 40, 10] * share).astype(np.uint8)))
        for shot in FakeCamera(WIDTH, HEIGHT, seed=3).shoot(20)
    ]
    assert not confirmed(ranked(frames))
