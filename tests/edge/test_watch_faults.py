"""What is known to go wrong with watch folders, done to a watcher in a process of its own."""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

TAKER = Path(__file__).with_name("taker.py")
FENCED = ["unshare", "--user", "--map-root-user", "--mount"]


class Taker:
    """The taker process, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.photos: list[str] = []
        self.reasons: dict[str, str] = {}
        self.status: dict[str, Any] = {}
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.pid = 0
        self.until(lambda: bool(self.pid), 20)

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def until(self, wanted: Callable[[], bool], seconds: float) -> None:
        """Listen until ``wanted()`` is true; fail after ``seconds``."""
        end = time.monotonic() + seconds
        while not wanted():
            left = end - time.monotonic()
            assert left > 0, f"{len(self.photos)} photos; {self.status}"
            with contextlib.suppress(queue.Empty):
                self._take(json.loads(self._lines.get(timeout=left)))

    def for_seconds(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        with contextlib.suppress(queue.Empty):
            while (left := end - time.monotonic()) > 0:
                self._take(json.loads(self._lines.get(timeout=left)))

    def until_photos(self, count: int, seconds: float) -> None:
        self.until(lambda: len(self.photos) >= count, seconds)

    def until_problem(self, code: str, seconds: float) -> dict[str, str]:
        self.until(lambda: code in self.problems, seconds)
        return self.problems[code]

    @property
    def problems(self) -> dict[str, dict[str, str]]:
        return {problem["code"]: problem for problem in self.status.get("problems", ())}

    def _take(self, said: dict[str, Any]) -> None:
        if "photo" in said:
            self.photos.append(said["photo"])
            self.reasons[said["photo"]] = said["reason"]
        self.status = said.get("status", self.status)
        self.pid = said.get("ready", self.pid)


@contextlib.contextmanager
def taking(
    folder: Path, *options: str, fence: str | None = None, stderr: Path | None = None
) -> Iterator[Taker]:
    """Run the taker on ``folder``; ``fence`` is a shell line run before it in a namespace."""
    command: Sequence[str] = [sys.executable, str(TAKER), str(folder), *options]
    if fence is not None:
        command = [*FENCED, "sh", "-ec", f'{fence}\nexec "$0" "$@"', *command]
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(stderr.open("w")) if stderr is not None else None
        process = stack.enter_context(
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            )
        )
        try:
            yield Taker(process)
        finally:
            process.kill()


@pytest.fixture
def fences() -> None:
    """Skip, and say why, where this machine lets nobody make namespaces."""
    probe = "mount -t tmpfs none /mnt && echo 100 > /proc/sys/user/max_inotify_watches"
    tried = subprocess.run(
        [*FENCED, "sh", "-ec", probe], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"no user namespaces here: {tried.stderr.strip()}")


def fill(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"{number:06}.jpg").write_bytes(b"x")


def relative_photos(folder: Path) -> list[str]:
    return sorted(os.path.relpath(path, folder) for path in folder.rglob("*.jpg"))


@pytest.mark.parametrize(
    ("count", "seconds"), [(9_000, 60), pytest.param(20_000, 30, marks=pytest.mark.soak)]
)
def test_nothing_made_while_the_process_stood_still_is_missed(
    tmp_path: Path, count: int, seconds: float
) -> None:
    """More than the kernel's queue holds: 16,384 events, two per file."""
    root = tmp_path / "in"
    root.mkdir()
    with taking(root) as taker:
        (root / "a").mkdir()
        taker.for_seconds(1)
        os.kill(taker.pid, signal.SIGSTOP)
        fill(root / "a", count)
        os.kill(taker.pid, signal.SIGCONT)
        began = time.monotonic()
        taker.until_photos(count, seconds)
        print(f"{count} photos {time.monotonic() - began:.1f} s after the stop")
        taker.for_seconds(2)
        assert sorted(taker.photos) == relative_photos(root)
        status = taker.status
        assert status["overflows"] >= 1 or status["folders"][0]["scan_found"] > 0


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.soak)])
def test_every_photo_of_a_copied_tree_comes_once(tmp_path: Path, times: int) -> None:
    source = tmp_path / "source"
    for number in range(460):
        folder = source / f"{number % 10}" / f"{number % 46}" / f"{number}"
        folder.mkdir(parents=True)
        for photo in range(4 if number < 120 else 3):
            (folder / f"{photo}.jpg").write_bytes(b"x" * 1000)
    count = len(relative_photos(source))
    assert count == 1500
    root = tmp_path / "in"
    root.mkdir()
    with taking(root) as taker:
        for turn in range(times):
            subprocess.run(["cp", "-r", str(source), str(root / f"{turn}")], check=True)
            taker.until_photos((turn + 1) * count, 20)
        taker.for_seconds(2)
        assert sorted(taker.photos) == relative_photos(root)
        assert set(taker.reasons.values()) == {""}


def test_folders_beyond_the_watch_limit_are_polled_and_the_limit_is_named(
    tmp_path: Path,
    fences: None,  # noqa: ARG001 (asks the machine)
) -> None:
    root = tmp_path / "in"
    for number in range(50):
        (root / f"{number}").mkdir(parents=True)
    limit = "echo 6 > /proc/sys/user/max_inotify_watches"
    with taking(root, "--mode", "inotify", "--check", "1", fence=limit) as taker:
        said = taker.until_problem("inotify-limit", 20)
        assert "inotify" in said["what"]
        assert "sysctl fs.inotify.max_user_watches=" in said["advice"]
        assert "disk" not in said["what"] + said["advice"]
        assert taker.status["folders"][0]["state"] == "degraded"
        began, used = time.monotonic(), taker.status["cpu_s"]
        for number in range(50):
            (root / f"{number}" / "a.jpg").write_bytes(b"x")
        taker.until_photos(50, 20)
        taker.for_seconds(3)
        assert sorted(taker.photos) == relative_photos(root)
        assert (taker.status["cpu_s"] - used) / (time.monotonic() - began) < 0.05


