"""What the markers of a file say of its scan."""

import pytest

from hotpixeld.core.jpeg.parse import ZIGZAG
from jpegmaker import VARIANTS, header_of


def test_the_order_of_the_scan_is_the_zigzag() -> None:
    assert ZIGZAG[:10].tolist() == [0, 1, 8, 16, 9, 2, 3, 10, 17, 24]
    assert sorted(ZIGZAG.tolist()) == list(range(64))


@pytest.mark.parametrize(
    ("variant", "colour", "sampling"),
    [
        ("4:2:0", "ycc", [(2, 2), (1, 1), (1, 1)]),
        ("4:2:2", "ycc", [(2, 1), (1, 1), (1, 1)]),
        ("grey", "grey", [(1, 1)]),
        ("RGB", "rgb", [(1, 1)] * 3),
        ("CMYK", "cmyk", [(1, 1)] * 4),
    ],
)
def test_the_header_says_colour_and_sampling(
    variant: str, colour: str, sampling: list[tuple[int, int]]
) -> None:
    header = header_of(VARIANTS[variant]())
    assert header.colour == colour
    assert [(c.across, c.down) for c in header.components] == sampling
