import numpy as np
import pytest
from PIL import Image, ImageOps

from hotpixeld.core.orientation import stored_position


@pytest.mark.parametrize("orientation", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_a_pixel_that_a_viewer_shows_is_found_where_it_is_stored(orientation: int) -> None:
    stored = np.arange(3 * 5, dtype=np.uint8).reshape(3, 5)
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    shown = np.asarray(ImageOps.exif_transpose(image))
    for shown_row in range(shown.shape[0]):
        for shown_column in range(shown.shape[1]):
            row, column = stored_position(shown_row, shown_column, orientation, (3, 5))
            assert stored[row, column] == shown[shown_row, shown_column]
