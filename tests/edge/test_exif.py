import pytest
from PIL import Image

import pictures
from hotpixeld.edge.photo import Photo, read_photo
from hotpixeld.errors import PhotoError


def read(data: bytes) -> Photo:
    return read_photo(data, "photo.jpg", max_pixels=pictures.MAX_PIXELS)


def with_exif(exif: Image.Exif | bytes) -> Photo:
    return read(pictures.encoded(pictures.image("RGB"), "JPEG", exif=exif))


def test_a_time_without_an_offset_is_taken_as_local() -> None:
    photo = with_exif(pictures.exif(offset=""))
    assert photo.captured_at is not None
    assert photo.captured_at.tzinfo is not None
    assert photo.captured_at.replace(tzinfo=None).isoformat() == "2024-05-06T07:08:09.250000"


@pytest.mark.parametrize("taken", ["0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", ""])
def test_a_time_that_is_none_is_absent(taken: str) -> None:
    assert with_exif(pictures.exif(taken=taken)).captured_at is None


@pytest.mark.parametrize("serial", ["", "0", "0000000", "   "])
def test_a_serial_of_zeros_or_blanks_is_none(serial: str) -> None:
    assert with_exif(pictures.exif(serial=serial)).sensor.serial == ""


@pytest.mark.parametrize("written", ['="{}"', ">{}</Camera:RigCameraIndex>"])
def test_the_cameras_of_a_rig_that_share_a_serial_are_told_apart(written: str) -> None:
    serials = []
    for camera in range(4):
        exif = pictures.exif(serial="PI04")
        exif[0x02BC] = b"<x Camera:RigCameraIndex" + written.format(camera).encode() + b" />"
        serials.append(with_exif(exif).sensor.serial)
    assert serials == [f"PI04 rig {camera}" for camera in range(4)]
    exif[0x02BC] = b'<x Camera:RigCameraIndex="many" />'
    assert with_exif(exif).sensor.serial == "PI04"


def test_names_are_stripped_and_printable() -> None:
    sensor = with_exif(pictures.exif(make="NIKON   \0", model="A\x1b[31m\n B")).sensor
    assert (sensor.make, sensor.model) == ("NIKON", "A [31m B")
    assert len(with_exif(pictures.exif(model="x" * 5000)).sensor.model) == 100


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_exif_broken_at_any_byte_is_never_fatal() -> None:
    whole = pictures.exif().tobytes()
    frame = with_exif(whole).frame
    for position in range(6, len(whole)):
        for broken in (
            whole[:position],
            whole[:position] + b"\xff" + whole[position + 1 :],
            whole[:position] + b"\0" + whole[position + 1 :],
        ):
            assert (with_exif(broken).frame == frame).all()


def test_our_mark_in_exif_is_recognised() -> None:
    block = pictures.exif()
    assert not with_exif(block).own_mark
    block[0x000B] = "hotpixeld 0.1.0 repaired copy"
    assert with_exif(block).own_mark


def test_a_photo_whose_camera_cannot_be_read_for_lack_of_memory_is_not_another_cameras(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_memory(_: object) -> None:
        raise MemoryError

    data = pictures.encoded(pictures.image("RGB", (40, 30)), "JPEG")
    monkeypatch.setattr("PIL.Image.Image.getexif", without_memory)
    with pytest.raises(PhotoError) as refused:
        read_photo(data, "photo.jpg", max_pixels=pictures.MAX_PIXELS)
    assert (refused.value.reason, refused.value.may_pass) == ("too-large", True)
