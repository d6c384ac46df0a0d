import gc
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, _imaging

import pictures
from hotpixeld.edge import decode, pillowmemory


def loaded(data: bytes) -> Image.Image:
    return decode.load(decode.open_image(data, pictures.MAX_PIXELS))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("size", [(1, 1), (61, 43), (640, 129)])
def test_pillows_own_memory_gives_the_same_pixels(mode: str, size: tuple[int, int]) -> None:
    container = "TIFF" if mode == "CMYK" else "PNG"
    data = pictures.encoded(pictures.image(mode, size), container)
    channels = 4 if mode == "CMYK" else 3
    frame = pillowmemory.first_channels(loaded(data), channels)
    assert frame is not None
    assert np.array_equal(frame, np.asarray(Image.open(io.BytesIO(data)))[..., :channels])
    assert frame.strides == (4 * size[0], 4, 1)
    assert not frame.flags.writeable


def test_an_image_in_several_blocks_is_read_the_plain_way() -> None:
    data = pictures.encoded(pictures.image("RGB", (640, 480)), "PNG")
    expected = decode.frame_of(loaded(data))
    size = _imaging.get_block_size()
    _imaging.set_block_size(1 << 16)
    try:
        image = loaded(data)
        assert pillowmemory.first_channels(image, 3) is None
        assert np.array_equal(decode.frame_of(image), expected)
    finally:
        _imaging.set_block_size(size)


def decoded(seed: int, size: tuple[int, int] = (64, 48), mode: str = "RGB") -> decode.Frame:
    data = pictures.encoded(pictures.image(mode, size, seed=seed), "JPEG")
    return decode.decoded_frame(decode.open_image(data, pictures.MAX_PIXELS))


def expected(seed: int, size: tuple[int, int] = (64, 48), mode: str = "RGB") -> decode.Frame:
    data = pictures.encoded(pictures.image(mode, size, seed=seed), "JPEG")
    return np.asarray(Image.open(io.BytesIO(data)))


def address(frame: decode.Frame) -> int:
    return int(frame.__array_interface__["data"][0])


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("size", [(1, 1), (61, 43), (640, 129), (2000, 1200)])
def test_lent_memory_gives_the_same_pixels(mode: str, size: tuple[int, int]) -> None:
    for seed in range(4):  # each overwrites the one before
        wanted = expected(seed, size, mode).reshape(size[1], size[0], -1)
        assert np.array_equal(decoded(seed, size, mode), wanted)


def test_memory_is_lent_again_only_when_no_part_of_the_frame_is_seen_any_more() -> None:
    first = decoded(1)
    at, part = address(first), first[3:9, ::2]
    del first
    second = decoded(2)
    assert address(second) != at
    assert np.array_equal(part, expected(1)[3:9, ::2])
    del part
    third = decoded(3)
    assert address(third) == at
    assert np.array_equal(second, expected(2))
    assert np.array_equal(third, expected(3))


def test_no_more_memory_is_kept_than_asked() -> None:
    try:
        pillowmemory.keep(1)
        frames = [decoded(seed) for seed in range(3)]
        frames.clear()
        assert len(pillowmemory._spares.held) == 1
        pillowmemory.keep(0)
        assert len(pillowmemory._spares.held) == 0
    finally:
        pillowmemory.keep(2)


@pytest.mark.parametrize("other", [((48, 64), "RGB"), ((64, 48), "CMYK")])
def test_memory_of_another_size_or_mode_is_not_lent(other: tuple[tuple[int, int], str]) -> None:
    size, mode = other
    decoded(1)
    wanted = expected(5, size, mode).reshape(size[1], size[0], -1)
    assert np.array_equal(decoded(5, size, mode), wanted)


def test_threads_never_share_lent_memory() -> None:
    def right(seed: int) -> bool:
        frame = decoded(seed % 7)
        return bool(np.array_equal(frame, expected(seed % 7)))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(right, range(400)))


def test_a_frame_outlives_its_image() -> None:
    frames = [
        decode.frame_of(loaded(pictures.encoded(pictures.image("RGB", seed=s), "PNG")))
        for s in range(8)
    ]
    gc.collect()
    for seed, frame in enumerate(frames):
        assert np.array_equal(frame, np.asarray(pictures.image("RGB", seed=seed)))
