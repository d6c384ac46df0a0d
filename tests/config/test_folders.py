import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hotpixeld.config.folders import folder_problems, place_on_device


def _problems(base: Path, **folders: object) -> dict[str, str]:
    value = {"import" if key == "import_" else key: path for key, path in folders.items()}
    return {str(key[0]): message for key, message in folder_problems(value, base)}


def test_folders_apart_are_fine_whether_they_exist_or_not(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert _problems(tmp_path, import_="in", output="in2", state="st", report="r.html") == {}
    assert _problems(tmp_path, import_=["in", "in-b"], output="out", state="st") == {}


@pytest.mark.parametrize(
    ("folders", "key", "message"),
    [
        ({"output": "in"}, "output", "is the same as the import folder"),
        ({"output": "./in/../in/"}, "output", "is the same as the import folder"),
        ({"output": "in/x/y"}, "output", "is inside the import folder"),
        ({"output": "."}, "output", "holds the import folder"),
        ({"state": "in/.state"}, "state", "is inside the import folder"),
        ({"state": "out"}, "state", "is the same as the output folder"),
        ({"state": "out/state"}, "state", "is inside the output folder"),
        ({"import_": ["in", "in/sub"]}, "import", "is inside an import folder"),
        ({"report": "in/report.html"}, "report", "is inside the import folder"),
    ],
)
def test_folders_that_hold_one_another_are_refused(
    tmp_path: Path, folders: dict[str, object], key: str, message: str
) -> None:
    problems = _problems(tmp_path, **{"import_": "in", "output": "out", "state": "st"} | folders)
    assert next(iter(problems)) == key
    assert problems[key].startswith(message)


def test_a_symlink_does_not_hide_that_output_is_in_import(tmp_path: Path) -> None:
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to("in/sub")
    problems = _problems(tmp_path, import_="in", output="link/out", state="st")
    assert problems["output"].startswith("is inside the import folder")


def test_a_loop_of_symlinks_and_a_forbidden_folder_are_no_crash(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert _problems(tmp_path, import_="a", output="b/../c", state="x" * 300) == {}


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("")
    assert "is not a folder" in _problems(tmp_path, import_="in", output="o", state="s")["import"]


def test_the_same_folder_by_device_and_inode_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "IN").mkdir()
    real_stat = os.stat

    def case_blind(path: Path, **options: bool) -> os.stat_result:
        return real_stat(str(path).replace("/IN", "/in"), **options)

    monkeypatch.setattr(Path, "stat", case_blind)
    problems = _problems(tmp_path, import_="in", output="IN/out", state="st")
    assert problems["output"].startswith("is inside the import folder")


MOUNTS = (
    "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    "40 21 8:2 / /data rw - ext4 /dev/sdb1 rw\n"
    "41 21 8:2 /photos/in /srv/my\\040in rw - ext4 /dev/sdb1 rw\n"
    "broken line\n"
)


def test_a_bind_mount_is_where_its_files_are() -> None:
    assert place_on_device(Path("/srv/my in/x"), MOUNTS) == ("8:2", Path("/photos/in/x"))
    assert place_on_device(Path("/data/photos/in/x"), MOUNTS) == ("8:2", Path("/photos/in/x"))
    assert place_on_device(Path("/srv/other"), MOUNTS) == ("8:1", Path("/srv/other"))
    assert place_on_device(Path("/srv"), "") == ("", Path("/srv"))


def test_a_bind_mounted_output_inside_import_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_read = Path.read_bytes

    def mounts(path: Path) -> bytes:
        return MOUNTS.encode() if str(path) == "/proc/self/mountinfo" else real_read(path)

    monkeypatch.setattr(Path, "read_bytes", mounts)
    problems = _problems(tmp_path, import_="/data/photos", output="/srv/my in/out", state="st")
    assert problems == {"output": "is inside the import folder /data/photos"}


def _can_mount() -> bool:
    unshare = shutil.which("unshare")
    return (
        bool(unshare)
        and not subprocess.run(
            ["unshare", "-Urm", "true"], check=False, capture_output=True
        ).returncode
    )


@pytest.mark.skipif(not _can_mount(), reason="no user namespaces here: no mount without root")
@pytest.mark.parametrize("inner", [".", "sub"])
def test_a_real_bind_mount_of_the_import_folder_is_seen_through(tmp_path: Path, inner: str) -> None:
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "c.yaml").write_text("import: in\noutput: elsewhere/out\nstate: st\n")
    code = "import sys; from hotpixeld.cli import main; sys.exit(main(['check-config', 'c.yaml']))"
    done = subprocess.run(
        [
            *("unshare", "-Urm", "sh", "-c"),
            f'mount --bind in/{inner} elsewhere && exec "$0" -c "$1"',
            *(sys.executable, code),
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 78
    assert f"c.yaml:2:9: output: is inside the import folder {tmp_path}/in" in done.stderr
