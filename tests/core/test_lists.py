import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hotpixeld.core.lists import (
    ListedPixel,
    ListFormat,
    rawtherapee_name,
    read_list,
    write_list,
)

WIDTH, HEIGHT = 2816, 2112
FORMATS: list[ListFormat] = [
    "dcraw",
    "rawtherapee",
    "jpegpixi",
    "siril",
    "pixinsight",
    "phd2",
    "json",
]
PIXELS = (
    ListedPixel(411, 236, 1028350000),
    ListedPixel(0, 0),
    ListedPixel(2815, 2111, 0, is_dead=True),
)


@pytest.mark.parametrize("form", FORMATS)
@given(
    pixels=st.sets(
        st.tuples(
            st.integers(0, WIDTH - 1),
            st.integers(0, HEIGHT - 1),
            st.integers(0, 2**31 - 1),
            st.booleans(),
        ).map(lambda parts: ListedPixel(*parts)),
        max_size=30,
    ),
    title=st.text(max_size=200),
)
def test_each_format_reads_what_it_wrote(
    form: ListFormat, pixels: set[ListedPixel], title: str
) -> None:
    written = write_list(form, pixels, title=title)
    again = read_list(form, written, width=WIDTH, height=HEIGHT)
    assert again.left_out == ()
    assert {(p.x, p.y) for p in again.pixels} == {(p.x, p.y) for p in pixels}
    if len({(p.x, p.y) for p in pixels}) == len(pixels):
        if form in ("dcraw", "json"):
            times = {(p.x, p.y): p.since_unix_s for p in pixels}
            assert all(times[p.x, p.y] == p.since_unix_s for p in again.pixels)
        if form in ("siril", "json"):
            dead = {(p.x, p.y): p.is_dead for p in pixels}
            assert all(dead[p.x, p.y] == p.is_dead for p in again.pixels)
    assert write_list(form, again.pixels, title=title) == write_list(
        form, read_list(form, written, width=WIDTH, height=HEIGHT).pixels, title=title
    )


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "json"])
@given(text=st.text())
def test_no_text_stops_a_reader(form: ListFormat, text: str) -> None:
    read = read_list(form, text, width=100, height=50)
    assert all(0 <= p.x < 100 and 0 <= p.y < 50 for p in read.pixels)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("dcraw", "# cam\n0 0 0\n411 236 1028350000\n2815 2111 0\n"),
        ("rawtherapee", "0\n0 0\n411 236\n2815 2111\n"),
        ("jpegpixi", "# cam\n0,0\n411,236\n2815,2111\n"),
        ("siril", "P 0 0 H\nP 411 236 H\nP 2815 2111 C\n"),
        ("pixinsight", "# cam\nCol 0 0 0\nCol 411 236 236\nCol 2815 2111 2111\n"),
        ("phd2", "# PHD2 Defect Map v1\n# cam\n0 0\n411 236\n2815 2111\n"),
    ],
)
def test_each_format_is_written_as_its_program_expects(form: ListFormat, text: str) -> None:
    assert write_list(form, PIXELS, title="cam") == text


def test_dcraw_takes_three_numbers_and_nothing_else() -> None:
    text = "1 2 3 # why\n# 4 5 6\n7 8\n9 10 11 12\n\nx y z\n5000 1 0\n" + "1 1 0" + " " * 130
    read = read_list("dcraw", text, width=WIDTH, height=HEIGHT)
    assert read.pixels == (ListedPixel(1, 2, 3),)
    assert [number for number, _ in read.left_out] == [3, 4, 6, 7, 8]


def test_no_written_line_is_longer_than_dcraw_reads_nor_holds_a_second_one() -> None:
    title = "a sensor \n1 2 3\r with a long name " * 10
    lines = write_list("dcraw", PIXELS, title=title).splitlines()
    assert max(map(len, lines)) <= 127
    assert len(lines) == 4


def test_a_time_beyond_dcraws_clock_stays_the_last_it_knows() -> None:
    assert write_list("dcraw", [ListedPixel(1, 2, 2**40)]) == f"1 2 {2**31 - 1}\n"


def test_of_a_pixel_listed_twice_the_older_date_stays() -> None:
    text = "1 2 900\n1 2 0\n1 2 800\n"
    read = read_list("dcraw", text, width=9, height=9)
    assert read.pixels == (ListedPixel(1, 2, 800),)


