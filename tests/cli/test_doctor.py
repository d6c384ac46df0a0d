"""`doctor` says what it found and what to do, and changes nothing."""

import json
import os
from pathlib import Path

import pytest

from hotpixeld.config import Config, load_config
from hotpixeld.service import doctor
from running import hotpixeld

CONFIG = (
    "version: 1\nimport: ./import\noutput: ./repaired\nstate: ./state\ncopies: {min_free: 0B}\n"
)


def config_in(folder: Path, text: str = CONFIG) -> Config:
    (folder / "import").mkdir(exist_ok=True)
    (folder / "hotpixeld.yaml").write_text(text)
    return load_config(folder / "hotpixeld.yaml")


def wrong(config: Config, now_s: float | None = None) -> list[doctor.Check]:
    return [check for check in doctor.examine(config, now_s=now_s) if not check.is_fine]


def test_a_good_machine_is_fine_and_nothing_is_made(tmp_path: Path) -> None:
    config_in(tmp_path)
    done = hotpixeld("doctor", "-c", tmp_path / "hotpixeld.yaml")
    assert done.returncode == 0, done.stdout
    assert "FOUND" not in done.stdout
    assert "SQLite" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"import", "hotpixeld.yaml"}


def test_its_checks_are_there_for_scripts_too(tmp_path: Path) -> None:
    config_in(tmp_path)
    for wanted, code in ((True, 0), (False, 1)):
        done = hotpixeld("doctor", "--json", "-c", tmp_path / "hotpixeld.yaml")
        told = json.loads(done.stdout)
        assert (told["fine"], done.returncode) == (wanted, code)
        assert all(check["fine"] == (check["advice"] is None) for check in told["checks"])
        assert [check["what"] for check in told["checks"] if "SQLite" in check["what"]]
        if wanted:
            (tmp_path / "import").rmdir()


def test_what_is_wrong_comes_first_with_an_advice_and_exit_code_1(tmp_path: Path) -> None:
    config_in(tmp_path, CONFIG.replace("0B", "900TiB"))
    (tmp_path / "import").rmdir()
    done = hotpixeld("doctor", "-c", tmp_path / "hotpixeld.yaml")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("FOUND: import")
    assert lines[1].startswith("  what to do: make the folder")
    assert "MiB free, and copies.min_free keeps" in done.stdout


def test_a_bad_config_is_a_finding_and_the_machine_is_looked_at_all_the_same(
    tmp_path: Path,
) -> None:
    (tmp_path / "bad.yaml").write_text("version: 1\nimprt: x\n")
    done = hotpixeld("doctor", "-c", tmp_path / "bad.yaml")
    assert done.returncode == 1
    assert "imprt" in done.stdout
    assert "SQLite" in done.stdout


def test_a_clock_before_the_program_and_files_of_the_future_are_found(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    assert wrong(config, now_s=0.0)[0].advice.startswith("set the clock")
    os.utime((tmp_path / "import"), (1e9, 1e9))
    late = tmp_path / "import" / "late.jpg"
    late.touch()
    os.utime(late, (4e9, 4e9))
    assert [check.what for check in wrong(config)] == [
        f"{tmp_path / 'import'}: 1 files are of the future, such as late.jpg"
    ]


def test_a_damaged_state_is_found_and_left_as_it_is(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    config.state.mkdir()
    file = config.state / "hotpixeld.sqlite"
    file.write_bytes(b"no database" * 1000)
    assert len(wrong(config)) == 1
    assert file.read_bytes() == b"no database" * 1000


@pytest.mark.parametrize(
    ("watches", "instances", "found"), [("1", "128", 1), ("8192", "1", 1), ("8192", "128", 0)]
)
def test_the_inotify_limits_are_compared_with_the_folders(
    tmp_path: Path, watches: str, instances: str, found: int
) -> None:
    (tmp_path / "limits").mkdir()
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    (tmp_path / "limits" / "max_user_watches").write_text(watches)
    (tmp_path / "limits" / "max_user_instances").write_text(instances)
    checks = list(doctor.inotify((tmp_path / "tree",), tmp_path / "limits"))
    assert [check.is_fine for check in checks].count(False) == found


def test_hidden_limits_are_no_finding(tmp_path: Path) -> None:
    (check,) = doctor.inotify((tmp_path,), tmp_path / "hidden")
    assert check.is_fine
    assert "hidden" in check.what