def test_no_inotify_instance_left_means_polling_and_is_said(
    tmp_path: Path,
    fences: None,  # noqa: ARG001 (asks the machine)
) -> None:
    limit = "echo 0 > /proc/sys/user/max_inotify_instances"
    with taking(tmp_path, fence=limit) as taker:
        said = taker.until_problem("inotify-instances", 10)
        assert "max_user_instances" in said["advice"]
        (tmp_path / "a.jpg").write_bytes(b"x")
        taker.until_photos(1, 20)
        assert taker.status["folders"][0]["mode"] == "poll"


def test_a_disk_that_comes_and_goes_is_followed_and_nothing_counts_as_deleted(
    tmp_path: Path,
    fences: None,  # noqa: ARG001 (asks the machine)
) -> None:
    """Lazy unmount and remount leave watchdog's threads alive, and nothing is seen any more."""
    root = tmp_path / "in"
    root.mkdir()
    disk = f"mount -t tmpfs disk '{root}'; echo x > '{root}/a.jpg'"
    with taking(root, "--mode", "inotify", "--check", "1", fence=disk) as taker:
        inside = ["nsenter", "--target", str(taker.pid), "--user", "--mount"]
        inside.append("--preserve-credentials")

        def run(line: str) -> None:
            subprocess.run([*inside, "sh", "-ec", line], check=True)

        taker.until_photos(1, 5)
        run(f"umount -l '{root}'")
        said = taker.until_problem("import-empty", 15)
        assert "mounted?" in said["advice"]
        assert taker.status["folders"][0]["state"] == "degraded"
        run(f"mount -t tmpfs disk '{root}'; echo y > '{root}/b.jpg'")
        taker.until_photos(2, 15)
        run(f"echo z > '{root}/c.jpg'")
        taker.until_photos(3, 5)
        taker.until(lambda: not taker.problems, 15)
        assert taker.photos == ["a.jpg", "b.jpg", "c.jpg"]
        assert taker.status["watcher_restarts"] == 2
        assert taker.status["folders"][0]["state"] == "ok"


def test_a_read_only_import_folder_is_watched_and_read(
    tmp_path: Path,
    fences: None,  # noqa: ARG001 (asks the machine)
) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (root / "a.jpg").write_bytes(b"x")
    os.utime(root / "a.jpg", (1, 1))
    fence = f"mount --bind '{root}' '{root}'; mount -o remount,bind,ro '{root}'"
    with taking(root, fence=fence) as taker:
        taker.until_photos(1, 10)
        (root / "b.jpg").write_bytes(b"x")
        taker.until_photos(2, 10)
        assert taker.reasons == {"a.jpg": "", "b.jpg": ""}
        taker.for_seconds(1)
        assert taker.problems == {}
    assert sorted(path.name for path in root.iterdir()) == ["a.jpg", "b.jpg"]
    assert (root / "a.jpg").stat().st_atime == 1


def test_a_shut_folder_is_said_once_and_its_photos_come_when_it_is_opened(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path)
    open_to_all = Path("/tmp") / f"hotpixeld-shut-{os.getpid()}"  # noqa: S108 (another user must reach it)
    root = open_to_all / "in"
    shut = root / "shut"
    shut.mkdir(parents=True)
    (shut / "a.jpg").write_bytes(b"x")
    shut.chmod(0)
    errors = open_to_all / "errors"
    user = ["--user", "65534"] if os.geteuid() == 0 else []
    try:
        with taking(root, *user, "--rescan", "1", "--check", "1", stderr=errors) as taker:
            said = taker.until_problem("unreadable-folders", 10)
            assert str(shut) in said["what"]
            taker.for_seconds(3)
            assert taker.photos == []
            shut.chmod(0o755)
            taker.until_photos(1, 15)
            taker.until(lambda: not taker.problems, 15)
        assert errors.read_text().count("cannot be read") == 1
    finally:
        shutil.rmtree(open_to_all)


@pytest.mark.parametrize(
    ("photos", "seconds"), [(2_000, 6), pytest.param(10_000, 600, marks=pytest.mark.soak)]
)
@pytest.mark.timeout(1200)
def test_nothing_to_do_costs_nearly_nothing_and_writes_nothing(
    tmp_path: Path, photos: int, seconds: int
) -> None:
    root = tmp_path / "in"
    for number in range(photos):
        folder = root / f"{number // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(b"x")
    with taking(root, "--every", f"{seconds / 4}") as taker:
        taker.until_photos(photos, 60)
        taker.until(lambda: bool(taker.status), seconds)
        began, before = time.monotonic(), taker.status
        taker.for_seconds(seconds)
        after, lasted = taker.status, time.monotonic() - began
        share = (after["cpu_s"] - before["cpu_s"]) / lasted
        wakeups = (after["wakeups"] - before["wakeups"]) / lasted
        print(f"{share:.4%} of a core, {wakeups:.2f} wakeups/s over {lasted:.0f} s")
        assert share < 0.002
        assert wakeups < 5
        assert after["written_bytes"] == before["written_bytes"]
