"""Parts of a JPEG decoded without the rest."""

import numpy as np
import pytest

from hotpixeld.core.box import Box
from hotpixeld.edge.surroundings import decode_parts, read_undecoded
from hotpixeld.errors import PhotoError
from jpegmaker import VARIANTS, encoded, frame_of, header_of, scene

PART = Box(30, 40, 50, 65)
LIMIT = 1_000_000


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != "one block"])
def test_the_frame_is_the_pictures_within_the_parts_and_empty_elsewhere(variant: str) -> None:
    data = VARIANTS[variant]()
    frame, _ = decode_parts(read_undecoded(data, LIMIT), [PART])
    whole = frame_of(data)
    assert frame.shape == whole.shape
    assert np.array_equal(PART.of(frame), PART.of(whole))
    PART.of(frame)[:] = 0
    assert not frame.any()


@pytest.mark.parametrize(
    "data",
    [
        encoded(scene(), progressive=True),
        encoded(scene())[:-200],
        b"GIF89a",
        b"",
    ],
    ids=["progressive", "cut", "gif", "empty"],
)
def test_what_is_no_whole_baseline_jpeg_is_refused(data: bytes) -> None:
    with pytest.raises(PhotoError):
        read_undecoded(data, LIMIT)


def test_a_picture_beyond_the_limit_is_refused() -> None:
    with pytest.raises(PhotoError) as refusal:
        read_undecoded(VARIANTS["4:2:0"](), 1000)
    assert refusal.value.reason == "too-large"


@pytest.mark.parametrize("variant", ["4:2:0", "restart by blocks"])
@pytest.mark.parametrize("more", [b"\x12", b"\x12" * 40, b"\xff" * 5000])
def test_bytes_after_the_picture_are_left_to_the_decoder(variant: str, more: bytes) -> None:
    data = VARIANTS[variant]()
    end = header_of(data).scan_end
    with pytest.raises(PhotoError):
        decode_parts(read_undecoded(data[:end] + more + data[end:], LIMIT), [PART])


def test_a_scan_that_lacks_a_part_is_refused() -> None:
    data = VARIANTS["4:2:0"]()
    end = header_of(data).scan_end
    with pytest.raises(PhotoError):
        decode_parts(read_undecoded(data[: end - 60] + data[end:], LIMIT), [PART])


def test_parts_that_are_most_of_the_picture_are_left_to_the_decoder() -> None:
    jpeg = read_undecoded(VARIANTS["4:2:0"](), LIMIT)
    with pytest.raises(PhotoError):
        decode_parts(jpeg, [PART] * 20)
