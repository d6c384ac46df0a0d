import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hotpixeld.edge.atomic import (
    TEMPORARY,
    atomic_file,
    make_folder,
    sweep_temporaries,
    write_atomically,
)


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_file_is_written_with_its_mode_and_times(tmp_path: Path) -> None:
    path = tmp_path / "c.jpg"
    write_atomically(path, b"new", mode=0o640, times_ns=(10**18, 10**18 + 7))
    assert _tree(tmp_path) == {"c.jpg": b"new"}
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_mtime_ns == 10**18 + 7


def test_nothing_stands_under_the_name_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "c.jpg"
    with atomic_file(path) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
        (temporary,) = tmp_path.iterdir()
        assert TEMPORARY.fullmatch(temporary.name)
    assert _tree(tmp_path) == {"c.jpg": b"half"}


def test_an_error_in_the_block_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "c.jpg"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as file:
        file.write(b"%d" % (1 // 0))
    assert _tree(tmp_path) == {"c.jpg": b"old"}


@pytest.mark.parametrize("call", ["fsync", "replace", "utime"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_full_or_broken_disk_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "c.jpg"
    path.write_bytes(b"old")

    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fails)
        with pytest.raises(OSError, match=os.strerror(number)):
            write_atomically(path, b"new", times_ns=(0, 0))
    assert _tree(tmp_path) == {"c.jpg": b"old"}


def test_without_overwrite_an_existing_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "c.jpg"
    write_atomically(path, b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        write_atomically(path, b"second", overwrite=False)
    assert _tree(tmp_path) == {"c.jpg": b"first"}
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "dangling", b"x", overwrite=False)
    assert _tree(tmp_path) == {"c.jpg": b"first"}


def test_a_file_system_without_hard_links_does_not_overwrite_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "c.jpg"
    write_atomically(path, b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        write_atomically(path, b"second", overwrite=False)
    assert _tree(tmp_path) == {"c.jpg": b"first"}


def test_room_is_taken_before_anything_is_written(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "large", size_bytes=3 << 20) as file:
        assert os.fstat(file.fileno()).st_blocks * 512 >= 3 << 20
        file.write(bytes(3 << 20))
    assert (tmp_path / "large").stat().st_size == 3 << 20


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, None])
def test_a_disk_without_room_says_so_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    def full(_descriptor: int, _start: int, _length: int) -> None:
        assert code
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", full)
    path = tmp_path / "large"
    path.write_bytes(b"as it was")
    with (
        pytest.raises(OSError, match="large") as told,
        atomic_file(path, size_bytes=4096 if code else 1 << 62),
    ):
        pytest.fail("nothing is to be written")
    assert told.value.errno == (code or errno.ENOSPC)
    assert _tree(tmp_path) == {"large": b"as it was"}


def test_a_file_system_that_cannot_take_room_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(_descriptor: int, _start: int, _length: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", unable)
    with atomic_file(tmp_path / "file", size_bytes=4) as file:
        file.write(b"four")
    assert _tree(tmp_path) == {"file": b"four"}


def test_subfolders_are_made_below_the_root_only(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    write_atomically(root / "a/b/c.jpg", b"x", below=root)
    write_atomically(root / "d.jpg", b"y", below=root)
    before = _tree(tmp_path)
    assert before == {"out/a/b/c.jpg": b"x", "out/d.jpg": b"y"}
    (root / "link").symlink_to(elsewhere)
    with pytest.raises(NotADirectoryError):
        write_atomically(root / "link/c.jpg", b"x", below=root)
    for wrong in (elsewhere / "c.jpg", root / "a/../../elsewhere/c.jpg", root / ".."):
        with pytest.raises(ValueError, match=r"not in the subpath|not a file name"):
            write_atomically(wrong, b"x", below=root)
    with pytest.raises(FileNotFoundError):
        write_atomically(root / "missing/c.jpg", b"x")
    assert _tree(tmp_path) == before


def test_the_root_itself_may_be_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    write_atomically(tmp_path / "out/a/c.jpg", b"x", below=tmp_path / "out")
    assert (tmp_path / "real/a/c.jpg").read_bytes() == b"x"


def test_the_longest_names_and_names_that_are_no_text_work(tmp_path: Path) -> None:
    for name in ("n" * 255, os.fsdecode(b"\xff\xfe.jpg"), "line\nbreak.jpg"):
        write_atomically(tmp_path / name, b"x")
        assert (tmp_path / name).read_bytes() == b"x"


def test_a_copy_of_a_file_holds_what_was_asked_for_whatever_the_file_holds_by_now(
    tmp_path: Path,
) -> None:
    data = bytes(range(256)) * 20_000
    for number, held in enumerate((data, data[:-1] + b"!", data + b"!", b"", None)):
        source, copy = tmp_path / f"source{number}", tmp_path / f"copy{number}"
        if held is not None:
            source.write_bytes(held)
        write_atomically(copy, data, same_as=source)
        assert copy.read_bytes() == data
        assert held is None or source.read_bytes() == held


_ON_BTRFS = r"""
set -e
truncate -s 200M "$1/disk"; mkfs.btrfs -q "$1/disk" > /dev/null; mkdir "$1/mounted"
mount -o loop "$1/disk" "$1/mounted"; cd "$1/mounted"
exec "$2" -c "$3"
"""
_COPIES = """
import os, pathlib
from hotpixeld.edge.atomic import write_atomically
data = os.urandom(40 << 20)
pathlib.Path("source").write_bytes(data)
for other in ("source", "changed"):
    os.sync()
    before = os.statvfs(".").f_bfree
    if other == "changed":
        pathlib.Path("source").open("r+b").write(b"x")
    write_atomically(pathlib.Path(other + "-copy"), data, same_as=pathlib.Path("source"))
    assert pathlib.Path(other + "-copy").read_bytes() == data
    os.sync()
    stat = os.statvfs(".")
    print((before - stat.f_bfree) * stat.f_bsize >> 20)
"""


def test_where_the_file_system_can_a_copy_shares_the_blocks(tmp_path: Path) -> None:
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-c"]
    if os.geteuid() or not shutil.which("mkfs.btrfs"):
        pytest.skip("NOT TESTED, a real reflink: it needs root and btrfs-progs")
    if subprocess.run([*command, "mount -t tmpfs t /mnt"], check=False).returncode:
        pytest.skip("NOT TESTED, a real reflink: nothing can be mounted here")
    told = subprocess.run(
        [*command, _ON_BTRFS, "on-btrfs", tmp_path, sys.executable, _COPIES],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "loop" in told.stderr:
        pytest.skip(f"NOT TESTED, a real reflink: {told.stderr.strip()}")
    shared_mib, written_mib = map(int, told.stdout.split() or [told.stderr])
    assert shared_mib < 5
    assert written_mib > 30


def test_sweep_removes_what_a_killed_process_left_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, pathlib\n"
        "from hotpixeld.edge.atomic import atomic_file\n"
        "with atomic_file(pathlib.Path(sys.argv[1])) as file:\n"
        "    file.write(b'x'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "sub").mkdir()
    for path in (tmp_path / "a", tmp_path / "sub/b"):
        environ = {"PYTHONPATH": os.pathsep.join(sys.path)}
        killed = subprocess.run([sys.executable, "-c", code, path], check=False, env=environ)
        assert killed.returncode == -signal.SIGKILL
    kept = {".hotpixeld-mine.tmp": b"1", "sub/.hotpixeld-0123456789abcdef.tmp.jpg": b"2"}
    for name, data in kept.items():
        (tmp_path / name).write_bytes(data)
    with atomic_file(tmp_path / "alive") as file:
        assert sweep_temporaries(tmp_path) == 2
        file.write(b"3")
    assert _tree(tmp_path) == {**kept, "alive": b"3"}
    assert sweep_temporaries(tmp_path) == 0
    assert sweep_temporaries(tmp_path / "missing") == 0


def test_sweep_follows_no_symlink(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    name = ".hotpixeld-0123456789abcdef.tmp"
    (tmp_path / "other" / name).write_bytes(b"")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/link").symlink_to(tmp_path / "other")
    (tmp_path / "out" / name).symlink_to(tmp_path / "other" / name)
    assert sweep_temporaries(tmp_path / "out") == 0
    assert (tmp_path / "other" / name).exists()


def test_a_file_gets_a_group_where_we_may_give_it(tmp_path: Path) -> None:
    path = tmp_path / "c.jpg"
    write_atomically(path, b"x", group=os.getgid())
    assert path.stat().st_gid == os.getgid()
    if os.geteuid():
        write_atomically(path, b"y", group=0)
        assert path.read_bytes() == b"y"


def test_without_sync_nothing_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(descriptor: int) -> None:
        raise AssertionError(descriptor)

    monkeypatch.setattr(os, "fsync", never)
    write_atomically(tmp_path / "status.json", b"{}", sync=False)
    assert _tree(tmp_path) == {"status.json": b"{}"}


def test_folders_are_made_down_to_the_last_and_each_name_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda opened: synced.append(Path(f"/proc/self/fd/{opened}").readlink())
    )
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert synced == [tmp_path, tmp_path / "a"]
    make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"kept"
