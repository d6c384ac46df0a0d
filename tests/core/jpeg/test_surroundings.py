"""Small JPEG files cut out of greater ones: they show the same pixels."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from hotpixeld.core import kernel
from hotpixeld.core.box import Box
from hotpixeld.core.jpeg.markers import read_layout
from hotpixeld.core.jpeg.opened import open_mcus
from hotpixeld.core.jpeg.surroundings import Cutting, areas_of, cuttings, mcus_of
from jpegmaker import VARIANTS, encoded, frame_of, header_of, scene
from kernels import both

SIZES = {"4:2:0": 2, "4:2:2": 1, "4:4:4": 0}


def parts_of(height: int, width: int) -> list[Box]:
    """Return parts at each corner and edge, within, over each other, and one of a single pixel."""
    tops = sorted({0, height // 2, max(0, height - 12)})
    lefts = sorted({0, width // 3, max(0, width - 13)})
    shape = (height, width)
    parts = [
        Box(top, left, top + 12, left + 13).widened(0, shape) for top in tops for left in lefts
    ]
    middle = Box(height // 2, width // 2, height // 2 + 1, width // 2 + 1)
    return [*parts, middle, middle.widened(5, shape)]


def cut(data: bytes, parts: list[Box]) -> list[Cutting]:
    header = header_of(data)
    areas = areas_of(header, parts)
    opened = open_mcus(data, header, mcus_of(header, areas))
    return list(cuttings(opened, read_layout(data), areas))


def assert_same(frame: npt.NDArray[np.uint8], found: Iterable[Cutting], parts: list[Box]) -> None:
    shown = []
    for cutting in found:
        small = frame_of(cutting.data)
        for part, row, column in cutting.parts:
            height, width = part.size
            here = small[row : row + height, column : column + width]
            assert np.array_equal(here, part.of(frame))
            shown.append(part)
    assert sorted(map(repr, shown)) == sorted(map(repr, parts))


@both
@pytest.mark.parametrize("variant", VARIANTS)
def test_parts_look_as_in_the_whole_picture(variant: str, each: kernel.Kernel | None) -> None:
    data = VARIANTS[variant]()
    frame = frame_of(data)
    with kernel.using(each):
        assert_same(frame, cut(data, parts_of(*frame.shape[:2])), parts_of(*frame.shape[:2]))


@pytest.mark.parametrize("subsampling", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("size", [(96, 64), (97, 65), (95, 63), (3, 80), (80, 4), (113, 33)])
def test_parts_look_the_same_whatever_the_size_of_the_picture(
    size: tuple[int, int], subsampling: int
) -> None:
    picture = scene(width=size[0], height=size[1])
    data = encoded(picture, quality=88, subsampling=subsampling, restart_marker_blocks=5)
    frame = frame_of(data)
    assert_same(frame, cut(data, parts_of(*frame.shape[:2])), parts_of(*frame.shape[:2]))


def test_parts_apart_in_brightness_are_coded_though_the_tables_lack_such_a_step() -> None:
    ramp = np.tile(np.linspace(8, 247, 400).astype(np.uint8), (64, 1))
    data = encoded(Image.fromarray(ramp), quality=100, optimize=True)
    assert not {7, 8, 9} & header_of(data).components[0].dc.codes.keys()  # of the steps below
    parts = [Box(20, column, 40, column + 10) for column in (5, 380, 30, 350, 190)]
    assert_same(frame_of(data), cut(data, parts), parts)


def test_more_parts_than_one_file_may_be_tall_make_several() -> None:
    data = VARIANTS["4:4:4"]()
    parts = [Box(40, 60, 60, 80)] * 3000
    found = cut(data, parts)
    assert len(found) == 2
    assert_same(frame_of(data), found, parts)
