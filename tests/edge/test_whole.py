import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hotpixeld.edge.whole import Look, NotYet, WholeFile, look, read_whole


def leases_work(folder: Path) -> bool:
    probe = folder / "probe"
    probe.write_bytes(b"x")
    seen = look(probe)
    return isinstance(seen, Look) and seen.writer == "none"


def test_a_whole_file_gives_its_bytes_and_its_identity(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    content = bytes(range(256)) * 5000
    path.write_bytes(content)
    whole = read_whole(path)
    assert isinstance(whole, WholeFile)
    assert whole.data == content
    assert whole.identity.size == len(content)
    assert whole.identity.ino == path.stat().st_ino


def test_reading_leaves_the_access_time_of_our_own_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    os.utime(path, (1, 2))
    assert isinstance(read_whole(path), WholeFile)
    assert path.stat().st_atime == 1


def test_a_file_open_for_writing_is_not_yet_whole(tmp_path: Path) -> None:
    if not leases_work(tmp_path):
        pytest.skip("this file system gives no leases")
    path = tmp_path / "a.jpg"
    with path.open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        assert read_whole(path) == NotYet("open-for-writing")
        seen = look(path)
        assert isinstance(seen, Look)
        assert seen.writer == "open"
    assert isinstance(read_whole(path), WholeFile)
    # on a file system where a refusal means nothing, it is not asked
    with path.open("r+b"):
        assert isinstance(read_whole(path, lease=False), WholeFile)


@pytest.mark.parametrize("how", ["ftruncate", "fallocate", "zero hole"])
def test_a_file_whose_data_are_still_to_come_is_not_whole(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.jpg"
    with path.open("wb") as writer:
        if how == "fallocate":
            os.posix_fallocate(writer.fileno(), 0, 1 << 20)
        else:
            os.ftruncate(writer.fileno(), 1 << 20)
        writer.write(b"x" * (1 << 18))
        if how == "zero hole":
            writer.seek((1 << 18) + (1 << 16))
            writer.write(b"x" * ((1 << 20) - writer.tell()))
    refused = read_whole(path)
    assert isinstance(refused, NotYet)
    assert refused.reason == "hole"
    path.write_bytes(b"x" * (1 << 20))
    assert isinstance(read_whole(path), WholeFile)


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "full.jpg").write_bytes(b"xyz")
    (tmp_path / "link.jpg").symlink_to("full.jpg")
    assert read_whole(tmp_path / "fifo.jpg") == NotYet("not-a-file")
    assert read_whole(tmp_path) == NotYet("not-a-file")
    assert read_whole(tmp_path / "link.jpg") == NotYet("not-a-file")
    assert read_whole(tmp_path / "absent.jpg") == NotYet("gone")
    assert read_whole(tmp_path / "empty.jpg") == NotYet("empty")
    assert read_whole(tmp_path / "full.jpg", max_bytes=2) == NotYet("too-large", "3 bytes")


def test_a_writer_that_meets_the_lease_is_not_turned_away_and_no_signal_ends_us(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * 100)
    stop = threading.Event()
    opened = 0

    def write() -> None:
        nonlocal opened
        while not stop.is_set():
            with path.open("r+b") as writer:
                writer.write(b"y")
            opened += 1

    thread = threading.Thread(target=write)
    thread.start()
    reasons = {type(read_whole(path)) for _ in range(3000)}
    stop.set()
    thread.join()
    assert reasons <= {WholeFile, NotYet}
    assert opened > 0
    assert signal.getsignal(signal.SIGIO) == signal.SIG_DFL  # so the process lives by F_SETSIG


def test_another_user_s_file_is_readable_though_no_lease_can_be_had(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's file")
    path = tmp_path / "a.jpg"
    path.write_bytes(b"xyz")
    tmp_path.chmod(0o755)
    program = (
        "import os\n"
        "from hotpixeld.edge.whole import look, read_whole\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "print(look('a.jpg').writer, read_whole('a.jpg').data)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert ran.stdout == "unknown b'xyz'\n"
