import io
import sys
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from PIL import Image

import pictures
from hotpixeld.core.sensor import Sensor
from hotpixeld.edge import reasons
from hotpixeld.edge.names import is_photo_name
from hotpixeld.edge.photo import Photo, read_photo
from hotpixeld.errors import PhotoError

READABLE = [
    ("JPEG", "L", {}),
    ("JPEG", "RGB", {"quality": 90}),
    ("JPEG", "RGB", {"progressive": True}),
    ("JPEG", "CMYK", {}),
    ("PNG", "1", {}),
    ("PNG", "L", {}),
    ("PNG", "LA", {}),
    ("PNG", "P", {}),
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "I;16", {}),
    ("TIFF", "L", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "RGBA", {"compression": "tiff_deflate"}),
    ("TIFF", "CMYK", {}),
    ("TIFF", "P", {}),
    ("TIFF", "I;16", {"compression": "packbits"}),
    ("GIF", "P", {}),
    ("WEBP", "RGB", {"lossless": True}),
    ("WEBP", "RGBA", {"quality": 80}),
]


def read(data: bytes, name: str = "photo.jpg", max_pixels: int = pictures.MAX_PIXELS) -> Photo:
    return read_photo(data, name, max_pixels=max_pixels)


def refusal(data: bytes, name: str = "photo.jpg") -> str:
    with pytest.raises(PhotoError) as caught:
        read(data, name)
    assert caught.value.reason in reasons.ALL
    return caught.value.reason


@pytest.mark.parametrize(("container", "mode", "options"), READABLE)
def test_the_frame_is_what_pillow_decodes_without_alpha(
    container: str, mode: str, options: dict[str, object]
) -> None:
    data = pictures.encoded(pictures.image(mode), container, **options)
    photo = read(data)
    opened = Image.open(io.BytesIO(data))
    plain = {"P": "RGB", "1": "L", "LA": "L", "RGBA": "RGB"}.get(opened.mode, opened.mode)
    expected = np.asarray(opened if plain == opened.mode else opened.convert(plain))
    assert photo.frame.shape[2] == {"L": 1, "I;16": 1, "CMYK": 4}.get(plain, 3)
    assert np.array_equal(photo.frame, expected.reshape(photo.frame.shape))
    width = photo.frame.shape[1]
    assert photo.frame.flags.c_contiguous or photo.frame.strides == (4 * width, 4, 1)
    assert photo.frame.dtype == (np.uint16 if mode == "I;16" else np.uint8)
    assert (photo.container, photo.pages, photo.own_mark) == (container, 1, False)


def test_the_sensor_comes_from_exif_and_the_stored_geometry() -> None:
    photo = read(pictures.encoded(pictures.image("RGB"), "JPEG", exif=pictures.exif()))
    assert photo.sensor == Sensor("Maker", "Model One", "A 123", 61, 43, 3, 8, "jpeg")
    assert photo.orientation == 6
    assert (photo.iso, photo.exposure_s) == (800.0, 0.02)
    zone = timezone(timedelta(hours=2))
    assert photo.captured_at == datetime(2024, 5, 6, 7, 8, 9, 250_000, tzinfo=zone)


def test_a_photo_without_exif_has_a_sensor_by_size_and_kind() -> None:
    photo = read(pictures.encoded(pictures.image("I;16"), "TIFF"))
    assert photo.sensor == Sensor("", "", "", 61, 43, 1, 16, "tiff")
    assert photo.captured_at is None


def test_metadata_edits_leave_the_digest_of_a_jpeg_as_it_is() -> None:
    plain = pictures.encoded(pictures.image("RGB"), "JPEG")
    tagged = pictures.encoded(
        pictures.image("RGB"), "JPEG", exif=pictures.exif(), comment=b"rated", xmp=b"<x/>"
    )
    assert plain != tagged
    assert read(plain).digest == read(tagged).digest
    other = pictures.encoded(pictures.image("RGB", seed=2), "JPEG")
    assert read(other).digest != read(plain).digest


def test_the_digest_of_other_formats_is_that_of_pixels_and_alpha() -> None:
    image = pictures.image("RGBA")
    fast = pictures.encoded(image, "PNG", compress_level=1)
    small = pictures.encoded(image, "PNG", compress_level=9)
    assert fast != small
    assert read(fast).digest == read(small).digest
    image.putpixel((3, 3), (*image.getpixel((3, 3))[:3], 77))  # type: ignore[index]
    assert read(pictures.encoded(image, "PNG")).digest != read(fast).digest


def test_the_content_decides_and_not_the_name() -> None:
    data = pictures.encoded(pictures.image("RGB"), "PNG")
    assert read(data, "photo.jpg").sensor.kind == "png"
    assert read(data, "photo.nef").sensor.kind == "png"
    assert refusal(b"BM" + bytes(100), "photo.jpg") == reasons.NOT_A_PHOTO
    assert refusal(b"%!PS-Adobe-3.0 EPSF-3.0\n", "photo.jpg") == reasons.NOT_A_PHOTO


def test_nothing_and_zeros_are_no_photo() -> None:
    assert refusal(b"") == reasons.EMPTY
    assert refusal(bytes(5000)) == reasons.NOT_A_PHOTO