def test_rawtherapee_has_its_offset_in_the_first_line_only() -> None:
    text = "20\n1 2\n30\n4 5\n"
    read = read_list("rawtherapee", text, width=WIDTH, height=HEIGHT)
    assert read.pixels == (ListedPixel(21, 22), ListedPixel(24, 25))
    assert read.left_out == ((3, "30"),)
    same = read_list("rawtherapee", text, width=WIDTH, height=HEIGHT, margin_px=20)
    assert same.pixels == (ListedPixel(1, 2), ListedPixel(4, 5))
    assert write_list("rawtherapee", same.pixels, margin_px=20) == "20\n1 2\n4 5\n"


def test_rawtherapee_finds_the_list_by_the_cameras_name() -> None:
    assert rawtherapee_name("NIKON", "COOLPIX L6", "") == "NIKON COOLPIX L6.badpixels"
    assert rawtherapee_name("Canon", "EOS 5D/II", "12.3") == "Canon EOS 5D_II 12.3.badpixels"


def test_jpegpixi_has_blocks_directions_and_three_separators() -> None:
    text = "2:5,6\nV: 1/2\nh:3;4,2\n7,8,2,1 # block\n50%,3\n1,1,999,999\n"
    read = read_list("jpegpixi", text, width=100, height=100)
    assert [(p.x, p.y) for p in read.pixels] == [
        *((1, 2), (3, 4), (3, 5), (4, 4), (4, 5)),
        *((5, 6), (7, 8), (8, 8)),
    ]
    assert [number for number, _ in read.left_out] == [5, 6]


def test_whole_rows_and_columns_are_left_out_and_said_so() -> None:
    siril = read_list("siril", "P 1 2\nL 5 0\nC 6 0\nP 3 4 C\n", width=9, height=9)
    assert siril.pixels == (ListedPixel(1, 2), ListedPixel(3, 4, 0, is_dead=True))
    assert siril.left_out == ((2, "L 5 0"), (3, "C 6 0"))
    pixinsight = read_list("pixinsight", "Col 5\nRow 1 2 4\nCol 3 9 8\n", width=9, height=9)
    assert [(p.x, p.y) for p in pixinsight.pixels] == [(2, 1), (3, 1), (3, 8), (4, 1)]
    assert pixinsight.left_out == ((1, "Col 5"), (3, "Col 3 9 8"))


@pytest.mark.parametrize(
    "document",
    [
        [[1, 2], {"x": 3, "y": 4}],
        {"pixels": [[1, 2], [3, 4]]},
        {
            "sensors": [
                {"sensor": {}, "pixels": [{"x": 1, "y": 2}, {"x": 3, "y": 4, "kind": "hot"}]}
            ]
        },
    ],
)
def test_json_lists_are_read_in_each_of_our_shapes(document: object) -> None:
    read = read_list("json", json.dumps(document), width=9, height=9)
    assert [(p.x, p.y) for p in read.pixels] == [(1, 2), (3, 4)]


def test_json_that_is_no_list_is_refused_and_odd_entries_are_left_out() -> None:
    for text in ("", "{}", "5", '{"sensors": [{}, {}]}', "[" * 100_000):
        with pytest.raises(ValueError, match=r".+"):
            read_list("json", text, width=9, height=9)
    read = read_list("json", '[[1,2],[1],"x",{"x":true,"y":1},[9,0]]', width=9, height=9)
    assert read.pixels == (ListedPixel(1, 2),)
    assert len(read.left_out) == 4


def _jpeg_with_spot(path: Path, x: int, y: int) -> None:
    frame = np.full((64, 96, 3), 90, np.uint8)
    frame[y, x] = 255
    Image.fromarray(frame).save(path, quality=95, subsampling=0)


