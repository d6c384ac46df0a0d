import os
import socket
from pathlib import Path

import pytest

from hotpixeld.edge.names import Names
from hotpixeld.edge.scan import Scan


def names_found(root: Path) -> set[str]:
    return {os.path.relpath(found.path, root) for found in Scan(str(root), Names())}


def test_photos_are_found_in_all_folders_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "2024/a/b").mkdir(parents=True)
    (tmp_path / "@eaDir").mkdir()
    for name in ("1.jpg", "2024/2.JPG", "2024/a/b/3.png", "x.tmp", "@eaDir/4.jpg", "clip.mov"):
        (tmp_path / name).write_bytes(b"x")
    scan = Scan(str(tmp_path), Names())
    found = list(scan)
    assert {os.path.relpath(f.path, tmp_path) for f in found} == {
        "1.jpg",
        "2024/2.JPG",
        "2024/a/b/3.png",
    }
    assert scan.files == 3
    assert len(scan.folders) == 4
    assert found[0].identity.size == 1


def test_hostile_entries_neither_hang_nor_end_the_scan(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/o.jpg").write_bytes(b"x")
    (folder / "loop").symlink_to(folder)
    (folder / "out").symlink_to(tmp_path / "outside")
    (folder / "link.jpg").symlink_to(tmp_path / "outside/o.jpg")
    (folder / "dangling.jpg").symlink_to("nowhere")
    os.mkfifo(folder / "fifo.jpg")
    (folder / "folder.jpg").mkdir()
    here = socket.socket(socket.AF_UNIX)
    here.bind(str(folder / "socket.jpg"))
    here.close()
    hostile = [
        b"a\nb.jpg",
        b"\xff\xfe.jpg",
        b"\x1b[31m.jpg",
        b"n" * 251 + b".jpg",
        b" .jpg",
        b"-rf.jpg",
    ]
    for name in hostile:
        (folder / os.fsdecode(name)).write_bytes(b"")
    scan = Scan(str(folder), Names())
    assert {os.fsencode(found.as_path().name) for found in scan} == set(hostile)
    assert scan.skipped == {"symlink": 4, "special": 2}
    assert not scan.unreadable


def test_the_import_folder_itself_may_be_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.jpg").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    assert names_found(tmp_path / "link") == {"a.jpg"}


def test_a_folder_that_vanishes_is_left_out_and_a_missing_top_is_reported(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"x")
    scan = Scan(str(tmp_path), Names())
    first = next(scan)
    assert first.path.endswith("a/1.jpg")
    (tmp_path / "b/1.jpg").unlink()
    (tmp_path / "b").rmdir()
    assert list(scan) == []
    assert not scan.unreadable
    missing = Scan(str(tmp_path / "nowhere"), Names())
    assert list(missing) == []
    assert list(missing.unreadable) == [str(tmp_path / "nowhere")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_an_unreadable_folder_is_reported_and_the_others_are_scanned(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    (tmp_path / "a.jpg").write_bytes(b"x")
    scan = Scan(str(tmp_path), Names())
    assert [found.as_path().name for found in scan] == ["a.jpg"]
    assert list(scan.unreadable) == [str(tmp_path / "shut")]
    (tmp_path / "shut").chmod(0o755)


def test_a_part_of_the_tree_is_scanned_with_the_same_rules(tmp_path: Path) -> None:
    (tmp_path / "new/.trash").mkdir(parents=True)
    for name in ("old.jpg", "new/1.jpg", "new/.trash/2.jpg"):
        (tmp_path / name).write_bytes(b"x")
    scan = Scan(str(tmp_path), Names(), top=str(tmp_path / "new"))
    assert [os.path.relpath(found.path, tmp_path) for found in scan] == ["new/1.jpg"]
