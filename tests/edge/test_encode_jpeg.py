import io
import struct

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

import pictures
from hotpixeld.core.jpeg.markers import COM
from hotpixeld.core.patch import Patch
from hotpixeld.edge import mpf
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.encode import encode_copy
from hotpixeld.edge.encode_jpeg import JpegMethod
from hotpixeld.edge.jpegfile import read_layout
from hotpixeld.edge.photo import Photo, read_photo


def read(data: bytes) -> Photo:
    return read_photo(data, "photo.jpg", max_pixels=pictures.MAX_PIXELS)


def patch_of(photo: Photo, value_dn: int = 0) -> Patch:
    channels = photo.frame.shape[2]
    values = np.full((2, channels), value_dn, photo.frame.dtype)
    return Patch(np.array([9, 30]), np.array([20, 31]), values)


def reencoded(photo: Photo) -> EncodedCopy:
    return encode_copy(photo, patch_of(photo), jpeg="reencode", quality=97)


def test_a_baseline_jpeg_is_repaired_block_wise_and_carries_no_mark() -> None:
    data = pictures.encoded(pictures.image("RGB"), "JPEG", quality=95, exif=pictures.exif())
    photo = read(data)
    copy = encode_copy(photo, patch_of(photo), jpeg="blocks", quality=97)
    assert (copy.method, copy.note, copy.extension) == ("blocks", "", "")
    again = read(copy.data)
    assert not again.own_mark
    assert again.facts == photo.facts
    changed = (again.frame != photo.frame).any(axis=2)
    assert changed[9, 20]
    assert not changed[:, 40:].any()


def test_a_progressive_jpeg_is_reencoded_and_says_why() -> None:
    photo = read(pictures.encoded(pictures.image("RGB"), "JPEG", progressive=True))
    copy = encode_copy(photo, patch_of(photo), jpeg="blocks", quality=97)
    assert copy.method == "reencoded"
    assert copy.note == "not block-wise: progressive; own quantisation tables"


