"""The commands as a user types them, on a state that a single pass has made."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fakecamera import Defect, FakeCamera, Shot
from hotpixeld.cli import main
from running import RunningDaemon

STUCK = Defect(60, 80, level=0.95)
PHOTOS = 16


@pytest.fixture(scope="module")
def shots() -> list[Shot]:
    return FakeCamera(320, 240, seed=5, defects=[STUCK]).shoot(PHOTOS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, shots: list[Shot]) -> RunningDaemon:
    """A folder on which one pass was made; nobody is running there."""
    daemon = RunningDaemon(tmp_path_factory.mktemp("prepared"), start=False)
    for shot in shots:
        daemon.drop(shot.name, shot.jpeg)
    daemon.drop("broken.jpg", b"no photo")
    assert main(["scan", "-c", str(daemon.config)]) == 0
    return daemon


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Any:  # noqa: ANN401 (a JSON document)
    _, out, _ = run(capsys, *arguments)
    return json.loads(out)


def test_scan_folds_confirms_and_repairs_in_one_pass(prepared: RunningDaemon) -> None:
    assert prepared.confirmed() == {(STUCK.column, STUCK.row)}
    states = [row.statistics for row in prepared.photos().values()]
    assert states.count("folded") == PHOTOS
    assert states.count("refused") == 1
    assert any(row.copy == "written" for row in prepared.photos().values())


def test_status_says_that_nobody_runs_and_exits_3(
    prepared: RunningDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "status", "-c", prepared.config, "--json")
    document = json.loads(out)
    assert code == 3
    assert document["running"] is False
    assert document["photos"]["folded"] == PHOTOS
    assert document["last_checkpoint"]["photos"] == PHOTOS
    assert set(document) >= {
        "running", "pid", "since", "version", "folders", "queue", "photos", "copies", "sensors",
        "overflows", "watcher_restarts", "last_photo_at", "last_checkpoint", "problems",
    }  # fmt: skip
    code, out, _ = run(capsys, "status", "-c", prepared.config)
    assert code == 3
    assert "not running" in out


def test_a_state_that_was_never_made_is_no_problem_and_status_says_how_to_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = RunningDaemon(tmp_path, start=False)
    assert as_json(capsys, "status", "-c", daemon.config, "--json")["problems"] == []
    code, out, _ = run(capsys, "status", "-c", daemon.config)
    assert code == 3
    assert out.startswith("not running, and never was")
    assert f"hotpixeld run -c {daemon.config}" in out
    assert not daemon.state.exists()


def test_pixels_list_has_every_field_of_the_interface(
    prepared: RunningDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    (sensor,) = as_json(capsys, "pixels", "list", "-c", prepared.config, "--json")["sensors"]
    best = sensor["pixels"][0]
    assert (best["x"], best["y"], best["state"]) == (STUCK.column, STUCK.row, "confirmed")
    assert set(best) >= {
        "x", "y", "channels", "kind", "state", "reason", "score", "mean_dn", "variance_dn2",
        "excess_dn", "photos", "shows_in", "footprint", "since", "last_seen",
    }  # fmt: skip
    assert [best["x"], best["y"]] in best["footprint"]
    _, out, _ = run(capsys, "pixels", "list", "-c", prepared.config)
    assert "80,60" in out


def test_a_persons_word_outranks_the_statistics_and_can_be_taken_back(
    prepared: RunningDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"{STUCK.column},{STUCK.row}"
    for action, state in (("reject", "rejected"), ("forget", "confirmed")):
        assert run(capsys, "pixels", action, place, "-c", prepared.config)[0] == 0
        assert main(["scan", "-c", str(prepared.config)]) == 0
        (pixel,) = [p for p in prepared.pixels() if (p["x"], p["y"]) == (80, 60)]
        assert pixel["state"] == state
    assert run(capsys, "pixels", "add", "7,9", "-c", prepared.config)[0] == 0
    assert main(["scan", "-c", str(prepared.config)]) == 0
    assert (7, 9) in prepared.confirmed()
    assert run(capsys, "pixels", "forget", "7,9", "-c", prepared.config)[0] == 0
    assert main(["scan", "-c", str(prepared.config)]) == 0
    assert (7, 9) not in {(p["x"], p["y"]) for p in prepared.pixels()}


@pytest.mark.parametrize("pixel", ["7", "7;9", "-1,2", "7,9,1", "320,0", "0,240"])
def test_what_is_no_pixel_of_the_sensor_is_refused_and_nothing_is_noted(
    prepared: RunningDaemon, capsys: pytest.CaptureFixture[str], pixel: str
) -> None:
    before = prepared.pixels()
    code, _, err = run(capsys, "pixels", "add", "-c", prepared.config, "--", pixel)
    assert code == 2
    assert err.startswith("hotpixeld: ")
    assert prepared.pixels() == before


def test_photos_list_filters_by_either_state(
    prepared: RunningDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    def names(state: str) -> set[str]:
        document = as_json(
            capsys, "photos", "list", "--state", state, "--json", "-c", prepared.config
        )
        return {Path(photo["path"]).name for photo in document["photos"]}

    assert names("refused") == {"broken.jpg"}
    assert len(names("folded")) == PHOTOS
    assert names("written") <= names("folded")
    assert not names("failed")


def test_retry_takes_a_refused_photo_again(
    prepared: RunningDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    path = prepared.imports / "broken.jpg"
    before = prepared.photos()["broken.jpg"].seen_at
    assert run(capsys, "photos", "retry", path, "-c", prepared.config)[0] == 0
    assert main(["scan", "-c", str(prepared.config)]) == 0
    assert prepared.photos()["broken.jpg"].seen_at > before


def test_sensors_list_and_an_unknown_key(
    prepared: RunningDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    (sensor,) = as_json(capsys, "sensors", "list", "--json", "-c", prepared.config)["sensors"]
    assert sensor["photos"] == PHOTOS
    assert sensor["bytes"] > 0
    code, _, err = run(capsys, "sensors", "forget", "no-such-camera", "-c", prepared.config)
    assert code == 2
    assert sensor["sensor"]["key"] in err


def test_dry_run_changes_nothing(
    prepared: RunningDaemon, tmp_path: Path, shots: list[Shot]
) -> None:
    daemon = RunningDaemon(tmp_path, start=False)
    daemon.drop("one.jpg", shots[0].jpeg)
    assert main(["scan", "--dry-run", "-c", str(daemon.config)]) == 0
    assert not daemon.state.exists()
    assert not daemon.repaired.exists()

    def tree() -> dict[Path, tuple[int, int, bytes | None]]:
        found = {path: path.stat() for path in prepared.folder.rglob("*")}
        return {
            path: (stat.st_mtime_ns, stat.st_mode, path.read_bytes() if path.is_file() else None)
            for path, stat in found.items()
        }

    new = [
        prepared.drop("new.jpg", shots[0].jpeg + b"\0"),
        prepared.drop("cut.jpg", shots[0].jpeg[:900]),
    ]
    before = tree()
    assert main(["scan", "--dry-run", "-c", str(prepared.config)]) == 0
    assert tree() == before
    assert {path.parent.name for path in before} >= {"import", "state", "moments"}
    for path in new:
        path.unlink()


def test_find_prints_what_the_original_printed_and_the_ranking(
    prepared: RunningDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    document = as_json(capsys, "find", "--json", prepared.imports)
    (sensor,) = document["sensors"]
    assert (sensor["pixels"][0]["x"], sensor["pixels"][0]["y"]) == (STUCK.column, STUCK.row)
    assert sensor["photos"] == PHOTOS
    assert len(sensor["least_variance"]) == 10
    variances = [entry[3] for entry in sensor["least_variance"]]
    assert variances == sorted(variances)
    assert variances[0] == pytest.approx(sensor["variance"]["least"])
    assert [Path(skipped["path"]).name for skipped in document["skipped"]] == ["broken.jpg"]
    _, out, _ = run(capsys, "find", prepared.imports, "--top", "1")
    assert "the ten least" in out


def test_find_without_a_usable_photo_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no.jpg").write_bytes(b"no")
    assert run(capsys, "find", tmp_path)[0] == 1
    assert run(capsys, "find", tmp_path / "absent.jpg")[0] == 1


@pytest.mark.parametrize("options", [(), ("--reencode",)])
def test_correct_writes_c_name_beside_the_photo_and_leaves_the_photo(
    tmp_path: Path, shots: list[Shot], capsys: pytest.CaptureFixture[str], options: tuple[str]
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(shots[0].jpeg)
    place = f"{STUCK.column},{STUCK.row}"
    assert run(capsys, "correct", photo, place, *options)[0] == 0
    assert photo.read_bytes() == shots[0].jpeg
    corrected = np.asarray(Image.open(tmp_path / "c_photo.jpg")).astype(int)
    spot = np.s_[59:62, 79:82]
    clean = shots[0].clean_frame[spot].astype(int)
    before = np.abs(shots[0].frame[spot].astype(int) - clean).mean()
    assert np.abs(corrected[spot] - clean).mean() < 0.5 * before
    assert run(capsys, "correct", photo, place, *options)[0] == 2
    assert run(capsys, "correct", photo, place, "--force", *options)[0] == 0
    assert run(capsys, "correct", photo, place, "-o", photo, "--force")[0] == 2
    assert photo.read_bytes() == shots[0].jpeg


@pytest.mark.parametrize("place", ["0,0", "60,0", "0,42", "60,42", "30,0"])
def test_correct_works_at_the_edges_with_alpha_and_with_palettes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    x, y = map(int, place.split(","))
    for name, mode in (("alpha.png", "RGBA"), ("palette.png", "P"), ("grey.png", "L")):
        picture = Image.new("L", (61, 43), 40)
        if mode != "P":
            picture.putpixel((x, y), 255)
        picture = picture.convert(mode)
        data = io.BytesIO()
        picture.save(data, "PNG")
        (tmp_path / name).write_bytes(data.getvalue())
        code, _, err = run(capsys, "correct", tmp_path / name, place, "--force")
        assert code == 0, err
        corrected = Image.open(tmp_path / f"c_{name}")
        assert corrected.mode == mode
        assert corrected.convert("RGB").getpixel((x, y)) == (40, 40, 40)


def test_correct_says_so_where_nothing_is_to_be_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "flat.png"
    Image.new("RGB", (60, 40), (40, 90, 20)).save(photo)
    code, out, _ = run(capsys, "correct", photo, "30,20")
    assert code == 0
    assert "0 pixels repaired" in out
    assert "nothing to repair" in out
    assert Image.open(tmp_path / "c_flat.png").tobytes() == Image.open(photo).tobytes()


def test_errors_name_the_place_and_exit_as_the_interface_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text("version: 1\nimport: ./a\noutput: ./b\nstate: ./c\nwatch: {settel: 2s}\n")
    for command in ("check-config", "check-config -c", "run -c"):
        code, _, err = run(capsys, *command.split(), config)
        assert code == 78
        assert err.startswith(f"{config}:5:9: watch.settel:")
        assert "settle" in err
    config.write_text("version: 1\nimport: ./a\noutput: ./b\nstate: ./c\n")
    assert run(capsys, "check-config", config)[0] == 0
    assert run(capsys, "check-config", "-c", config)[0] == 0
    assert run(capsys, "check-config", config, "-c", config)[0] == 2
    assert run(capsys, "pixels", "list", "-c", config)[0] == 1  # no state yet: nothing is damaged
    assert run(capsys, "correct", tmp_path / "absent.jpg", "1,1")[0] == 1
    with pytest.raises(SystemExit) as ended:
        main(["no-such-command"])
    assert ended.value.code == 2


def test_config_schema_is_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert "properties" in as_json(capsys, "config-schema")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("stauts", "there is no 'stauts', did you mean status?\nhelp: hotpixeld --help"),
        ("pixels lst", "did you mean list?\nhelp: hotpixeld pixels --help"),
        ("photos list --state foldd", "did you mean folded?\nhelp: hotpixeld photos list --help"),
        ("photos list --state qqq", "there are: 'waiting', 'pending'"),
        ("run --confg x", "unrecognized arguments: --confg x\nhelp: hotpixeld --help"),
    ],
)
def test_a_slip_of_the_hand_is_told_with_what_was_probably_meant(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(typed.split())
    assert ended.value.code == 2
    assert meant in capsys.readouterr().err
