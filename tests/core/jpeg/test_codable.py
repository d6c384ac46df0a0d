"""Files whose own tables lack the symbols that a repair needs."""

import numpy as np
from PIL import Image

from hotpixeld.core.jpeg.codable import _codable_ac, _codable_dc
from hotpixeld.core.jpeg.huffman import HuffmanTable
from hotpixeld.core.jpeg.rewrite import repair_blocks
from hotpixeld.core.jpeg.unsupported import JpegUnsupported
from hotpixeld.core.patch import Patch
from jpegmaker import coefficients, encoded, frame_of, patch_at


def table(*symbols: int) -> HuffmanTable:
    return HuffmanTable({symbol: (code, 8) for code, symbol in enumerate(symbols)})


def nearly_flat() -> bytes:
    """An optimised file that knows only few symbols."""
    picture = Image.new("RGB", (200, 120), (90, 100, 110))
    picture.paste((150, 90, 60), (40, 40, 43, 43))
    return encoded(picture, quality=90, optimize=True)


def repaired_or_refused(data: bytes, patch: Patch) -> bytes | None:
    try:
        return repair_blocks(data, patch)
    except JpegUnsupported as refusal:
        if refusal.reason != "no-code":
            raise
        return None


def test_a_repair_that_needs_missing_symbols_still_comes_near_or_is_refused() -> None:
    data = nearly_flat()
    frame = frame_of(data)
    places = [(41, 41), (41, 42), (100, 100), (7, 180), (8, 181)]
    done = 0
    for change in (-60, -25, -9, -4, 4, 9, 25, 60):
        patch = patch_at(frame, places, change)
        repaired = repaired_or_refused(data, patch)
        if repaired is None:
            continue
        done += 1
        now = frame_of(repaired).astype(int)
        wanted = patch.values_dn.astype(int)
        old = frame[patch.rows, patch.columns].astype(int)
        assert np.abs(now[patch.rows, patch.columns] - wanted).mean() < np.abs(old - wanted).mean()
        assert len(coefficients(repaired)) == 3
    assert 1 <= done < 8


def test_values_without_a_code_move_to_the_nearest_that_has_one() -> None:
    ac = table(0x00, 0x03, 0x12)
    assert _codable_ac([9, 0, -5, *[0] * 60], ac)[:4] == [7, 0, -3, 0]
    assert _codable_ac([0, 0, 5, *[0] * 60], ac) == [0] * 63


def test_what_has_a_code_stays() -> None:
    ac = table(0x00, 0x01, 0x11, 0xF0)
    values = [1, 0, -1, *[0] * 17, 1, *[0] * 42]
    assert _codable_ac(values, ac) == values


def test_no_zero_run_symbol_no_far_coefficient() -> None:
    assert _codable_ac([*[0] * 20, 1, *[0] * 42], table(0x00, 0x01, 0x41)) == [0] * 63


def test_a_dc_value_fits_both_its_neighbours() -> None:
    dc = table(0, 3)
    assert _codable_dc(10, 3, None, dc) == 10
    assert _codable_dc(6, 3, None, dc) == 7  # 4..7 away or none
    assert _codable_dc(8, 3, 12, dc) == 8
    assert _codable_dc(100, 95, 0, table(3, 7)) == 100