def test_more_pixels_than_the_limit_are_refused_before_decoding() -> None:
    for container in ("JPEG", "PNG", "TIFF", "GIF", "WEBP"):
        data = pictures.encoded(pictures.image("RGB").convert("RGB"), container)
        with pytest.raises(PhotoError) as caught:
            read(data, max_pixels=61 * 43 - 1)
        assert caught.value.reason == reasons.TOO_LARGE
        assert read(data, max_pixels=61 * 43).frame.shape[:2] == (43, 61)


@pytest.mark.parametrize("container", ["JPEG", "PNG", "TIFF", "GIF", "WEBP"])
def test_a_file_cut_anywhere_is_refused(container: str) -> None:
    data = pictures.encoded(pictures.image("RGB"), container)
    for end in (*range(1, len(data), max(1, len(data) // 40)), len(data) - 2, len(data) - 1):
        assert refusal(data[:end]) in {
            reasons.TRUNCATED,
            reasons.DAMAGED,
            reasons.NOT_A_PHOTO,
        }, f"cut at {end} of {len(data)}"


@pytest.mark.parametrize("container", ["JPEG", "TIFF", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("shape", ["tail", "hole"])
def test_pages_of_zeros_in_the_image_data_are_refused(container: str, shape: str) -> None:
    noise = np.random.default_rng(7).integers(1, 256, (200, 300, 3), np.uint8)
    options = {"lossless": True} if container == "WEBP" else {}
    data = bytearray(pictures.encoded(Image.fromarray(noise), container, **options))
    assert read(bytes(data))
    start = 4 * 4096
    end = len(data) if shape == "tail" else start + 4096
    data[start:end] = bytes(end - start)
    assert refusal(bytes(data)) in {reasons.DAMAGED, reasons.TRUNCATED}


def test_flat_areas_are_no_holes() -> None:
    for container, options in (
        ("JPEG", {"optimize": True}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {}),
        ("PNG", {}),
        ("TIFF", {}),
        ("WEBP", {"lossless": True}),
    ):
        frame = np.zeros((1500, 1501, 3), np.uint8)
        frame[:800] = pictures.scene(800, 1501, 3)
        data = pictures.encoded(Image.fromarray(frame), container, **options)
        assert read(data).frame.shape == (1500, 1501, 3), container


def deep_colour_png() -> bytes:
    cv2 = pytest.importorskip("cv2")
    deep = pictures.scene(20, 30, 3).astype(np.uint16) * 257 + 5
    return bytes(cv2.imencode(".png", deep)[1])


def deep_colour_tiff() -> bytes:
    cv2 = pytest.importorskip("cv2")
    deep = pictures.scene(20, 30, 3).astype(np.uint16) * 257 + 5
    return bytes(cv2.imencode(".tiff", deep)[1])


def test_pillow_gives_sixteen_bit_colour_as_eight_so_it_is_refused_without_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    assert np.asarray(Image.open(io.BytesIO(deep_colour_png()))).dtype == np.uint8
    assert refusal(deep_colour_png()) == reasons.SIXTEEN_BIT_COLOUR
    assert refusal(deep_colour_tiff()) == reasons.SIXTEEN_BIT_COLOUR


def test_animations_and_pages_are_refused() -> None:
    frames = [pictures.image("RGB", seed=seed) for seed in (1, 2)]
    for container in ("GIF", "PNG", "WEBP", "TIFF"):
        data = pictures.encoded(frames[0], container, save_all=True, append_images=frames[1:])
        assert refusal(data) == reasons.SEVERAL_FRAMES, container


def test_the_first_image_of_an_mpo_counts() -> None:
    frames = [pictures.image("RGB", seed=seed) for seed in (1, 2)]
    data = pictures.encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    photo = read(data)
    assert (photo.container, photo.pages, photo.sensor.kind) == ("MPO", 2, "jpeg")
    assert np.array_equal(photo.frame, np.asarray(Image.open(io.BytesIO(data))))
    assert refusal(data[: len(data) - 300]) == reasons.TRUNCATED


def test_float_and_wide_integers_are_refused() -> None:
    for mode in ("F", "I"):
        data = pictures.encoded(pictures.image("L").convert(mode), "TIFF")
        assert refusal(data) == reasons.UNSUPPORTED_PIXELS


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", True),
        ("A.JPEG", True),
        ("b.c.TIF", True),
        ("x.heic", True),
        ("y.NEF", True),
        ("new\nline.png", True),
        ("clip.mp4", False),
        ("a.jpg.xmp", False),
        ("a.jpg.part", False),
        ("jpg", False),
        (".jpg", False),
        ("a.bmp", False),
    ],
)
def test_names_tell_which_files_are_photos(name: str, expected: bool) -> None:  # noqa: FBT001 - a table
    assert is_photo_name(name) is expected


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("container", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_frame_is_as_stored_whatever_the_orientation(container: str, orientation: int) -> None:
    block = pictures.exif()
    block[0x0112] = orientation
    options = {"lossless": True} if container == "WEBP" else {}
    image = pictures.image("RGB")
    photo = read(pictures.encoded(image, container, exif=block.tobytes(), **options))
    assert photo.orientation == orientation
    assert photo.sensor.serial == "A 123"
    assert photo.frame.shape == (43, 61, 3)
    if container != "JPEG":
        assert np.array_equal(photo.frame, np.asarray(image))
