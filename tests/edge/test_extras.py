"""Formats of the extras: deep (16-bit colour), heif, raw. Skipped where an extra is missing."""

import io
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pictures
from hotpixeld.core.patch import Patch
from hotpixeld.edge import pngfile, reasons
from hotpixeld.edge.encode import encode_copy
from hotpixeld.edge.photo import Photo, read_photo
from hotpixeld.errors import PhotoError

Array = np.ndarray[Any, Any]


def read(data: bytes, name: str = "photo") -> Photo:
    return read_photo(data, name, max_pixels=pictures.MAX_PIXELS)


def deep_scene(channels: int) -> Array:
    return pictures.scene(43, 61, channels).astype(np.uint16) * 257 + 3


def three_pixels(photo: Photo, value_dn: int) -> Patch:
    values = np.full((3, photo.frame.shape[2]), value_dn, photo.frame.dtype)
    return Patch(np.array([0, 17, 42]), np.array([20, 0, 60]), values)


def refusal(data: bytes, name: str = "photo") -> str:
    with pytest.raises(PhotoError) as caught:
        read(data, name)
    return caught.value.reason


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_deep_png_keeps_its_sixteen_bits_and_all_else(channels: int) -> None:
    codecs = pytest.importorskip("imagecodecs")
    stored = deep_scene(channels)
    photo = read(bytes(codecs.png_encode(stored)))
    colours = {2: 1, 3: 3, 4: 3}[channels]
    assert np.array_equal(photo.frame, stored[..., :colours])
    assert photo.sensor.depth_bits == 16
    copy = encode_copy(photo, three_pixels(photo, 40_001), jpeg="blocks", quality=97)
    assert copy.method == "lossless"
    wanted = stored.copy()
    wanted[[0, 17, 42], [20, 0, 60], :colours] = 40_001
    assert np.array_equal(codecs.png_decode(copy.data), wanted)
    chunks = [
        [d[c.start : c.end] for c in pngfile.read_layout(d).chunks if c.name != b"IDAT"]
        for d in (photo.data, copy.data)
    ]
    assert chunks[0] == chunks[1]


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("compression", "predictor"), [(None, 1), ("zlib", 1), ("zlib", 2), ("lzw", 2)]
)
def test_deep_tiff_keeps_its_sixteen_bits_and_all_else(
    compression: str | None, predictor: int, order: str, planar: str
) -> None:
    pytest.importorskip("imagecodecs")
    tiff = pytest.importorskip("tifffile")
    stored = deep_scene(3)
    values = stored if planar == "contig" else np.ascontiguousarray(np.moveaxis(stored, -1, 0))
    stream = io.BytesIO()
    tiff.imwrite(
        stream,
        values,
        photometric="rgb",
        planarconfig=planar,
        compression=compression,
        predictor=predictor if predictor > 1 else None,
        byteorder=order,
        rowsperstrip=11,
        metadata=None,
    )
    photo = read(stream.getvalue())
    assert np.array_equal(photo.frame, stored)
    copy = encode_copy(photo, three_pixels(photo, 40_001), jpeg="blocks", quality=97)
    again = read(copy.data)
    assert np.array_equal(again.frame, three_pixels(photo, 40_001).applied_to(stored))
    assert (again.sensor, copy.method) == (photo.sensor, "lossless")


def heic(image: Image.Image, **options: Any) -> bytes:  # noqa: ANN401 - the codec's
    codec = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    codec.encode(image.mode, image.size, image.tobytes(), stream, **options)
    return stream.getvalue()


def test_a_heic_photo_is_read_and_its_copy_is_about_as_large_and_marked() -> None:
    image = pictures.image("RGB", (160, 120))
    block = pictures.exif()
    block[0x0112] = 1
    photo = read(heic(image, quality=80, exif=block.tobytes()))
    assert (photo.container, photo.sensor.kind) == ("HEIC", "heic")
    assert (photo.sensor.serial, photo.sensor.width, photo.own_mark) == ("A 123", 160, False)
    assert float(np.abs(photo.frame.astype(int) - np.asarray(image)).mean()) < 6
    patch = Patch(np.array([50]), np.array([100]), np.array([[255, 0, 255]], np.uint8))
    copy = encode_copy(photo, patch, jpeg="blocks", quality=97)
    again = read(copy.data)
    assert (copy.method, copy.extension) == ("reencoded", "")
    assert 0.8 < len(copy.data) / len(photo.data) < 1.3
    assert again.own_mark
    assert (again.sensor, again.captured_at) == (photo.sensor, photo.captured_at)
    assert int(again.frame[50, 100, 0]) > int(photo.frame[50, 100, 0])


