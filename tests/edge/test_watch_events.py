"""The watcher with real file events: what comes, what does not, and when the events fail."""

import contextlib
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.test_names import TEMPORARY
from hotpixeld.edge.events import EventTap
from hotpixeld.edge.found import Identity
from hotpixeld.edge.watch import Watcher
from hotpixeld.edge.whole import NotYet

SETTLE_S = 0.2


def nothing_known(path: Path, identity: Identity) -> bool:  # noqa: ARG001 (the ledger's signature)
    return False


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@pytest.fixture
def watcher(root: Path) -> Iterator[Watcher]:
    watcher = Watcher([root], known=nothing_known, mode="inotify", settle_s=SETTLE_S, check_s=0.5)
    watcher.start()
    while not watcher.caught_up:
        watcher.next_photo(0.01)
    yield watcher
    watcher.stop()


def taken(watcher: Watcher, count: int, seconds: float = 5) -> list[str]:
    """Take ``count`` photos and whatever comes shortly after them."""
    names: list[str] = []
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        path = watcher.next_photo(left)
        if path is not None:
            names.append(path.name)
        if len(names) == count:
            end = min(end, time.monotonic() + 3 * SETTLE_S)
    return sorted(names)


def tap_of(watcher: Watcher) -> EventTap:
    tap = watcher._folders[0]._watching._tap
    assert tap is not None
    return tap


def test_a_hundred_copied_photos_come_within_settle_and_a_second(
    root: Path, watcher: Watcher
) -> None:
    waits: list[float] = []
    written: dict[str, float] = {}

    def copy() -> None:
        for number in range(100):
            # before it is written: on a busy machine this thread may rest between the two
            written[f"{number}.jpg"] = time.monotonic()
            (root / f"{number}.jpg").write_bytes(b"x" * 10_000)
            time.sleep(0.005)

    thread = threading.Thread(target=copy)
    thread.start()
    while len(waits) < 100:
        path = watcher.next_photo(5)
        assert path is not None
        waits.append(time.monotonic() - written[path.name])
    thread.join()
    waits.sort()
    print(f"p95 {waits[95]:.3f} s, settle {SETTLE_S} s")
    assert waits[95] < SETTLE_S + 1
    assert waits[0] >= SETTLE_S * 0.9


def test_a_slow_writer_is_waited_for_even_when_its_pauses_are_longer_than_the_settle_time(
    root: Path, watcher: Watcher
) -> None:
    path = root / "a.jpg"
    with path.open("wb") as writer:
        writer.write(b"probe")
        writer.flush()
        if watcher.read(path) != NotYet("open-for-writing"):
            pytest.skip("this file system gives no leases")
        for _ in range(4):
            writer.write(b"x" * 65536)
            writer.flush()
            assert watcher.next_photo(2 * SETTLE_S) is None
    assert taken(watcher, 1) == ["a.jpg"]


def test_a_writer_that_reopens_the_file_is_waited_for_within_the_settle_time(
    root: Path, watcher: Watcher
) -> None:
    for _ in range(8):
        with (root / "a.jpg").open("ab") as writer:
            writer.write(b"x" * 65536)
        assert watcher.next_photo(SETTLE_S / 2) is None
    assert taken(watcher, 1) == ["a.jpg"]


@pytest.mark.parametrize("full_at_once", [os.ftruncate, lambda fd, n: os.posix_fallocate(fd, 0, n)])
def test_a_preallocated_photo_is_not_handed_over_while_its_writer_pauses(
    root: Path, watcher: Watcher, full_at_once: Callable[[int, int], None]
) -> None:
    path = root / "a.jpg"
    with path.open("wb") as writer:
        full_at_once(writer.fileno(), 1 << 20)
        writer.write(b"x" * (1 << 19))
        writer.flush()
        if watcher.read(path) != NotYet("open-for-writing"):
            pytest.skip("this file system gives no leases")
        assert watcher.next_photo(5 * SETTLE_S) is None
        writer.write(b"x" * (1 << 19))
    assert taken(watcher, 1) == ["a.jpg"]


def test_what_was_written_under_a_temporary_name_comes_once_after_its_rename(
    root: Path, watcher: Watcher
) -> None:
    for number, name in enumerate(TEMPORARY):
        temporary = root / str(number) / name
        temporary.parent.mkdir()
        temporary.write_bytes(b"x")
    assert taken(watcher, 1, seconds=0.5 + 3 * SETTLE_S) == []
    for number, name in enumerate(TEMPORARY):
        (root / str(number) / name).rename(root / str(number) / f"{number}.jpg")
    expected = sorted(f"{number}.jpg" for number in range(len(TEMPORARY)))
    assert taken(watcher, len(expected)) == expected


