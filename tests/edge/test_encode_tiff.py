import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pictures
from hotpixeld.core.patch import Patch
from hotpixeld.edge import reasons, tiffpages
from hotpixeld.edge.encode import encode_copy
from hotpixeld.edge.photo import Photo, read_photo
from hotpixeld.errors import PhotoError

COMPRESSIONS = [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "zstd"]


def read(data: bytes) -> Photo:
    return read_photo(data, "photo.tif", max_pixels=pictures.MAX_PIXELS)


def two_pixels(photo: Photo, value_dn: int) -> Patch:
    channels = photo.frame.shape[2]
    values = np.full((2, channels), value_dn, photo.frame.dtype)
    return Patch(np.array([0, 30]), np.array([20, 60]), values)


def check_only_the_patch_differs(photo: Photo, patch: Patch) -> bytes:
    copy = encode_copy(photo, patch, jpeg="blocks", quality=97)
    again = read(copy.data)
    assert (copy.method, copy.extension) == ("lossless", "")
    assert np.array_equal(again.frame, patch.applied_to(photo.frame))
    assert again.sensor == photo.sensor
    assert again.facts == photo.facts
    before, after = (tiffpages.read_layout(d).main for d in (photo.data, copy.data))
    for tag, field in before.fields.items():
        if tag not in {tiffpages.STRIP_OFFSETS, tiffpages.STRIP_BYTES}:
            assert after.fields[tag].values == field.values
    opened = [Image.open(io.BytesIO(d)) for d in (photo.data, copy.data)]
    assert opened[0].mode == opened[1].mode
    for image in opened:
        image.load()
    alphas = [np.asarray(i.convert("RGBA"))[..., 3] for i in opened if "A" in i.mode]
    assert len(alphas) != 2 or np.array_equal(alphas[0], alphas[1])
    return copy.data


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "LA", "I;16"])
def test_only_the_touched_pixels_of_a_tiff_differ(mode: str, compression: str | None) -> None:
    data = pictures.encoded(
        pictures.image(mode),
        "TIFF",
        compression=compression,
        tiffinfo={0x010F: "Maker", 0x0110: "Model One", 0x0131: "Software 1.0"},
        dpi=(300, 300),
    )
    photo = read(data)
    check_only_the_patch_differs(photo, two_pixels(photo, 9999 if mode == "I;16" else 99))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_a_predictor_is_used_again(mode: str, compression: str) -> None:
    tags = {tiffpages.PREDICTOR: 2, tiffpages.ROWS_PER_STRIP: 7}
    image = pictures.image(mode)
    photo = read(pictures.encoded(image, "TIFF", compression=compression, tiffinfo=tags))
    check_only_the_patch_differs(photo, two_pixels(photo, 77))


def test_bytes_outside_the_touched_pixels_of_an_uncompressed_tiff_are_the_same() -> None:
    exif = pictures.exif().tobytes()
    photo = read(pictures.encoded(pictures.image("RGB"), "TIFF", xmp=b"<x/>", exif=exif))
    assert photo.sensor.serial == "A 123"
    copy = check_only_the_patch_differs(photo, two_pixels(photo, 1))
    assert len(copy) == len(photo.data)
    assert sum(a != b for a, b in zip(copy, photo.data, strict=True)) <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_tiff_is_repaired_where_it_is_stored(orientation: int) -> None:
    tags = {0x0112: orientation}
    photo = read(pictures.encoded(pictures.image("RGB"), "TIFF", tiffinfo=tags))
    check_only_the_patch_differs(photo, two_pixels(photo, 5))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("layout", ["strips", "tiles", "planes"])
def test_strips_tiles_planes_and_byte_orders_of_other_programs(order: str, layout: str) -> None:
    writer = pytest.importorskip("tifffile")
    channels = 3 if layout == "planes" else 1
    frame = (pictures.scene(50, 70, channels).astype(np.uint16) * 257).squeeze()
    if layout == "planes":
        frame = np.ascontiguousarray((frame >> 8).astype(np.uint8).transpose(2, 0, 1))
    options: dict[str, dict[str, Any]] = {
        "strips": {"rowsperstrip": 9},
        "tiles": {"tile": (16, 32)},
        "planes": {"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 50},
    }
    stream = io.BytesIO()
    writer.imwrite(stream, frame, byteorder=order, metadata=None, **options[layout])
    photo = read(stream.getvalue())
    check_only_the_patch_differs(photo, two_pixels(photo, 33))


def test_a_white_is_zero_tiff_stays_one() -> None:
    tags = {tiffpages.PHOTOMETRIC: 0}
    photo = read(pictures.encoded(pictures.image("L"), "TIFF", tiffinfo=tags))
    check_only_the_patch_differs(photo, two_pixels(photo, 200))


def test_a_new_colour_takes_a_palette_entry_that_no_pixel_uses() -> None:
    image = pictures.image("RGB").quantize(32)
    photo = read(pictures.encoded(image, "TIFF"))
    patch = two_pixels(photo, 123)
    copy = encode_copy(photo, patch, jpeg="blocks", quality=97)
    assert np.array_equal(read(copy.data).frame, patch.applied_to(photo.frame))


def test_a_full_palette_gives_its_nearest_colour() -> None:
    indices = np.arange(61 * 43).reshape(43, 61).astype(np.uint8)
    image = Image.frombytes("P", (61, 43), indices.tobytes())
    image.putpalette(pictures.scene(16, 16, 3).tobytes())
    photo = read(pictures.encoded(image, "TIFF"))
    patch = two_pixels(photo, 123)
    frame = read(encode_copy(photo, patch, jpeg="blocks", quality=97).data).frame
    changed = (frame != photo.frame).any(axis=2)
    assert changed.sum() <= 2
    colours = photo.frame.reshape(-1, 3).astype(int)
    least = int(((colours - 123) ** 2).sum(axis=1).min())
    assert int(((frame[0, 20].astype(int) - 123) ** 2).sum()) == least


def test_a_reduced_page_is_kept_as_it_is() -> None:
    pages = [pictures.image("RGB"), pictures.image("RGB", (20, 14))]
    data = pictures.encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    photo = read(data)
    assert photo.pages == 2
    copy = Image.open(io.BytesIO(check_only_the_patch_differs(photo, two_pixels(photo, 5))))
    copy.seek(1)
    assert np.array_equal(np.asarray(copy), np.asarray(pages[1]))


def test_lossy_compression_is_refused_and_changes_nothing() -> None:
    photo = read(pictures.encoded(pictures.image("RGB"), "TIFF", compression="jpeg"))
    before = photo.frame.copy()
    with pytest.raises(PhotoError) as caught:
        encode_copy(photo, two_pixels(photo, 5), jpeg="blocks", quality=97)
    assert caught.value.reason == reasons.NOT_WRITABLE
    assert np.array_equal(photo.frame, before)


def test_a_strip_that_grows_is_appended_and_the_rest_stays() -> None:
    flat = Image.new("L", (200, 100), 50)
    photo = read(pictures.encoded(flat, "TIFF", compression="tiff_adobe_deflate"))
    rows, columns = np.divmod(np.arange(0, 20_000, 37), 200)
    values = np.random.default_rng(3).integers(0, 256, (len(rows), 1), np.uint8)
    copy = check_only_the_patch_differs(photo, Patch(rows, columns, values))
    assert len(copy) > len(photo.data)
    (offset,) = struct.unpack_from("<I", photo.data, 4)
    assert struct.unpack_from("<I", copy, 4) == (offset,)
