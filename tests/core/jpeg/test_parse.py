"""The bytes that make a picture, and the markers round them."""

import pytest
from PIL import Image

from hotpixeld.core.jpeg import JpegUnsupported, image_data
from hotpixeld.core.jpeg.parse import ZIGZAG, read_header
from jpegmaker import VARIANTS, encoded, scene


def test_metadata_fill_bytes_and_trailers_do_not_change_the_image_data() -> None:
    plain = encoded(scene())
    exif = Image.Exif()
    exif[0x010F] = "Another camera"
    tagged = encoded(scene(), exif=exif, comment=b"five stars", icc_profile=bytes(500))
    assert image_data(tagged) == image_data(plain)
    assert image_data(plain[:-2] + b"\xff\xff\xff\xd9" + b"trailer") == image_data(plain)


def test_another_picture_has_other_image_data() -> None:
    assert image_data(encoded(scene(), quality=90)) != image_data(encoded(scene(), quality=91))
    lighter = scene().point(lambda value: value + 1)
    assert image_data(encoded(lighter)) != image_data(encoded(scene()))


def test_image_data_of_a_progressive_file_holds_all_scans() -> None:
    data = encoded(scene(), progressive=True)
    assert image_data(data).count(b"\xff\xda") == data.count(b"\xff\xda") > 1


def test_image_data_of_two_images_is_that_of_the_first() -> None:
    data = VARIANTS["MPO"]()
    second = data.rindex(b"\xff\xd8\xff")
    assert len(image_data(data)) < second
    assert image_data(data) == image_data(data[:second])


def test_a_cut_file_has_no_image_data() -> None:
    data = encoded(scene())
    for length in (0, 1, 2, 3, 10, 200, len(data) // 2, len(data) - 2, len(data) - 1):
        with pytest.raises(JpegUnsupported):
            image_data(data[:length])


def test_the_order_of_the_scan_is_the_zigzag() -> None:
    assert ZIGZAG[:10].tolist() == [0, 1, 8, 16, 9, 2, 3, 10, 17, 24]
    assert sorted(ZIGZAG.tolist()) == list(range(64))


@pytest.mark.parametrize(
    ("variant", "colour", "sampling"),
    [
        ("4:2:0", "ycc", [(2, 2), (1, 1), (1, 1)]),
        ("4:2:2", "ycc", [(2, 1), (1, 1), (1, 1)]),
        ("grey", "grey", [(1, 1)]),
        ("RGB", "rgb", [(1, 1)] * 3),
        ("CMYK", "cmyk", [(1, 1)] * 4),
    ],
)
def test_the_header_says_colour_and_sampling(
    variant: str, colour: str, sampling: list[tuple[int, int]]
) -> None:
    header = read_header(VARIANTS[variant]())
    assert header.colour == colour
    assert [(c.across, c.down) for c in header.components] == sampling
