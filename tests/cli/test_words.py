"""A person's word on a pixel is meant for the whole defect that the pixel belongs to."""

import contextlib
from pathlib import Path

import pytest

from hotpixeld.cli import main
from hotpixeld.core.defects import Candidate, FootprintPixel
from hotpixeld.core.sensor import Sensor
from hotpixeld.core.verdicts import Word
from hotpixeld.edge.database import open_database
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.pixels import PixelRow, replace_pixels

SENSOR = Sensor("Fake", "One", "1", 64, 48, 3, 8, "jpeg")


def _spot(row: int, column: int, score: float) -> PixelRow:
    dn = (9.0, 9.0, 9.0)
    footprint = tuple(
        FootprintPixel(row, column + right, dn, (True, True, True)) for right in (-1, 0, 1)
    )
    candidate = Candidate(
        row, column, (0, 1, 2), "stuck", score, dn, dn, dn, 20, 1.0, footprint, "confirmed", "x"
    )
    return PixelRow(row, column, "confirmed", "x", candidate)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text("import: in\noutput: out\nstate: st\n")
    (tmp_path / "st").mkdir()
    with contextlib.closing(open_database(tmp_path / "st", create=True)) as db:
        sensor = Ledger(db).sensor_of(SENSOR)
        replace_pixels(db, sensor.id, [_spot(10, 20, 9.0), _spot(10, 22, 5.0)])
    return path


def _words(config: Path) -> dict[tuple[int, int], Word]:
    with contextlib.closing(open_database(config.parent / "st")) as db:
        return Ledger(db).words(1)


def test_a_word_on_a_pixel_of_a_footprint_is_a_word_on_its_defect(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pixels", "reject", "19,10", "20,10", "-c", str(config)]) == 0
    assert _words(config) == {(10, 20): "reject"}
    out = capsys.readouterr().out
    assert "19,10 belongs to the defect 20,10" in out
    assert "noted 1 pixel(s)" in out
    assert main(["pixels", "forget", "19,10", "-c", str(config)]) == 0
    assert _words(config) == {}


def test_where_two_defects_meet_the_surer_one_is_meant(config: Path) -> None:
    assert main(["pixels", "confirm", "21,10", "-c", str(config)]) == 0
    assert _words(config) == {(10, 20): "confirm"}


def test_a_pixel_of_no_defect_stands_for_itself(config: Path) -> None:
    assert main(["pixels", "add", "20,11", "-c", str(config)]) == 0
    assert _words(config) == {(11, 20): "add"}
