"""`pixels confirm --held` says yes to what the brake or the manual mode held, no more."""

import contextlib
from pathlib import Path

from hotpixeld.core import reasons
from hotpixeld.core.defects import Candidate
from hotpixeld.core.sensor import Sensor
from hotpixeld.edge.database import open_database
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.pixels import PixelRow, replace_pixels
from running import hotpixeld

SENSOR = Sensor("Fake", "One", "1", 320, 240, 3, 8, "jpeg")


def held(row: int, reason: str) -> PixelRow:
    none = (0.0, 0.0, 0.0)
    candidate = Candidate(
        row, 7, (0,), "stuck", 9.0, none, none, none, 20, 1.0, (), "confirmed", reasons.CLEAR
    )
    return PixelRow(row, 7, "held", reason, candidate)


def test_what_the_brake_held_is_confirmed_and_a_date_stamp_is_not(tmp_path: Path) -> None:
    for name in ("import", "state"):
        (tmp_path / name).mkdir()
    config = tmp_path / "hotpixeld.yaml"
    config.write_text("version: 1\nimport: ./import\noutput: ./out\nstate: ./state\n")
    rows = [held(1, reasons.BRAKE), held(2, reasons.MANUAL), held(3, reasons.REGION)]
    with contextlib.closing(open_database(tmp_path / "state", create=True)) as db:
        sensor = Ledger(db).sensor_of(SENSOR)
        replace_pixels(db, sensor.id, rows)
    done = hotpixeld("pixels", "confirm", "--held", "-c", config)
    assert done.returncode == 0, done.stderr
    assert "2 held pixel(s) confirmed" in done.stdout
    with contextlib.closing(open_database(tmp_path / "state")) as db:
        assert Ledger(db).words(sensor.id) == {(1, 7): "confirm", (2, 7): "confirm"}
