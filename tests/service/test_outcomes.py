"""What a pass leaves on the disk and says, as the config asks for it."""

import contextlib
import os
from pathlib import Path

import pytest

from fakecamera import Defect, FakeCamera, Shot
from hotpixeld.config import Config, parse_config
from hotpixeld.edge.database import open_database
from hotpixeld.edge.ledger import Ledger
from hotpixeld.service.rebuild import rebuild
from hotpixeld.service.single_pass import single_pass

DEFECTS = [Defect(30, 40, level=0.95), Defect(10, 12, level=0.95)]


@pytest.fixture(scope="module")
def shots() -> list[Shot]:
    return FakeCamera(96, 64, seed=4, defects=DEFECTS).shoot(16)


def passed(folder: Path, shots: list[Shot], more: str) -> Config:
    (folder / "import").mkdir()
    for shot in shots:
        (folder / "import" / shot.name).write_bytes(shot.jpeg)
    text = (
        "import: ./import\noutput: ./out\nstate: ./state\nreport: false\n"
        f"watch: {{settle: 50ms}}\ndetection: {{skip_similar: false}}\n{more}"
    )
    config = parse_config(text, folder)
    single_pass(config, lambda _text: None)
    return config


@pytest.mark.parametrize(
    ("template", "name"),
    [("{stem}", "IMG_0000.JPG"), ("{stem}.2_{date}", "IMG_0000.2_2024-05-01.JPG"),
     ("{date}/{camera}/{stem}_x.{ext}", "2024-05-01/Camera-1/IMG_0000_x.JPG"),
     ("{stem}.jpeg", "IMG_0000.jpeg")],
)  # fmt: skip
def test_a_copy_has_an_extension_whatever_the_template_leaves_out(
    tmp_path: Path, shots: list[Shot], template: str, name: str
) -> None:
    known = "sensors: [{width: 96, height: 64, pixels: [[40, 30], [12, 10]]}]\n"
    more = f'copies: {{name: "{template}", min_free: 0B, unaffected: copy}}\n{known}'
    config = passed(tmp_path, shots[:1], more)
    assert [str(p.relative_to(config.output)) for p in config.output.rglob("*.*")] == [name]


def test_what_the_brake_holds_is_told_with_the_way_to_accept_it(
    tmp_path: Path, shots: list[Shot], caplog: pytest.LogCaptureFixture
) -> None:
    passed(tmp_path, shots, "confirmation: {max_new: 1}\ncopies: {min_free: 0B}\n")
    told = [r.getMessage() for r in caplog.records if "held back" in r.getMessage()]
    assert len(told) == 1
    assert "2 new defects are held back (too-many-new)" in told[0]
    assert "hotpixeld pixels confirm --held --sensor camera-1" in told[0]


def test_the_plain_list_has_the_times_of_the_exported_one(
    tmp_path: Path, shots: list[Shot]
) -> None:
    config = passed(tmp_path, shots, "copies: {min_free: 0B}\n")
    (listed,) = (config.state / "pixels").iterdir()
    single_pass(config, lambda _text: None)
    with contextlib.closing(open_database(config.state)) as db:
        words = Ledger(db)
        words.say(1, 5, 5, "add", "2026-01-01T00:00:00Z")
        words.ask("reconsider", words.sensors()[0].key.encode(), "2026-01-01T00:00:00Z")
    single_pass(config, lambda _text: None)
    assert set(listed.read_text().splitlines()[1:]) == {"5 5 0", "40 30 0", "12 10 0"}


def test_photos_of_a_camera_that_was_dropped_count_again_only_when_asked_for(
    tmp_path: Path, shots: list[Shot]
) -> None:
    config = passed(tmp_path, shots[:5], "copies: {min_free: 0B}\n")

    def after(what: str = "", argument: bytes | None = None) -> list[str]:
        with contextlib.closing(open_database(config.state)) as db:
            if what:
                Ledger(db).ask(what, argument, "2026-01-01T00:00:00Z")
        single_pass(config, lambda _text: None)
        with contextlib.closing(open_database(config.state)) as db:
            return sorted(row.statistics for row in Ledger(db).photos())

    with contextlib.closing(open_database(config.state)) as db:
        key = Ledger(db).sensors()[0].key.encode()
    photos = sorted((tmp_path / "import").iterdir())
    assert after("forget-sensor", key) == ["refused"] * 5
    assert not list((config.state / "moments").iterdir())
    photos[0].rename(photos[0].with_name("renamed.jpg"))
    (tmp_path / "import" / "copied.jpg").write_bytes(photos[1].read_bytes())
    photos[2].touch()
    assert after() == ["refused"] * 7
    assert after("retry") == ["refused"] * 7
    assert after("retry", os.fsencode(photos[3])) == ["refused"] * 6 + ["waiting"]
    for shot in shots[5:8]:
        (tmp_path / "import" / shot.name).write_bytes(shot.jpeg)
    assert after() == ["folded"] * 4 + ["refused"] * 6


def test_a_rebuild_counts_an_archive_and_writes_no_copies_of_it(
    tmp_path: Path, shots: list[Shot], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = passed(tmp_path, shots[:1], "copies: {min_free: 0B, unaffected: copy}\n")
    archive = tmp_path / "archive"
    archive.mkdir()
    for shot in shots[1:]:
        (archive / shot.name).write_bytes(shot.jpeg)
    monkeypatch.chdir(config.output)
    rebuild(config, [Path(os.pardir, "archive")], lambda _text: None)
    assert [p.name for p in config.output.iterdir()] == [shots[0].name]
    with contextlib.closing(open_database(config.state)) as db:
        photos = list(Ledger(db).photos())
    assert {p.path.parent for p in photos} == {archive, config.import_folders[0]}
    assert {p.copy for p in photos if p.path.parent == archive} == {"none"}
    assert {p.statistics for p in photos} == {"folded"}