@pytest.mark.parametrize("orientation", [1, 8])
def test_the_frame_of_a_heic_photo_is_as_stored(orientation: int) -> None:
    image = pictures.image("RGB", (160, 120))
    block = pictures.exif()
    block[0x0112] = orientation
    photo = read(heic(image, quality=90, exif=block.tobytes()))
    assert photo.frame.shape == (120, 160, 3)
    assert photo.orientation == orientation
    assert float(np.abs(photo.frame.astype(int) - np.asarray(image)).mean()) < 6
    copy = encode_copy(photo, three_pixels(photo, 9), jpeg="blocks", quality=97)
    assert read(copy.data).orientation == orientation


def test_a_heic_photo_cut_anywhere_is_refused() -> None:
    data = heic(pictures.image("RGB", (160, 120)), quality=80)
    for end in range(20, len(data), len(data) // 20):
        assert refusal(data[:end]) in reasons.ALL


def dng(sites: Array, *, serial: str = "S 77") -> bytes:
    """Return the least DNG that LibRaw opens: 16-bit Bayer, uncompressed."""
    tiff = pytest.importorskip("tifffile")
    one = (1, 1)
    tags = [
        (271, "s", 0, "Maker", True),
        (272, "s", 0, "Model Raw", True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, (0, 1, 1, 2), True),
        (50706, "B", 4, (1, 4, 0, 0), True),
        (50708, "s", 0, "Maker Model Raw", True),
        (50735, "s", 0, serial, True),
        (50714, "H", 1, 0, True),
        (50717, "H", 1, 65_535, True),
        (50721, "2i", 9, (*one, 0, 1, 0, 1, 0, 1, *one, 0, 1, 0, 1, 0, 1, *one), True),
        (50728, "2I", 3, (*one, *one, *one), True),
        (50778, "H", 1, 21, True),
    ]
    stream = io.BytesIO()
    tiff.imwrite(stream, sites, photometric=32803, metadata=None, extratags=tags, software=False)
    return stream.getvalue()


def test_a_raw_photo_is_four_planes_and_is_developed_with_its_defects_repaired() -> None:
    pytest.importorskip("rawpy")
    generator = np.random.default_rng(3)
    sites = generator.normal(12_000, 200, (64, 96)).astype(np.uint16)
    good = sites.copy()
    sites[21, 40] = 65_000  # cell (10, 20), third channel
    photo = read(dng(sites), "photo.dng")
    assert photo.sensor.kind == "raw"
    assert (photo.sensor.make, photo.sensor.model, photo.sensor.serial) == (
        "Maker",
        "Model Raw",
        "S 77",
    )
    assert photo.frame.shape == (32, 48, 4)
    assert np.array_equal(photo.frame[..., 2], sites[1::2, 0::2])
    assert photo.frame[10, 20, 2] == 65_000
    values = photo.frame[10:11, 20].copy()
    values[0, 2] = good[21, 40]
    patch = Patch(np.array([10]), np.array([20]), values)
    copy = encode_copy(photo, patch, jpeg="blocks", quality=97)
    assert (copy.method, copy.extension) == ("developed", ".tif")
    tiff = pytest.importorskip("tifffile")
    with_defect = encode_copy(
        photo,
        Patch(np.array([10]), np.array([20]), photo.frame[10:11, 20]),
        jpeg="blocks",
        quality=97,
    )
    clean = encode_copy(
        read(dng(good), "photo.dng"),
        Patch(np.array([0]), np.array([0]), good_cell(good)),
        jpeg="blocks",
        quality=97,
    )
    pictures_ = [tiff.imread(io.BytesIO(c.data)) for c in (copy, clean, with_defect)]
    assert pictures_[0].dtype == np.uint16
    assert np.array_equal(pictures_[0], pictures_[1])
    assert not np.array_equal(pictures_[1], pictures_[2])
    assert read(copy.data, "photo.tif").own_mark


def good_cell(sites: Array) -> Array:
    return np.array([[sites[0, 0], sites[0, 1], sites[1, 0], sites[1, 1]]], np.uint16)


def test_a_raw_photo_cut_short_is_refused() -> None:
    pytest.importorskip("rawpy")
    data = dng(np.full((64, 96), 9_000, np.uint16))
    for end in range(10, len(data) - 3000, len(data) // 15):
        assert refusal(data[:end], "photo.dng") in reasons.ALL


def test_without_the_extras_the_reason_says_which_one_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("pillow_heif", "rawpy", "imagecodecs"):
        monkeypatch.setitem(sys.modules, name, None)
    heic_start = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    for data, name, reason in (
        (heic_start, "a.heic", reasons.NEEDS_HEIF),
        (b"II*\0\x08\0\0\0" + bytes(100), "a.nef", reasons.NEEDS_RAW),
        (b"FUJIFILMCCD-RAW 0201" + bytes(100), "a.raf", reasons.NEEDS_RAW),
    ):
        with pytest.raises(PhotoError) as caught:
            read(data, name)
        assert caught.value.reason == reason
        assert "pip install 'hotpixeld[" in caught.value.detail
