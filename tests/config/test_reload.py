import os
from pathlib import Path

import pytest

from hotpixeld.config import RESTART_KEYS, ConfigFile, differs_in, parse_config

FOLDERS = "import: in\noutput: out\nstate: st\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "hotpixeld.yaml"
    path.write_text(FOLDERS)
    return path


def test_a_file_that_stays_as_it_is_has_not_changed(path: Path) -> None:
    file = ConfigFile(path)
    assert not any(file.changed(now_s) for now_s in (0.0, 5.0, 100.0))


def test_a_saved_file_has_changed_once_it_was_quiet_for_two_seconds(path: Path) -> None:
    file = ConfigFile(path)
    path.write_text(FOLDERS + "# 1\n")
    assert not file.changed(10.0)
    assert not file.changed(11.9)
    assert file.changed(12.0)
    assert not file.changed(13.0), "told once"


def test_a_file_that_is_still_being_written_is_waited_for(path: Path) -> None:
    file = ConfigFile(path)
    for second in range(5):
        path.write_text(FOLDERS + "#" * second)
        assert not file.changed(10.0 + second * 1.5)
    assert file.changed(18.0)


def test_a_file_renamed_over_it_is_seen(path: Path) -> None:
    file = ConfigFile(path)
    other = path.with_name("other")
    other.write_text(FOLDERS)
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.rename(path)
    assert not file.changed(0.0)
    assert file.changed(2.0)


def test_a_swapped_symlink_to_its_folder_is_seen(tmp_path: Path) -> None:
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "c.yaml").write_text(FOLDERS)
    link = tmp_path / "current"
    link.symlink_to("v1")
    file = ConfigFile(link / "c.yaml")
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").rename(link)
    assert not file.changed(0.0)
    assert file.changed(2.0)


def test_a_file_that_is_gone_is_no_change_until_it_is_back(path: Path) -> None:
    file = ConfigFile(path)
    path.unlink()
    assert not file.changed(0.0)
    assert not file.changed(10.0)
    path.write_text(FOLDERS + "# back\n")
    assert not file.changed(20.0)
    assert file.changed(22.0)


def test_what_differs_is_named_as_in_the_file(tmp_path: Path) -> None:
    old = parse_config(FOLDERS, tmp_path)
    new = parse_config(
        "import: [in, in2]\noutput: out\nstate: st2\nwatch: {settle: 3s}\n"
        "copies: {min_free: 1GiB}\nlog: {level: debug}\n",
        tmp_path,
    )
    assert differs_in(old, new) == (
        "import",
        "state",
        "watch.settle",
        "copies.min_free",
        "log.level",
    )
    assert differs_in(old, old) == ()
    assert RESTART_KEYS & set(differs_in(old, new)) == {"state"}
