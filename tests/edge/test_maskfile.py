import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hotpixeld.core.lists import ListedPixel
from hotpixeld.edge.maskfile import read_mask, write_mask


@given(st.sets(st.tuples(st.integers(0, 19), st.integers(0, 9)), max_size=30))
def test_a_mask_reads_what_it_wrote(places: set[tuple[int, int]]) -> None:
    pixels = tuple(sorted(ListedPixel(x, y) for x, y in places))
    assert read_mask(write_mask(pixels, width=20, height=10), width=20, height=10) == pixels


def test_a_mask_is_an_8_bit_grey_png_of_the_frames_size() -> None:
    with Image.open(io.BytesIO(write_mask([ListedPixel(3, 1)], width=5, height=4))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (5, 4))
        assert np.argwhere(np.asarray(image)).tolist() == [[1, 3]]
        assert image.getpixel((3, 1)) == 255


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_masks_of_other_programs_are_read_in_any_mode(mode: str) -> None:
    mask = np.zeros((4, 5), np.uint8)
    mask[1, 3] = 255
    image = Image.fromarray(mask)
    written = io.BytesIO()
    if mode == "I;16":
        Image.fromarray(mask.astype(np.uint16)).save(written, "PNG")
    else:
        image.convert(mode).save(written, "PNG")
    assert read_mask(written.getvalue(), width=5, height=4) == (ListedPixel(3, 1),)


def test_what_is_no_mask_of_this_sensor_is_refused() -> None:
    good = write_mask([], width=5, height=4)
    for data, size in ((good, (4, 5)), (good[:-30], (5, 4)), (b"", (5, 4)), (b"GIF89a", (5, 4))):
        with pytest.raises(ValueError, match="mask"):
            read_mask(data, width=size[0], height=size[1])
    with pytest.raises(ValueError, match="outside"):
        write_mask([ListedPixel(5, 0)], width=5, height=4)
