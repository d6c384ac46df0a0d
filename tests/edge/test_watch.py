"""The watcher on real folders: with a clock of our own where nothing but time matters."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotpixeld.edge import folder
from hotpixeld.edge.filesystem import Mount
from hotpixeld.edge.found import Identity
from hotpixeld.edge.problems import Problems
from hotpixeld.edge.watch import Watcher
from hotpixeld.edge.whole import NotYet, WholeFile

SETTLE_S = 0.2


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def nothing_known(path: Path, identity: Identity) -> bool:  # noqa: ARG001 (the ledger's signature)
    return False


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watched(tmp_path: Path, clock: Clock) -> Iterator[Watcher]:
    """A watcher that polls ``tmp_path``, on a clock of the test."""
    watcher = Watcher([tmp_path], known=nothing_known, mode="poll", clock=clock)
    watcher.start()
    yield watcher
    watcher.stop()


def taken_within(watcher: Watcher, seconds: float, count: int) -> list[str]:
    """Take ``count`` photos in real time; fewer if the time is up."""
    names: list[str] = []
    end = time.monotonic() + seconds
    while len(names) < count and (left := end - time.monotonic()) > 0:
        path = watcher.next_photo(left)
        if path is not None:
            names.append(path.name)
    return names


def all_due(watcher: Watcher, clock: Clock, seconds: float) -> list[str]:
    """Let ``seconds`` pass in steps of one, and return what came out."""
    names = []
    for _ in range(int(seconds)):
        clock.now_s += 1
        while (path := watcher.next_photo(0)) is not None:
            names.append(path.name)
    return names


def test_photos_that_are_there_at_the_start_come_out_once(
    tmp_path: Path, watched: Watcher, clock: Clock
) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.jpg").write_bytes(b"x")
    assert watched.next_photo(0) is None  # nothing is trusted before it was quiet
    assert all_due(watched, clock, 3) == [f"{number:02}.jpg" for number in range(20)]
    assert watched.caught_up
    assert all_due(watched, clock, 1000) == []
    status = watched.status()
    assert status.queue == 0
    assert status.folders[0].state == "ok"
    assert status.folders[0].mode == "poll"
    assert status.folders[0].photos_seen == 20


def test_what_the_ledger_knows_is_asked_for_once_and_not_handed_over(
    tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "b.jpg").write_bytes(b"x")
    asked = []

    def known(path: Path, identity: Identity) -> bool:
        assert identity.size == 1
        asked.append(path.name)
        return path.name == "a.jpg"

    watcher = Watcher([tmp_path], known=known, mode="poll", clock=clock)
    watcher.start()
    assert all_due(watcher, clock, 2000) == ["b.jpg"]
    assert sorted(asked) == ["a.jpg", "b.jpg"]
    watcher.forget()
    assert all_due(watcher, clock, 10) == ["b.jpg"]
    assert sorted(asked) == ["a.jpg", "a.jpg", "b.jpg", "b.jpg"]
    watcher.stop()


def test_a_photo_that_grows_is_handed_over_after_its_last_change_only(
    tmp_path: Path, watched: Watcher, clock: Clock
) -> None:
    path = tmp_path / "a.jpg"
    for size in range(1, 20):
        path.write_bytes(b"x" * size)
        assert all_due(watched, clock, 1) == []
    assert all_due(watched, clock, 10) == ["a.jpg"]


def test_a_changed_photo_comes_again_and_an_unchanged_one_does_not(
    tmp_path: Path, watched: Watcher, clock: Clock
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    assert all_due(watched, clock, 10) == ["a.jpg"]
    path.write_bytes(b"xyz")
    assert all_due(watched, clock, 10) == ["a.jpg"]
    assert all_due(watched, clock, 1000) == []


def test_a_refused_photo_comes_again_after_a_while_or_when_it_changes(
    tmp_path: Path, watched: Watcher, clock: Clock
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    assert all_due(watched, clock, 10) == ["a.jpg"]
    assert watched.retry_later(path) == 5
    assert all_due(watched, clock, 4) == []
    assert all_due(watched, clock, 2) == ["a.jpg"]
    assert watched.retry_later(path) == 30
    assert watched.caught_up  # what waits for another try is not waited for
    path.write_bytes(b"xy")
    assert all_due(watched, clock, 9) == ["a.jpg"]
    path.unlink()
    assert watched.retry_later(path) is None


def test_an_operator_s_word_brings_photos_back_at_once(
    tmp_path: Path, watched: Watcher, clock: Clock
) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    assert all_due(watched, clock, 10) == ["a.jpg", "b.jpg"]
    for _ in range(3):
        watched.retry_later(tmp_path / "a.jpg")
    watched.forget(tmp_path / "a.jpg")
    assert all_due(watched, clock, 3) == ["a.jpg"]
    for _ in range(3):
        watched.retry_later(tmp_path / "a.jpg")
    watched.forget()
    assert all_due(watched, clock, 8) == ["a.jpg", "b.jpg"]


def test_what_waits_for_the_disk_comes_back_within_the_time_asked_for(
    tmp_path: Path, watched: Watcher, clock: Clock
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    assert all_due(watched, clock, 10) == ["a.jpg"]
    for _ in range(8):
        delay_s = watched.retry_later(path, at_most_s=30)
        assert delay_s is not None
        assert delay_s <= 30
        assert all_due(watched, clock, delay_s + 1) == ["a.jpg"]


def test_a_held_open_photo_waits_while_others_pass(
    tmp_path: Path, watched: Watcher, clock: Clock
) -> None:
    with (tmp_path / "a.jpg").open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        if watched.read(tmp_path / "a.jpg") != NotYet("open-for-writing"):
            pytest.skip("this file system gives no leases")
        (tmp_path / "b.jpg").write_bytes(b"x")
        assert all_due(watched, clock, 500) == ["b.jpg"]
        assert watched.status().queue == 1
        assert watched.status().problems == ()
        assert watched.caught_up
        assert all_due(watched, clock, 200) == []
        assert [problem.code for problem in watched.status().problems] == ["held-open"]
    assert all_due(watched, clock, 70) == ["a.jpg"]
    assert watched.status().problems == ()
    assert isinstance(watched.read(tmp_path / "a.jpg"), WholeFile)


def test_a_missing_root_is_said_and_looked_for_until_it_is_there(
    tmp_path: Path, clock: Clock
) -> None:
    root = tmp_path / "in"
    watcher = Watcher([root], known=nothing_known, mode="poll", clock=clock)
    watcher.start()
    assert all_due(watcher, clock, 20) == []
    status = watcher.status()
    assert status.folders[0].state == "missing"
    assert [problem.code for problem in status.problems] == ["import-missing"]
    root.mkdir()
    (root / "a.jpg").write_bytes(b"x")
    assert all_due(watcher, clock, 30) == ["a.jpg"]
    assert watcher.status().folders[0].state == "ok"
    assert watcher.status().problems == ()
    watcher.stop()


def test_a_replaced_root_is_watched_anew(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    clock = Clock()
    watcher = Watcher([root], known=nothing_known, mode="inotify", clock=clock, settle_s=1)
    watcher.start()
    assert all_due(watcher, clock, 5) == []
    root.rename(tmp_path / "away")
    root.mkdir()
    (root / "a.jpg").write_bytes(b"x")
    assert all_due(watcher, clock, 10) == ["a.jpg"]
    assert watcher.status().watcher_restarts == 1
    watcher.stop()


def test_arriving_photos_come_before_the_backlog(tmp_path: Path, clock: Clock) -> None:
    root = tmp_path / "in"
    root.mkdir()
    for number in range(30):
        (root / f"{number:02}.jpg").write_bytes(b"x")
    # the watcher starts a minute after these were made
    watcher = Watcher(
        [root],
        known=nothing_known,
        mode="poll",
        clock=clock,
        wall=lambda: time.time() + 60,
    )
    watcher.start()
    assert watcher.next_photo(0) is None
    clock.now_s += 3
    for number in range(5):
        assert watcher.next_photo(0) == root / f"{number:02}.jpg"
    future = time.time() + 120  # a file's own times do not count, only that of its last change
    (root / "new.jpg").write_bytes(b"x")
    os.utime(root / "new.jpg", (future, future))
    watcher._began_ns = (root / "new.jpg").stat().st_ctime_ns
    clock.now_s += 6
    assert watcher.next_photo(0) is not None  # it was found, and has to be quiet first
    clock.now_s += 3
    assert watcher.next_photo(0) == root / "new.jpg"
    assert watcher.next_photo(0) == root / "06.jpg"
    watcher.stop()


@pytest.mark.parametrize("act", ["write", "rename", "link", "folder"])
def test_events_bring_new_photos_soon(tmp_path: Path, act: str) -> None:
    root = tmp_path / "in"
    root.mkdir()
    outside = tmp_path / "out"
    outside.mkdir()
    (outside / "a.jpg").write_bytes(b"x")
    actions: dict[str, Callable[[], object]] = {
        "write": lambda: (root / "a.jpg").write_bytes(b"x"),
        "rename": lambda: (outside / "a.jpg").rename(root / "a.jpg"),
        "link": lambda: os.link(outside / "a.jpg", root / "a.jpg"),
        "folder": lambda: outside.rename(root / "new"),
    }
    watcher = Watcher([root], known=nothing_known, mode="inotify", settle_s=SETTLE_S)
    watcher.start()
    assert watcher.next_photo(0.05) is None
    began = time.monotonic()
    actions[act]()
    assert taken_within(watcher, 5, 1) == ["a.jpg"]
    assert time.monotonic() - began < SETTLE_S + 1
    assert watcher.status().problems == ()
    assert taken_within(watcher, 2 * SETTLE_S, 1) == []
    watcher.stop()


def test_a_root_that_is_a_symbolic_link_is_watched_under_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "link").symlink_to("one")
    watcher = Watcher(
        [tmp_path / "link"], known=nothing_known, mode="inotify", settle_s=SETTLE_S, check_s=0.2
    )
    watcher.start()
    assert watcher.next_photo(0.05) is None
    (tmp_path / "one/a.jpg").write_bytes(b"x")
    assert watcher.next_photo(5) == tmp_path / "link/a.jpg"
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("two")
    (tmp_path / "two/b.jpg").write_bytes(b"x")
    assert watcher.next_photo(5) == tmp_path / "link/b.jpg"
    watcher.stop()


def test_several_folders_are_watched_and_one_that_is_missing_does_not_stop_the_others(
    tmp_path: Path,
) -> None:
    roots = [tmp_path / name for name in ("a", "b", "absent")]
    for root in roots[:2]:
        root.mkdir()
    watcher = Watcher(roots, known=nothing_known, mode="inotify", settle_s=SETTLE_S)
    watcher.start()
    assert watcher.next_photo(0.05) is None
    for root in roots[:2]:
        (root / f"{root.name}.jpg").write_bytes(b"x")
    assert sorted(taken_within(watcher, 5, 2)) == ["a.jpg", "b.jpg"]
    assert [folder.state for folder in watcher.status().folders] == ["ok", "ok", "missing"]
    assert watcher.caught_up
    watcher.stop()


def test_a_folder_that_held_photos_before_and_is_empty_at_the_start_is_said(
    tmp_path: Path, clock: Clock
) -> None:
    watcher = Watcher(
        [tmp_path], known=nothing_known, mode="poll", clock=clock, not_empty=[tmp_path]
    )
    watcher.start()
    assert watcher.next_photo(0) is None
    assert watcher.status().folders[0].state == "degraded"
    assert [problem.code for problem in watcher.status().problems] == ["import-empty"]
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert all_due(watcher, clock, 10) == ["a.jpg"]
    assert watcher.status().problems == ()
    watcher.stop()


def test_a_network_file_system_is_polled_and_its_refusal_of_leases_means_nothing(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "mount_of", lambda path: Mount(str(path), "nfs4", "nas:/photos"))
    watcher = Watcher([tmp_path], known=nothing_known, clock=clock)
    watcher.start()
    with (tmp_path / "a.jpg").open("wb") as writer:
        writer.write(b"x")
        writer.flush()
        assert all_due(watcher, clock, 10) == ["a.jpg"]
        assert isinstance(watcher.read(tmp_path / "a.jpg"), WholeFile)
    assert watcher.status().folders[0].mode == "poll"
    assert watcher.status().folders[0].fstype == "nfs4"
    watcher.stop()


def test_an_error_of_the_ledger_loses_no_photo(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    failing = True

    def known(path: Path, identity: Identity) -> bool:  # noqa: ARG001 (the ledger's signature)
        if failing:
            raise OSError("no space left")
        return False

    watcher = Watcher([tmp_path], known=known, mode="poll", clock=clock)
    watcher.start()
    with pytest.raises(OSError, match="no space left"):
        watcher.next_photo(0)
    failing = False
    assert all_due(watcher, clock, 10) == ["a.jpg"]
    watcher.stop()


def test_a_problem_that_comes_and_goes_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    problems = Problems("/in", lambda: now[0])
    for second in range(1000):
        now[0] = float(second)
        problems.say("import-missing", "gone", "mount it")
        problems.over("import-missing")
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 17
    assert "59 times more" in warnings[1].getMessage()


def test_a_waiting_caller_can_be_woken(tmp_path: Path) -> None:
    watcher = Watcher([tmp_path], known=nothing_known)
    watcher.start()
    threading.Timer(0.1, watcher.wake).start()
    began = time.monotonic()
    assert watcher.next_photo(30) is None
    assert time.monotonic() - began < 5
    watcher.stop()
    assert watcher.next_photo(30) is None
