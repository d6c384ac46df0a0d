"""The hash of the image data of a JPEG file."""

import pytest
from PIL import Image

from hotpixeld.edge.jpegfile import image_digest, read_layout
from hotpixeld.errors import PhotoError
from jpegmaker import VARIANTS, encoded, scene


def digest(data: bytes) -> bytes:
    return image_digest(data, read_layout(data))


def test_metadata_and_trailers_do_not_change_the_image_data() -> None:
    plain = encoded(scene())
    exif = Image.Exif()
    exif[0x010F] = "Another camera"
    tagged = encoded(scene(), exif=exif, comment=b"five stars", icc_profile=bytes(500))
    assert digest(tagged) == digest(plain)
    assert digest(plain + b"trailer") == digest(plain)


def test_another_picture_has_other_image_data() -> None:
    assert digest(encoded(scene(), quality=90)) != digest(encoded(scene(), quality=91))
    lighter = scene().point(lambda value: value + 1)
    assert digest(encoded(lighter)) != digest(encoded(scene()))


def test_the_image_data_of_a_progressive_file_are_all_its_scans() -> None:
    data = encoded(scene(), progressive=True)
    layout = read_layout(data)
    assert len(layout.scans) == data.count(b"\xff\xda") > 1
    for start, end in layout.scans:
        changed = bytearray(data)
        changed[(start + end) // 2] ^= 1
        assert digest(bytes(changed)) != digest(data)


def test_the_image_data_of_two_images_are_those_of_the_first() -> None:
    data = VARIANTS["MPO"]()
    second = data.rindex(b"\xff\xd8\xff")
    assert read_layout(data).end <= second
    assert digest(data) == digest(data[:second])


def test_a_cut_file_has_no_image_data() -> None:
    data = encoded(scene())
    for length in (0, 1, 2, 3, 10, 200, len(data) // 2, len(data) - 2, len(data) - 1):
        with pytest.raises(PhotoError):
            read_layout(data[:length])