def test_only_the_first_image_of_an_mpo_is_repaired_and_the_copy_says_so() -> None:
    frames = [pictures.image("RGB", seed=seed) for seed in (1, 2)]
    good = np.asarray(frames[0])[[8, 29], [20, 31]]
    for place in ((20, 9), (31, 30)):
        frames[0].putpixel(place, (255, 0, 255))
    photo = read(pictures.encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    patch = Patch(np.array([9, 30]), np.array([20, 31]), good)
    copy = encode_copy(photo, patch, jpeg="blocks", quality=97)
    assert (copy.method, copy.note) == ("blocks", "the other images are copied")
    end = read_layout(photo.data).end
    assert copy.data[end:] == photo.data[end:]
    assert not np.array_equal(read(copy.data).frame, photo.frame)


def adobe_rgb() -> bytes:
    return pictures.encoded(pictures.image("RGB"), "JPEG", keep_rgb=True, quality=92)


@pytest.mark.parametrize(
    "data",
    [
        pictures.encoded(pictures.image("RGB"), "JPEG", quality=95, subsampling=0),
        pictures.encoded(pictures.image("RGB"), "JPEG", quality=85, subsampling=2),
        pictures.encoded(pictures.image("RGB"), "JPEG", quality=90, progressive=True),
        pictures.encoded(pictures.image("L"), "JPEG", quality=90),
        pictures.encoded(pictures.image("CMYK"), "JPEG", quality=90),
        adobe_rgb(),
    ],
    ids=["444", "420", "progressive", "grey", "cmyk", "rgb"],
)
def test_a_reencoded_copy_keeps_tables_subsampling_and_colours(data: bytes) -> None:
    photo = read(data)
    copy = reencoded(photo)
    again = read(copy.data)
    before, after = (Image.open(io.BytesIO(d)) for d in (data, copy.data))
    assert copy.method == "reencoded"
    assert "own quantisation tables" in copy.note
    assert after.quantization == before.quantization  # type: ignore[attr-defined]
    assert JpegImagePlugin.get_sampling(after) == JpegImagePlugin.get_sampling(before)
    assert after.info.get("progressive") == before.info.get("progressive")
    assert again.sensor == photo.sensor
    assert again.own_mark
    difference = np.abs(again.frame.astype(int) - patch_of(photo).applied_to(photo.frame))
    assert float(difference.mean()) < 4
    assert photo.frame[9, 20].max() > again.frame[9, 20].max()


def test_a_copy_can_be_encoded_at_a_quality_of_its_own() -> None:
    photo = read(pictures.encoded(pictures.image("RGB"), "JPEG", quality=60, subsampling=1))
    copy = encode_copy(photo, patch_of(photo), jpeg="quality", quality=97)
    expected = Image.open(io.BytesIO(pictures.encoded(pictures.image("RGB"), "JPEG", quality=97)))
    after = Image.open(io.BytesIO(copy.data))
    assert after.quantization == expected.quantization  # type: ignore[attr-defined]
    assert JpegImagePlugin.get_sampling(after) == 1
    assert copy.note == "as configured; quality 97"


def test_a_reencoded_copy_carries_every_metadata_segment_and_the_tail() -> None:
    data = pictures.encoded(
        pictures.image("RGB"),
        "JPEG",
        exif=pictures.exif(),
        comment=b"a word",
        xmp=b"<xmp/>",
        icc_profile=b"profile" * 20_000,
    )
    trailer = b"motion photo \xff\xd8 and more"
    photo = read(data + trailer)
    copy = reencoded(photo).data
    before, after = read_layout(photo.data), read_layout(copy)
    segments = [photo.data[s.start : s.end] for s in before.metadata()]
    kept = [copy[s.start : s.end] for s in after.metadata()]
    assert kept[: len(segments)] == segments
    assert len(segments) > 4
    assert [s.marker for s in after.metadata()[len(segments) :]] == [COM]
    assert copy.endswith(b"\xff\xd9" + trailer)
    assert read(copy).facts.serial == "A 123"


def test_the_other_images_of_an_mpo_are_copied_and_found() -> None:
    frames = [pictures.image("RGB", seed=seed) for seed in (1, 2)]
    photo = read(pictures.encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    copy = reencoded(photo).data
    before, after = (Image.open(io.BytesIO(d)) for d in (photo.data, copy))
    assert after.format == "MPO"
    assert getattr(after, "n_frames", 0) == 2
    before.seek(1)
    after.seek(1)
    assert np.array_equal(np.asarray(before), np.asarray(after))


def test_a_table_set_that_pillow_cannot_use_gives_the_configured_quality() -> None:
    data = bytearray(pictures.encoded(pictures.image("RGB"), "JPEG", quality=60))
    layout = read_layout(bytes(data))
    tables = [s for s in layout.segments if s.marker == 0xDB]
    frame = layout.frame
    for segment in tables:  # tables 0, 1 become 2, 3
        position = segment.start + 4
        while position < segment.end:
            data[position] += 2
            position += 65
    for component in range(3):
        data[frame.start + 12 + 3 * component] += 2
    photo = read(bytes(data))
    copy = reencoded(photo)
    assert "quality 97" in copy.note
    assert read(copy.data).sensor == photo.sensor


def test_the_multi_picture_index_tells_the_truth_after_the_first_image_grew() -> None:
    frames = [pictures.image("RGB", seed=seed) for seed in (1, 2)]
    data = pictures.encoded(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=75)
    photo = read(data)
    copy = reencoded(photo).data
    assert len(copy) != len(data)
    marker = copy.index(b"MPF\0") + 4
    order = "<" if copy[marker : marker + 2] == b"II" else ">"
    second = read_layout(copy).end
    assert copy[second : second + 3] == b"\xff\xd8\xff"
    assert struct.pack(order + "I", second - marker) in copy[marker : marker + 200]


def growing(seed: int) -> tuple[Photo, Patch]:
    """Return an MPO whose repair needs more bits than the flat blocks it replaces."""
    generator = np.random.default_rng(seed)
    frames = [pictures.image("RGB", (96, 64), seed=seed) for seed in (1, 2)]
    frames[0].paste((120, 130, 110), (0, 0, 96, 64))
    data = pictures.encoded(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=98)
    photo = read(data)
    rows, columns = (axis.ravel() for axis in np.mgrid[8:24, 8:40])
    values = generator.integers(0, 256, (len(rows), 3)).astype(np.uint8)
    return photo, Patch(rows, columns, values)


def test_where_the_first_of_several_images_grows_only_the_index_is_put_right() -> None:
    photo, patch = growing(3)
    copy = encode_copy(photo, patch, jpeg="blocks", quality=97)
    longer = len(copy.data) - len(photo.data)
    assert longer > 0
    assert copy.method == "blocks"
    assert copy.note.endswith(f"what follows the picture has moved by {longer} bytes")
    before, after = read_layout(photo.data), read_layout(copy.data)
    assert copy.data[after.end :] == photo.data[before.end :]
    old, new = mpf.read_index(photo.data, before), mpf.read_index(copy.data, after)
    assert old is not None
    assert new is not None
    assert new.entries[0].size_bytes == old.entries[0].size_bytes + longer
    assert new.entries[1].size_bytes == old.entries[1].size_bytes
    assert new.entries[1].start == old.entries[1].start + longer == after.end
    first, last = old.entries[0].at, old.entries[-1].at + 16
    start = before.scans[0][0]
    assert copy.data[:first] == photo.data[:first]
    assert copy.data[last:start] == photo.data[last:start]
    with Image.open(io.BytesIO(photo.data)) as one, Image.open(io.BytesIO(copy.data)) as other:
        for image in (one, other):
            image.seek(1)
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("jpeg", ["blocks", "reencode"])
def test_the_hash_of_a_copy_that_its_encoder_tells_is_the_hash_that_reading_it_gives(
    jpeg: JpegMethod,
) -> None:
    for photo, patch in (growing(5), (read(_plain()), patch_of(read(_plain()), 90))):
        copy = encode_copy(photo, patch, jpeg=jpeg, quality=97)
        assert copy.image_digest in {None, read(copy.data).digest}
        assert (copy.image_digest is not None) == (copy.method == "blocks")


def _plain() -> bytes:
    return pictures.encoded(pictures.image("RGB"), "JPEG", quality=95) + b"\xff\xd8 a trailer"
