import gc
import io

import numpy as np
import pytest
from PIL import Image, _imaging

import pictures
from hotpixeld.edge import arrow, decode


def loaded(data: bytes) -> Image.Image:
    return decode.load(decode.open_image(data, pictures.MAX_PIXELS))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("size", [(1, 1), (61, 43), (640, 129)])
def test_pillows_own_memory_gives_the_same_pixels(mode: str, size: tuple[int, int]) -> None:
    container = "TIFF" if mode == "CMYK" else "PNG"
    data = pictures.encoded(pictures.image(mode, size), container)
    channels = 4 if mode == "CMYK" else 3
    frame = arrow.first_channels(loaded(data), channels)
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
        assert arrow.first_channels(image, 3) is None
        assert np.array_equal(decode.frame_of(image), expected)
    finally:
        _imaging.set_block_size(size)


def test_a_frame_outlives_its_image() -> None:
    frames = [
        decode.frame_of(loaded(pictures.encoded(pictures.image("RGB", seed=s), "PNG")))
        for s in range(8)
    ]
    gc.collect()
    for seed, frame in enumerate(frames):
        assert np.array_equal(frame, np.asarray(pictures.image("RGB", seed=seed)))