def test_a_folder_moved_in_is_seen_and_so_is_what_comes_into_it_later(
    root: Path, watcher: Watcher, tmp_path: Path
) -> None:
    outside = tmp_path / "outside/2024"
    outside.mkdir(parents=True)
    for number in range(200):
        (outside / f"{number}.jpg").write_bytes(b"x")
    outside.parent.rename(root / "moved")
    assert len(taken(watcher, 200)) == 200
    end = time.monotonic() + 15  # watchdog 6.0.0 does not watch it until it is set up anew
    (root / "moved/2024/late.jpg").write_bytes(b"x")
    names: list[str] = []
    while not names and time.monotonic() < end:
        names = taken(watcher, 1, seconds=1)
    assert names == ["late.jpg"]


def test_a_photo_renamed_or_touched_comes_again_only_as_another_content_or_place(
    root: Path, watcher: Watcher
) -> None:
    (root / "a.jpg").write_bytes(b"x")
    assert taken(watcher, 1) == ["a.jpg"]
    (root / "a.jpg").rename(root / "b.jpg")
    assert taken(watcher, 1) == ["b.jpg"]
    assert taken(watcher, 1, seconds=3 * SETTLE_S) == []


def test_our_own_reading_makes_no_events(root: Path, watcher: Watcher) -> None:
    for number in range(300):
        (root / f"{number}.jpg").write_bytes(b"x" * 1000)
    assert len(taken(watcher, 300)) == 300
    before = tap_of(watcher).told
    for number in range(300):
        assert not isinstance(watcher.read(root / f"{number}.jpg"), NotYet)
    assert watcher.next_photo(0.3) is None
    assert tap_of(watcher).told == before


def test_hostile_entries_neither_hang_nor_stop_the_watcher(
    root: Path, watcher: Watcher, tmp_path: Path
) -> None:
    (tmp_path / "outside.jpg").write_bytes(b"x")
    (root / "loop").symlink_to(root)
    (root / "out.jpg").symlink_to(tmp_path / "outside.jpg")
    os.mkfifo(root / "fifo.jpg")
    here = socket.socket(socket.AF_UNIX)
    here.bind(str(root / "socket.jpg"))
    here.close()
    hostile = [b"a\nb.jpg", b"\xff\xfe.jpg", b"\x1b[31m.jpg", b"n" * 251 + b".jpg"]
    for name in hostile:
        (root / os.fsdecode(name)).write_bytes(b"x")
    (root / "empty.jpg").touch()
    names = taken(watcher, len(hostile) + 1)
    assert sorted(map(os.fsencode, names)) == sorted([*hostile, b"empty.jpg"])
    assert watcher.read(root / "empty.jpg") == NotYet("empty")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_thread_of_watchdog_is_noticed_and_replaced(root: Path, watcher: Watcher) -> None:
    def fail(path: str, how: str) -> None:
        raise RuntimeError((path, how))

    broken = tap_of(watcher)
    broken.put_file = fail
    (root / "a.jpg").write_bytes(b"x")
    assert taken(watcher, 1, seconds=15) == ["a.jpg"]
    assert tap_of(watcher) is not broken
    assert watcher.status().watcher_restarts == 1
    (root / "b.jpg").write_bytes(b"x")
    assert taken(watcher, 1) == ["b.jpg"]


def test_a_deleted_and_remade_root_is_watched_again(root: Path, watcher: Watcher) -> None:
    root.rmdir()
    assert watcher.next_photo(0.2) is None
    root.mkdir()
    (root / "a.jpg").write_bytes(b"x")
    assert taken(watcher, 1, seconds=15) == ["a.jpg"]
    (root / "b.jpg").write_bytes(b"x")
    assert taken(watcher, 1) == ["b.jpg"]
    assert watcher.status().folders[0].state == "ok"


def test_a_scan_that_finds_what_events_should_have_told_proves_the_watcher_bad(root: Path) -> None:
    now_s = [0.0]
    watcher = Watcher(
        [root],
        known=nothing_known,
        mode="inotify",
        settle_s=1,
        clock=lambda: now_s[0],
        wall=lambda: time.time() + now_s[0],
    )
    watcher.start()
    while not watcher.caught_up:
        watcher.next_photo(0)
    watcher._folders[0]._last_scan = time.time() - 1
    tap_of(watcher).put_file = lambda path, how: None  # noqa: ARG005 (the events are lost)
    (root / "a.jpg").write_bytes(b"x")
    time.sleep(0.2)
    for _ in range(310):
        now_s[0] += 1
        if watcher.next_photo(0) is not None:
            break
    else:
        pytest.fail("the photo was never found")
    status = watcher.status()
    assert status.folders[0].scan_found == 1
    assert status.folders[0].state == "degraded"
    assert [problem.code for problem in status.problems] == ["events-missed"]
    restarts = status.watcher_restarts
    for _ in range(10):
        now_s[0] += 1
        watcher.next_photo(0)
    assert watcher.status().watcher_restarts == restarts + 1
    for _ in range(400):  # trusted again after ten scans without a miss
        now_s[0] += 1
        watcher.next_photo(0)
    assert watcher.status().problems == ()
    watcher.stop()


