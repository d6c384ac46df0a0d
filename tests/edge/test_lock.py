import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hotpixeld.edge.lock import hold, holder_pid
from hotpixeld.errors import LockedError

HOLDS = (
    "import sys, pathlib\n"
    "from hotpixeld.edge.lock import hold\n"
    "with hold(pathlib.Path(sys.argv[1], 'lock')):\n"
    "    print('held', flush=True); sys.stdin.read()\n"
)


def _other_holding(folder: Path) -> "subprocess.Popen[str]":
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDS, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert other.stdout
    assert other.stdout.readline() == "held\n"
    return other


def test_a_folder_is_held_for_the_length_of_the_block(tmp_path: Path) -> None:
    assert holder_pid(tmp_path / "lock") is None
    with hold(tmp_path / "lock"):
        assert holder_pid(tmp_path / "lock") == os.getpid()
        assert holder_pid(tmp_path / "lock") == os.getpid(), "asking takes nothing away"
    assert holder_pid(tmp_path / "lock") is None


def test_the_second_is_refused_by_name_and_changes_nothing(tmp_path: Path) -> None:
    with _other_holding(tmp_path) as other:
        refused = pytest.raises(LockedError, match=f"is held by process {other.pid}")
        with refused as caught, hold(tmp_path / "lock"):
            pass
        assert caught.value.exit_code == 75
        assert holder_pid(tmp_path / "lock") == other.pid
        assert (tmp_path / "lock").read_text() == f"{other.pid}\n"
        other.communicate()
    with hold(tmp_path / "lock"):
        assert holder_pid(tmp_path / "lock") == os.getpid()


def test_a_killed_process_leaves_no_stale_lock(tmp_path: Path) -> None:
    with _other_holding(tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert holder_pid(tmp_path / "lock") is None
        with hold(tmp_path / "lock"):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_symlink_under_the_name_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "lock").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic links"), hold(tmp_path / "lock"):
        pass
    assert (tmp_path / "victim").read_text() == "precious"


def test_no_folder_is_held_by_nobody(tmp_path: Path) -> None:
    assert holder_pid(tmp_path / "missing/lock") is None
