import io
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import pictures
from hotpixeld.core.patch import Patch
from hotpixeld.edge import giffile, pngfile, webpfile
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.encode import encode_copy
from hotpixeld.edge.photo import Photo, read_photo

ROWS, COLUMNS = np.array([0, 17, 42]), np.array([20, 0, 60])


def read(data: bytes) -> Photo:
    return read_photo(data, "photo", max_pixels=pictures.MAX_PIXELS)


def three_pixels(photo: Photo, value_dn: int) -> Patch:
    channels = photo.frame.shape[2]
    return Patch(ROWS, COLUMNS, np.full((3, channels), value_dn, photo.frame.dtype))


def stored(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(data)))


def repaired(photo: Photo, patch: Patch) -> EncodedCopy:
    return encode_copy(photo, patch, jpeg="blocks", quality=97)


def check_only_the_patch_differs(photo: Photo, patch: Patch) -> bytes:
    copy = repaired(photo, patch)
    again = read(copy.data)
    assert (copy.method, copy.note) == ("lossless", "")
    assert np.array_equal(again.frame, patch.applied_to(photo.frame))
    assert (again.sensor, again.facts, again.own_mark) == (photo.sensor, photo.facts, False)
    before, after = stored(photo.data), stored(copy.data)
    assert (before.dtype, before.shape) == (after.dtype, after.shape)
    if before.shape[-1] in {2, 4}:
        assert np.array_equal(before[..., -1], after[..., -1])
    return copy.data


def chunks_but(data: bytes, *left_out: bytes) -> list[bytes]:
    layout = pngfile.read_layout(data)
    return [data[c.start : c.end] for c in layout.chunks if c.name not in left_out]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_only_the_touched_pixels_and_idat_of_a_png_differ(mode: str) -> None:
    text = PngInfo()
    text.add_text("Title", "a picture")
    text.add_itxt("XML:com.adobe.xmp", "<x/>", zip=True)
    options: dict[str, Any] = {
        "pnginfo": text,
        "dpi": (300, 300),
        "exif": pictures.exif(),
        "icc_profile": b"profile",
    }
    photo = read(pictures.encoded(pictures.image(mode), "PNG", **options))
    copy = check_only_the_patch_differs(photo, three_pixels(photo, 77))
    assert chunks_but(copy, b"IDAT") == chunks_but(photo.data, b"IDAT")
    assert photo.sensor.serial == "A 123"