@pytest.mark.skipif(not shutil.which("jpegpixi"), reason="jpegpixi is not installed")
def test_jpegpixi_itself_repairs_the_pixels_of_our_list(tmp_path: Path) -> None:
    _jpeg_with_spot(tmp_path / "in.jpg", 41, 23)
    (tmp_path / "list").write_text(write_list("jpegpixi", [ListedPixel(41, 23)], title="a # b"))
    subprocess.run(
        ["jpegpixi", "-v", "-f", "list", "in.jpg", "out.jpg"], cwd=tmp_path, check=True, timeout=20
    )
    before = np.asarray(Image.open(tmp_path / "in.jpg")).astype(int)
    after = np.asarray(Image.open(tmp_path / "out.jpg")).astype(int)
    assert before[23, 41].min() > 200
    assert abs(after[23, 41] - 90).max() < 12


@pytest.mark.skipif(not shutil.which("dcraw"), reason="dcraw is not installed")
def test_dcraw_itself_repairs_the_pixels_of_our_list_in_photos_after_the_onset(
    tmp_path: Path,
) -> None:
    spot = ListedPixel(41, 23, since_unix_s=1_000_000_000)
    (tmp_path / "photo.dng").write_bytes(_dng_with_spot(spot.x, spot.y, "2003:01:01 00:00:00"))
    (tmp_path / "older.dng").write_bytes(_dng_with_spot(spot.x, spot.y, "2000:01:01 00:00:00"))
    (tmp_path / "list").write_text(write_list("dcraw", [spot], title="a sensor"))
    values = {}
    for name in ("photo", "older"):
        shown = subprocess.run(
            ["dcraw", "-c", "-d", "-4", "-t", "0", "-P", "list", f"{name}.dng"],
            cwd=tmp_path,
            check=True,
            timeout=20,
            capture_output=True,
        ).stdout
        values[name] = int(np.asarray(Image.open(io.BytesIO(shown)))[spot.y, spot.x])
    assert values["older"] > 2 * values["photo"]


def _dng_with_spot(x: int, y: int, taken: str) -> bytes:
    """Return the least DNG that dcraw decodes: 16-bit Bayer, uncompressed, with one bright site."""
    width, height = 96, 64
    raw = np.full((height, width), 4000, "<u2")
    raw[y, x] = 60_000
    texts = {271: b"Test\0", 272: b"Bayer\0", 306: taken.encode() + b"\0", 50708: b"Test Bayer\0"}
    matrix = b"".join(
        np.int32(number).tobytes() for part in (1, 0, 0, 0, 1, 0, 0, 0, 1) for number in (part, 1)
    )
    neutral = b"".join(np.uint32(1).tobytes() for _ in range(6))
    entries: list[tuple[int, int, int, bytes]] = [
        (254, 4, 1, b"\0\0\0\0"),
        (256, 4, 1, width.to_bytes(4, "little")),
        (257, 4, 1, height.to_bytes(4, "little")),
        (258, 3, 1, (16).to_bytes(4, "little")),
        (259, 3, 1, (1).to_bytes(4, "little")),
        (262, 3, 1, (32803).to_bytes(4, "little")),
        (271, 2, len(texts[271]), texts[271]),
        (272, 2, len(texts[272]), texts[272]),
        (273, 4, 1, b"STRP"),
        (277, 3, 1, (1).to_bytes(4, "little")),
        (278, 4, 1, height.to_bytes(4, "little")),
        (279, 4, 1, (raw.nbytes).to_bytes(4, "little")),
        (306, 2, len(texts[306]), texts[306]),
        (33421, 3, 2, bytes([2, 0, 2, 0])),
        (33422, 1, 4, bytes([0, 1, 1, 2])),
        (50706, 1, 4, bytes([1, 1, 0, 0])),
        (50708, 2, len(texts[50708]), texts[50708]),
        (50721, 10, 9, matrix),
        (50728, 5, 3, neutral),
    ]
    after = 8 + 2 + 12 * len(entries) + 4
    extra = b""
    table = len(entries).to_bytes(2, "little")
    for tag, kind, count, value in entries:
        table += tag.to_bytes(2, "little") + kind.to_bytes(2, "little")
        table += count.to_bytes(4, "little")
        if len(value) > 4:
            table += (after + len(extra)).to_bytes(4, "little")
            extra += value + b"\0" * (len(value) % 2)
        else:
            table += value.ljust(4, b"\0")
    table = table.replace(b"STRP", (after + len(extra)).to_bytes(4, "little"))
    return b"II*\0\x08\0\0\0" + table + b"\0\0\0\0" + extra + raw.tobytes()
