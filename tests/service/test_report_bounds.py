"""The report stays small and says where its pictures and rows end."""

import contextlib
from pathlib import Path

from hotpixeld.core import reasons
from hotpixeld.core.defects import Candidate
from hotpixeld.core.sensor import Sensor
from hotpixeld.edge.database import open_database
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.pixels import PixelRow, replace_pixels
from hotpixeld.service.report import MOST_LISTED, MOST_PICTURED
from running import hotpixeld

SENSOR = Sensor("Fake", "One", "1", 3200, 2400, 3, 8, "jpeg")
CONFIG = "version: 1\nimport: ./import\noutput: ./out\nstate: ./state\n"


def confirmed(number: int) -> PixelRow:
    none = (0.0, 0.0, 0.0)
    candidate = Candidate(
        number, 7, (0,), "stuck", 9.0, none, none, none, 20, 1.0, (), "confirmed", reasons.CLEAR
    )
    return PixelRow(number, 7, "confirmed", reasons.CLEAR, candidate)


def test_of_thousands_of_defects_some_have_pictures_and_the_rest_are_counted(
    tmp_path: Path,
) -> None:
    for name in ("import", "state"):
        (tmp_path / name).mkdir()
    (tmp_path / "hotpixeld.yaml").write_text(CONFIG)
    count = MOST_LISTED + MOST_PICTURED + 1000
    with contextlib.closing(open_database(tmp_path / "state", create=True)) as db:
        sensor = Ledger(db).sensor_of(SENSOR)
        replace_pixels(db, sensor.id, [confirmed(number) for number in range(count)])
    done = hotpixeld("report", "-c", tmp_path / "hotpixeld.yaml")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "state" / "report.html").read_text()
    assert text.count("<article") == MOST_PICTURED
    assert "1000 more are not listed" in text
    assert len(text) < 1_000_000


def test_without_a_state_it_says_so_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "import").mkdir()
    (tmp_path / "hotpixeld.yaml").write_text(CONFIG)
    done = hotpixeld("report", "-c", tmp_path / "hotpixeld.yaml", "-o", tmp_path / "r.html")
    assert done.returncode == 1
    assert "there is no state yet" in done.stderr
    assert not (tmp_path / "r.html").exists()
