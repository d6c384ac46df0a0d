import random

import pytest

import pictures
from hotpixeld.edge import jpegfile, reasons
from hotpixeld.edge.photo import read_photo
from hotpixeld.errors import PhotoError

OPTIONS = [
    {"quality": 90},
    {"quality": 75, "subsampling": 2},
    {"quality": 95, "subsampling": 0, "optimize": True},
]


def read(data: bytes) -> None:
    read_photo(data, "photo.jpg", max_pixels=pictures.MAX_PIXELS)


def scan_of(data: bytes) -> tuple[int, int]:
    return jpegfile.read_layout(data).scans[0]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (17, 5), (300, 200)])
def test_whole_scans_are_read_whatever_their_size(
    options: dict[str, int], size: tuple[int, int]
) -> None:
    for seed in range(20):
        read(pictures.encoded(pictures.image("RGB", size, seed=seed), "JPEG", **options))
        read(pictures.encoded(pictures.image("L", size, seed=seed), "JPEG", **options))


@pytest.mark.parametrize("options", OPTIONS)
def test_a_scan_with_bytes_left_out_or_put_in_is_damaged(options: dict[str, int]) -> None:
    data = pictures.encoded(pictures.image("RGB", (300, 200)), "JPEG", **options)
    start, end = scan_of(data)
    generator = random.Random(4)
    for _ in range(10):
        place = generator.randrange(start + 100, end - 500)
        more = bytes(generator.randrange(1, 255) for _ in range(300))
        for changed in (data[:place] + data[place + 300 :], data[:place] + more + data[place:]):
            with pytest.raises(PhotoError) as caught:
                read(changed)
            assert caught.value.reason == reasons.DAMAGED


@pytest.mark.parametrize("padding", [b"\xff", b"\xff" * 500, b"\0" * 3])
def test_padding_before_the_end_is_no_damage(padding: bytes) -> None:
    data = pictures.encoded(pictures.image("RGB", (300, 200)), "JPEG")
    _, end = scan_of(data)
    read(data[:end] + padding + data[end:])


def test_zeros_anywhere_in_a_scan_are_damage_where_no_encoder_writes_them() -> None:
    data = pictures.encoded(pictures.image("RGB", (600, 400)), "JPEG", quality=95)
    start, end = scan_of(data)
    for place in range(start + 10, end - 1200, (end - start) // 20):
        with pytest.raises(PhotoError) as caught:
            read(data[:place] + bytes(1100) + data[place + 1100 :])
        assert caught.value.reason == reasons.DAMAGED


def test_a_missing_restart_marker_is_damage() -> None:
    data = pictures.encoded(pictures.image("RGB", (300, 200)), "JPEG", restart_marker_rows=1)
    read(data)
    marker = data.index(b"\xff\xd3")
    for changed in (data[:marker] + data[marker + 2 :], data[:marker] + data[marker + 400 :]):
        with pytest.raises(PhotoError) as caught:
            read(changed)
        assert caught.value.reason == reasons.DAMAGED