def test_a_change_of_rights_is_no_missed_event(root: Path, watcher: Watcher) -> None:
    (root / "a.jpg").write_bytes(b"x")
    assert taken(watcher, 1) == ["a.jpg"]
    folder = watcher._folders[0]
    folder._scan_at_s = 0.0
    assert taken(watcher, 1, seconds=3 * SETTLE_S) == []
    (root / "a.jpg").chmod(0o600)
    folder._scan_at_s = 0.0
    assert taken(watcher, 1) == ["a.jpg"]  # looked at again, because the time of change is new
    status = watcher.status()
    assert status.folders[0].scan_found == 0
    assert status.problems == ()


def test_the_end_of_a_watcher_leaves_no_thread_and_no_descriptor(root: Path) -> None:
    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208 (a count)

    before = held()
    for _ in range(5):
        watcher = Watcher([root], known=nothing_known, mode="inotify")
        watcher.start()
        assert watcher.next_photo(0) is None
        watcher.stop()
    assert held() == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # 6.0.0
@pytest.mark.parametrize("seconds", [4.0, pytest.param(60.0, marks=pytest.mark.soak)])
def test_whatever_is_done_to_a_tree_each_photo_s_last_content_comes_out(
    root: Path, seconds: float, tmp_path: Path
) -> None:
    """Everything at once, by several hands; in the end each photo came with its last content."""
    watcher = Watcher(
        [root], known=nothing_known, mode="inotify", settle_s=SETTLE_S, rescan_s=3, check_s=0.5
    )
    watcher.start()
    outside = tmp_path / "outside"
    outside.mkdir()
    end = time.monotonic() + seconds
    hands = [threading.Thread(target=_meddle, args=(root, outside, n, end)) for n in range(3)]
    for hand in hands:
        hand.start()
    last: dict[str, bytes] = {}
    calm_since = time.monotonic()
    while any(hand.is_alive() for hand in hands) or time.monotonic() < calm_since + 4:
        path = watcher.next_photo(0.1)
        if any(hand.is_alive() for hand in hands):
            calm_since = time.monotonic()
        if path is None:
            continue
        calm_since = time.monotonic()
        whole = watcher.read(path)
        if isinstance(whole, NotYet):
            if whole.reason not in {"gone", "empty"}:
                watcher.retry_later(path, at_most_s=0.5)
            continue
        assert whole.data.endswith(b"end"), "a photo was taken before it was whole"
        last[str(path)] = whole.data
    there = {str(path): path.read_bytes() for path in root.rglob("*.jpg")}
    assert len(there) > 20
    print(f"{len(there)} photos, {watcher.status()}")
    assert {path: last.get(path) for path in there} == there
    watcher.stop()


def _meddle(root: Path, outside: Path, hand: int, end: float) -> None:
    chance = random.Random(hand)
    number = 0
    while time.monotonic() < end:
        number += 1
        name = f"{hand}-{number}"
        with contextlib.suppress(OSError):  # another hand was quicker
            folders = [root] + [path for path in root.rglob("*") if path.is_dir()]
            if chance.random() < 0.6:
                _bring(chance, chance.choice(folders), outside, name)
            else:
                mine = [path for path in root.rglob("*.jpg") if path.name[0] == name[0]]
                _change(chance, root, folders, mine, name)
        time.sleep(chance.random() * 0.02)


def _bring(chance: random.Random, folder: Path, outside: Path, name: str) -> None:
    match chance.randrange(5):
        case 0:
            (folder / f"d{name}").mkdir()
        case 1:
            with (folder / f"{name}.jpg").open("wb") as writer:
                for _ in range(chance.randrange(4)):
                    writer.write(b"part")
                    writer.flush()
                    time.sleep(chance.random() * 0.1)
                writer.write(b"end")
        case 2:
            (folder / f".{name}.part").write_bytes(b"end")
            (folder / f".{name}.part").rename(folder / f"{name}.jpg")
        case 3:
            (outside / name).write_bytes(b"end")
            os.link(outside / name, folder / f"{name}.jpg")
        case 4:
            tree = outside / f"t{name}"
            (tree / "a/b").mkdir(parents=True)
            (tree / "a/b" / f"{name}.jpg").write_bytes(b"end")
            tree.rename(folder / tree.name)


def _change(
    chance: random.Random, root: Path, folders: list[Path], mine: list[Path], name: str
) -> None:
    if len(folders) > 10 and chance.random() < 0.1:
        chance.choice(folders[1:]).rename(root / f"r{name}")
    elif mine:
        photo = chance.choice(mine)
        match chance.randrange(4):
            case 0 | 1:
                photo.write_bytes(f"new {name} end".encode())
            case 2:
                photo.rename(photo.with_name(f"{name}.jpg"))
            case 3:
                photo.unlink()
