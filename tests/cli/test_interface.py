"""What scripts rely on: exit codes, where each line goes, and fields that are always there."""

import contextlib
import json
from pathlib import Path

import pytest

from hotpixeld.cli import main
from hotpixeld.core import reasons
from hotpixeld.core.defects import Candidate
from hotpixeld.core.sensor import Sensor
from hotpixeld.edge.database import open_database
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.pixels import PixelRow, replace_pixels

SENSOR = Sensor("Fake", "One", "1", 64, 48, 3, 8, "jpeg")
PHOTO_STATES = {
    "waiting", "pending", "folded", "similar", "duplicate", "refused", "lost", "own_copy"
}  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    path = tmp_path / "c.yaml"
    path.write_text("import: in\noutput: out\nstate: st\n")
    return path


def _make_state(config: Path) -> None:
    (config.parent / "st").mkdir()
    open_database(config.parent / "st", create=True).close()


def test_status_has_every_count_before_there_is_a_state(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--json", "-c", str(config)]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["photos"] == dict.fromkeys(PHOTO_STATES, 0)
    assert document["copies"] == {"written": 0, "unaffected": 0, "failed": 0}
    assert not (config.parent / "st").exists()


def test_status_says_how_to_accept_what_is_held_back(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _make_state(config)
    dn = (1.0, 1.0, 1.0)
    rows = [
        PixelRow(
            row, 7, "held", reason,
            Candidate(row, 7, (0,), "stuck", 9.0, dn, dn, dn, 20, 1.0, (), "confirmed", "clear"),
        )
        for row, reason in enumerate((reasons.BRAKE, reasons.MANUAL, reasons.REGION))
    ]  # fmt: skip
    with contextlib.closing(open_database(config.parent / "st")) as db:
        sensor = Ledger(db).sensor_of(SENSOR)
        replace_pixels(db, sensor.id, rows)
    assert main(["status", "-c", str(config)]) == 3
    out = capsys.readouterr().out
    assert f"WAITS FOR YOU {SENSOR.key}: 2 new defects are held back" in out
    assert f"hotpixeld pixels confirm --held --sensor {SENSOR.key}" in out


def test_retry_takes_a_photo_however_it_is_named_and_refuses_what_is_none(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _make_state(config)
    imports = config.parent / "in"
    photo = imports / "p.jpg"
    photo.write_bytes(b"x")
    (config.parent / "link").symlink_to(imports)
    with contextlib.closing(open_database(config.parent / "st")) as db:
        Ledger(db).add_photo(
            photo, b"d", identity="1", seen_at="2024-01-01T00:00:00Z", statistics="refused"
        )
    monkeypatch.chdir(imports)
    for named in ("p.jpg", "../in/p.jpg", "../link/p.jpg"):
        assert main(["photos", "retry", named, "-c", str(config)]) == 0
    assert main(["photos", "retry", "q.jpg", "-c", str(config)]) == 2
    assert "q.jpg: there is no such photo" in capsys.readouterr().err
    with contextlib.closing(open_database(config.parent / "st")) as db:
        asked = [request[1:] for request in Ledger(db).requests()]
        assert asked == [("retry", str(photo).encode())] * 3


def test_find_says_so_where_nothing_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["find", str(tmp_path / "*.jpg")]) == 1
    assert "no photo was usable" in capsys.readouterr().err


def test_correct_names_the_photo_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "p.jpg"
    photo.write_bytes(b"no photo")
    assert main(["correct", str(photo), "1,1"]) == 1
    assert f"{photo}: not-a-photo" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [photo]
