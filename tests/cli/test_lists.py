import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hotpixeld.cli import main
from hotpixeld.core.defects import Candidate, DefectKind, FootprintPixel, PixelState
from hotpixeld.core.sensor import Sensor
from hotpixeld.edge.database import open_database
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.pixels import PixelRow, replace_pixels
from hotpixeld.service.listing import onset_unix_s

SENSOR = Sensor("NIKON", "COOLPIX L6", "", 64, 48, 3, 8, "jpeg")


def _pixel(
    row: int, column: int, *, state: PixelState = "confirmed", kind: DefectKind = "stuck"
) -> PixelRow:
    excess = (9.0, 9.0, 9.0)
    footprint = tuple(
        FootprintPixel(row, column + right, excess, (True, True, True)) for right in (0, 1)
    )
    candidate = Candidate(
        row, column, (0, 1, 2), kind, 9.0, excess, excess, excess, 20, 1.0, footprint, state, "x"
    )
    return PixelRow(row, column, state, "x", candidate, "2006-05-01T12:00:00Z")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text("import: in\noutput: out\nstate: st\n")
    (tmp_path / "st").mkdir()
    with contextlib.closing(open_database(tmp_path / "st", create=True)) as db:
        pixels = [_pixel(23, 41), _pixel(9, 5, kind="dead"), _pixel(1, 1, state="candidate")]
        replace_pixels(db, Ledger(db).sensor_of(SENSOR).id, pixels)
    return path


def _words(config: Path) -> set[tuple[int, int]]:
    with contextlib.closing(open_database(config.parent / "st")) as db:
        ledger = Ledger(db)
        words = ledger.words(ledger.sensors()[0].id)
        assert set(words.values()) <= {"add"}
        return set(words)


FORMATS = ["dcraw", "rawtherapee", "jpegpixi", "siril", "pixinsight", "phd2", "mask", "json"]
OF_FOOTPRINTS = {(9, 5), (9, 6), (23, 41), (23, 42)}


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_exported_can_be_imported(config: Path, form: str) -> None:
    listed = config.with_name("list")
    options = ["-c", str(config), "--format", form]
    assert main(["pixels", "export", *options, "-o", str(listed)]) == 0
    assert main(["pixels", "import", *options, str(listed)]) == 0
    assert _words(config) == {(9, 5), (23, 41)}  # a footprint's pixels stand for their defect


def test_dcraw_gets_the_onset(config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["pixels", "export", "-c", str(config), "--format", "dcraw"]) == 0
    assert capfd.readouterr().out == (
        f"# {SENSOR.key}, written by hotpixeld\n5 9 1146484801\n41 23 1146484801\n"
    )


def test_an_onset_that_is_not_known_is_0() -> None:
    pixel = _pixel(0, 0)
    for after, since in ((None, 0), ("nonsense", 0), ("2006-05-01T12:00:00+02:00", 1146477601)):
        changed = PixelRow(0, 0, "confirmed", "x", pixel.candidate, after)
        assert onset_unix_s(changed) == since


def test_rawtherapee_gets_the_name_that_it_looks_for(config: Path) -> None:
    folder = config.parent
    options = ["-c", str(config), "--format", "rawtherapee", "-o", str(folder)]
    assert main(["pixels", "export", *options]) == 0
    assert (folder / "NIKON COOLPIX L6.badpixels").read_text() == "0\n5 9\n41 23\n"


def test_a_mask_shows_whole_footprints(config: Path) -> None:
    target = config.with_name("mask.png")
    options = ["-c", str(config), "--format", "mask", "-o", str(target)]
    assert main(["pixels", "export", *options]) == 0
    with Image.open(io.BytesIO(target.read_bytes())) as image:
        assert {(int(y), int(x)) for y, x in np.argwhere(np.asarray(image))} == OF_FOOTPRINTS


@pytest.mark.parametrize("text", ["", "# nothing\n", "999 999 0\n", "not a list\n"])
def test_a_list_without_pixels_of_this_sensor_is_refused_and_changes_nothing(
    config: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    listed = config.with_name("list")
    listed.write_text(text)
    assert main(["pixels", "import", "-c", str(config), "--format", "dcraw", str(listed)]) == 1
    assert "no pixels of" in capsys.readouterr().err
    assert _words(config) == set()


def test_lines_that_are_left_out_are_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = config.with_name("list")
    listed.write_text("1 2 0\n" + "3 4\x1b[2J\n" * 9)
    assert main(["pixels", "import", "-c", str(config), "--format", "dcraw", str(listed)]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[0] == rf"{listed}:2: left out: 3 4\x1b[2J"
    assert told[-1] == f"{listed}: 4 more lines left out"
    assert _words(config) == {(2, 1)}


def test_a_file_that_is_no_list_at_all_is_an_error_in_one_line(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for form, data in (("json", b"{"), ("mask", b"GIF89a"), ("json", json.dumps({}).encode())):
        listed = config.with_name("list")
        listed.write_bytes(data)
        assert main(["pixels", "import", "-c", str(config), "--format", form, str(listed)]) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1
    missing = str(config.with_name("missing"))
    assert main(["pixels", "import", "-c", str(config), "--format", "json", missing]) == 1
    assert _words(config) == set()


def test_the_drop_in_names_the_folders_of_the_config(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["systemd-dropin", "-c", str(config)]) == 0
    told = capsys.readouterr().out
    for key, folder in (("ReadOnly", "in"), ("ReadWrite", "out"), ("ReadWrite", "st")):
        lines = [line for line in told.splitlines() if line.endswith(f'/{folder}"')]
        assert any(key in line or "Bind" in line for line in lines)