def png(rows: np.ndarray[Any, Any], width: int, depth: int, colour_type: int) -> bytes:
    """Write a PNG by hand from rows of stored bytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content).to_bytes(4)
        return len(content).to_bytes(4) + name + content + checksum

    header = width.to_bytes(4) + len(rows).to_bytes(4) + bytes((depth, colour_type, 0, 0, 0))
    content = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return (
        pngfile.SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_rows_keep_their_filters(kind: int, mode: str) -> None:
    cv2 = pytest.importorskip("cv2")
    frame = np.asarray(pictures.image(mode))
    bgr = frame[..., ::-1] if frame.ndim == 3 else frame
    flags = [cv2.IMWRITE_PNG_FILTER, [8, 16, 32, 64, 128][kind]]
    photo = read(bytes(cv2.imencode(".png", bgr, flags)[1]))
    assert filters_of(photo.data) == {kind}
    copy = check_only_the_patch_differs(photo, three_pixels(photo, 200))
    assert filters_of(copy) == filters_of(photo.data)


def filters_of(data: bytes) -> set[int]:
    layout = pngfile.read_layout(data)
    content = zlib.decompress(b"".join(data[c.payload] for c in layout.chunks if c.name == b"IDAT"))
    return set(content[:: len(content) // layout.height])


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_shallow_grey_png_gets_its_nearest_level(depth: int) -> None:
    width = 61
    bytes_across = -(-width * depth // 8)
    rows = np.random.default_rng(2).integers(0, 256, (43, bytes_across), np.uint8)
    photo = read(png(rows, width, depth, pngfile.GREY))
    patch = three_pixels(photo, 100)
    copy = read(repaired(photo, patch).data)
    levels = np.linspace(0, 255, 1 << depth)
    nearest = int(levels[np.abs(levels - 100).argmin()])
    expected = photo.frame.copy()
    expected[ROWS, COLUMNS] = nearest
    assert np.array_equal(copy.frame, expected)
    assert copy.sensor == photo.sensor


@pytest.mark.parametrize("colours", [2, 3, 13, 100, 256])
def test_a_palette_png_keeps_its_depth_and_gets_a_new_colour_if_there_is_room(
    colours: int,
) -> None:
    image = pictures.image("RGB").quantize(colours)
    photo = read(pictures.encoded(image, "PNG", transparency=bytes((0, 255, 128))))
    before = pngfile.read_layout(photo.data)
    copy = repaired(photo, three_pixels(photo, 123))
    after = pngfile.read_layout(copy.data)
    assert after.bit_depth == before.bit_depth
    frame = read(copy.data).frame
    others = np.ones(frame.shape[:2], bool)
    others[ROWS, COLUMNS] = False
    assert np.array_equal(frame[others], photo.frame[others])
    indices = np.asarray(Image.open(io.BytesIO(photo.data)))
    has_room = int(indices.max()) + 1 < 1 << before.bit_depth
    opaque = np.asarray(Image.open(io.BytesIO(photo.data)).convert("RGBA"))[ROWS, COLUMNS, 3] == 255
    assert (frame[ROWS, COLUMNS] == 123).all(axis=1).tolist() == (opaque & has_room).tolist()
    alphas = [
        np.asarray(Image.open(io.BytesIO(d)).convert("RGBA"))[..., 3]
        for d in (photo.data, copy.data)
    ]
    assert np.array_equal(alphas[0], alphas[1])
    assert chunks_but(copy.data, b"IDAT", b"PLTE") == chunks_but(photo.data, b"IDAT", b"PLTE")


def test_pixels_of_the_transparent_colour_stay_and_no_others_become_so() -> None:
    image = pictures.image("RGB")
    image.putpixel((20, 0), (1, 2, 3))
    photo = read(pictures.encoded(image, "PNG", transparency=(1, 2, 3)))
    values = np.array([[9, 9, 9], [1, 2, 3], [5, 5, 5]], np.uint8)
    frame = read(repaired(photo, Patch(ROWS, COLUMNS, values)).data).frame
    assert frame[0, 20].tolist() == [1, 2, 3]
    assert frame[17, 0].tolist() == [0, 2, 3]
    assert frame[42, 60].tolist() == [5, 5, 5]


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_an_interlaced_png_stays_interlaced(mode: str) -> None:
    photo = read(interlaced(pictures.image(mode)))
    patch = three_pixels(photo, 60)
    if mode == "P":
        patch = Patch(ROWS, COLUMNS, photo.frame[[1, 2, 3], [5, 5, 5]])
    copy = check_only_the_patch_differs(photo, patch)
    assert pngfile.read_layout(copy).is_interlaced


def interlaced(image: Image.Image) -> bytes:
    """Return an Adam7 PNG, written from the specification."""
    plain = pictures.encoded(image, "PNG")
    layout = pngfile.read_layout(plain)
    values = np.asarray(image).reshape(image.height, image.width, -1)
    content = b""
    for column, row, across, down in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        part = values[row::down, column::across]
        for line in part if part.size else ():
            content += b"\0" + line.tobytes()
    parts = [pngfile.SIGNATURE]
    for chunk in layout.chunks:
        payload = plain[chunk.payload]
        if chunk.name == b"IHDR":
            payload = payload[:8] + bytes((8,)) + payload[9:12] + b"\1"
        elif chunk.name == b"IDAT":
            payload = zlib.compress(content)
        checksum = zlib.crc32(chunk.name + payload).to_bytes(4)
        parts.append(len(payload).to_bytes(4) + chunk.name + payload + checksum)
    return b"".join(parts)


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize("colours", [5, 100])
def test_only_the_touched_pixels_of_a_gif_differ(colours: int, interlace: bool) -> None:  # noqa: FBT001 - a table
    image = pictures.image("RGB").quantize(colours)
    data = pictures.encoded(
        image, "GIF", interlace=interlace, comment=b"a word", transparency=0, optimize=False
    )
    photo = read(data)
    copy = check_only_the_patch_differs(photo, Patch(ROWS, COLUMNS, new_colours(photo)))
    before, after = giffile.read_layout(data), giffile.read_layout(copy)
    assert after.is_interlaced == before.is_interlaced
    assert copy[: before.palette[0]] == data[: before.palette[0]]
    assert copy[after.image[1] :] == data[before.image[1] :]


def new_colours(photo: Photo) -> np.ndarray[Any, Any]:
    """Return a new colour where the palette has room, for pixels that are not transparent."""
    transparent = Image.open(io.BytesIO(photo.data)).convert("RGBA")
    alphas = np.asarray(transparent)[ROWS, COLUMNS, 3]
    wanted = np.full((3, 3), 123, np.uint8)
    wanted[alphas == 0] = photo.frame[ROWS, COLUMNS][alphas == 0]
    return wanted


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_lossless_webp_stays_lossless(mode: str) -> None:
    data = pictures.encoded(
        pictures.image(mode),
        "WEBP",
        lossless=True,
        exact=True,
        exif=pictures.exif(),
        xmp=b"<x/>",
        icc_profile=b"profile",
    )
    photo = read(data)
    copy = check_only_the_patch_differs(photo, three_pixels(photo, 9))
    before, after = (webpfile.read_layout(d, 10_000) for d in (data, copy))
    assert after.is_lossless
    for old, new in zip(before.chunks, after.chunks, strict=True):
        assert old.name == new.name
        assert old.name == b"VP8L" or data[old.start : old.end] == copy[new.start : new.end]


@pytest.mark.parametrize("extras", [{}, {"exif": pictures.exif(), "xmp": b"<x/>"}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_lossy_webp_is_coded_again_about_as_large_and_marked(
    mode: str, extras: dict[str, Any]
) -> None:
    photo = read(pictures.encoded(pictures.image(mode, (300, 200)), "WEBP", quality=70, **extras))
    copy = repaired(photo, three_pixels(photo, 9))
    again = read(copy.data)
    assert copy.method == "reencoded"
    assert copy.note.startswith("lossy WebP: quality ")
    assert 0.95 < len(copy.data) / len(photo.data) < 1.15
    assert again.own_mark
    assert (again.sensor, again.facts) == (photo.sensor, photo.facts)
    assert float(np.abs(again.frame.astype(int) - photo.frame).mean()) < 4
    opened = Image.open(io.BytesIO(copy.data))
    assert opened.mode == mode
    if "xmp" in extras:
        assert opened.info["xmp"] == b"<x/>"


def test_the_quality_of_a_large_picture_is_found_on_tiles_of_it() -> None:
    photo = read(pictures.encoded(pictures.image("RGB", (1400, 1050)), "WEBP", quality=75))
    copy = repaired(photo, three_pixels(photo, 9))
    assert 1 <= len(copy.data) / len(photo.data) < 1.5
