"""The running daemon under fire: full disks, signals, hostile names, photos that kill it."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import check_exact, digest_and_frame, needs

from fakecamera import Defect, FakeCamera, Shot
from running import RunningDaemon, cpu_of, environment, hotpixeld, running, wait_for

SMALL_BYTES = 8 << 20
KNOWN = "repair: {when: always}\nsensors: [{width: 64, height: 48, pixels: [[20, 10]]}]"
# Stands for a codec that crashes or hangs: put in place by the interpreter, not by the program.
BAD_CODEC = """\
import os, signal, time
import hotpixeld.edge.photo as photo
real = photo.read_photo
def read_photo(data, name, **options):
    if name.startswith("kill"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if name.startswith("hang"):
        time.sleep(1000)
    if name.startswith("slow"):
        time.sleep(0.3)
    return real(data, name, **options)
photo.read_photo = read_photo
"""


@pytest.fixture(scope="module")
def shots() -> list[Shot]:
    return FakeCamera(64, 48, seed=8, defects=[Defect(10, 20, level=0.95)]).shoot(60)


class ConfinedDaemon(RunningDaemon):
    """A daemon whose output or state is a small disk of its own, in a namespace of its own."""

    def start_on_small_disk(self, name: str, size: str) -> None:
        (self.folder / name).mkdir(exist_ok=True)
        if subprocess.run(["unshare", "-Urm", "true"], check=False).returncode:
            pytest.skip("NOT TESTED: user namespaces are not permitted here")
        mount = f'mount -t tmpfs -o size={size} tmpfs {name} && exec "$@"'
        confined = ("unshare", "-Urm", "sh", "-c", mount, "sh")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*confined, sys.executable, "-m", "hotpixeld", "run", "-c", str(self.config)],
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=environment(),
            )
        inside = Path(f"/proc/{self.process.pid}/root{self.folder}")
        wait_for(lambda: "watching" in self.log.read_text() or self.ended(), "it watches")
        assert not self.ended(), self.log.read_text()
        if name == "state":
            self.state = inside / name
        else:
            self.repaired = inside / name

    def photos_inside(self) -> list[dict[str, str]]:
        """Return what the command says in the daemon's namespace; SQLite sees no other."""
        assert self.process is not None
        entered = ("nsenter", "-t", str(self.process.pid), "-U", "-m", "--preserve-credentials")
        said = subprocess.run(
            [*entered, sys.executable, "-m", "hotpixeld", "photos", "list", "--json"],
            capture_output=True,
            check=True,
            env=environment() | {"HOTPIXELD_CONFIG": str(self.config)},
        )
        photos: list[dict[str, str]] = json.loads(said.stdout)["photos"]
        return photos

    def said(self, pattern: str) -> int:
        return len(re.findall(pattern, self.log.read_text()))


def fill(folder: Path) -> Path:
    """Fill a small disk to its last block; never a disk of the machine."""
    usage = os.statvfs(folder)
    assert usage.f_blocks * usage.f_frsize < SMALL_BYTES, f"{folder} is no small disk"
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for _ in range(SMALL_BYTES // 4096):
            file.write(bytes(4096))
    return ballast


@needs("unshare")
def test_a_full_output_makes_copies_wait_and_nothing_else(
    tmp_path: Path, shots: list[Shot]
) -> None:
    with ConfinedDaemon(tmp_path, start=False, more=KNOWN) as daemon:
        daemon.start_on_small_disk("repaired", "1m")
        ballast = fill(daemon.repaired)
        for shot in shots[:6]:
            daemon.drop(shot.name, shot.jpeg)
        daemon.wait_counted(6)
        assert {row.copy for row in daemon.photos().values()} == {"failed"}
        wait_for(lambda: daemon.status()["problems"], "the problem is told")
        assert [p["code"] for p in daemon.status()["problems"]] == ["output-failing"]
        assert daemon.said("copies wait") == 1
        daemon.drop(shots[6].name, shots[6].jpeg)
        daemon.wait_counted(7)
        assert daemon.said("copies wait") == 1
        ballast.unlink()
        wait_for(
            lambda: {row.copy for row in daemon.photos().values()} == {"written"}, "they are made"
        )
        wait_for(lambda: not daemon.status()["problems"], "the problem is over")
        assert daemon.stop() == 0


@needs("unshare")
def test_a_full_state_makes_photos_wait_and_loses_nothing(
    tmp_path: Path, shots: list[Shot]
) -> None:
    with ConfinedDaemon(tmp_path, start=False, more=KNOWN) as daemon:
        daemon.start_on_small_disk("state", "2m")
        for shot in shots[:4]:
            daemon.drop(shot.name, shot.jpeg)
        wait_for(lambda: daemon.said("statistics [wp]") == 4, "four are taken")
        ballast = fill(daemon.state)
        for shot in shots[4:12]:
            daemon.drop(shot.name, shot.jpeg)
        wait_for(lambda: daemon.said("the state cannot be written"), "it is told")
        time.sleep(3)
        assert daemon.said("the state cannot be written") == 1
        taken_meanwhile = daemon.said("statistics [wp]")
        assert taken_meanwhile < 12
        ballast.unlink()
        wait_for(lambda: daemon.said("state-failing: well again"), "it goes on")
        wait_for(lambda: daemon.said("statistics [wp]") >= 12, "all are taken")
        photos = daemon.photos_inside()
        assert {photo["statistics"] for photo in photos} <= {"pending", "folded"}
        assert len(photos) == 12
        assert {photo["copy"] for photo in photos} <= {"written", "unaffected"}
        assert daemon.stop() == 0


@needs("unshare")
def test_photos_wait_while_the_states_disk_has_less_than_min_free(
    tmp_path: Path, shots: list[Shot]
) -> None:
    with ConfinedDaemon(tmp_path, start=False, more=KNOWN) as daemon:
        config = daemon.config.read_text()
        daemon.config.write_text(config.replace("min_free: 0B", "min_free: 3MiB"))
        daemon.start_on_small_disk("state", "6m")
        for shot in shots[:4]:
            daemon.drop(shot.name, shot.jpeg)
        wait_for(lambda: daemon.said("statistics [wp]") == 4, "four are taken")
        ballast = daemon.state / "ballast"
        ballast.write_bytes(bytes(3 << 20))
        daemon.drop(shots[4].name, shots[4].jpeg)
        wait_for(lambda: daemon.said(r"copies\.min_free keeps 3 MiB"), "it is told")
        assert daemon.said("the state cannot be written") == 1
        assert len(daemon.photos_inside()) == 4
        assert len(list(daemon.repaired.iterdir())) == 4
        ballast.unlink()
        wait_for(lambda: daemon.said("state-failing: well again"), "it goes on")
        wait_for(lambda: daemon.said("statistics [wp]") == 5, "it is taken")
        assert daemon.stop() == 0


def catches_sigterm(daemon: RunningDaemon) -> bool:
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    caught = re.search(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def terminate(folder: Path, shots: list[Shot], *, times: int) -> None:
    generator = random.Random(times)
    with RunningDaemon(folder, start=False, more=KNOWN, min_photos=4) as daemon:
        for number in range(times):
            daemon.log.unlink(missing_ok=True)
            for shot in generator.sample(shots, 12):
                daemon.drop(f"{number}/{shot.name}", shot.jpeg)
            with daemon.log.open("ab") as log:
                daemon.process = subprocess.Popen(
                    [sys.executable, "-m", "hotpixeld", "run", "-c", str(daemon.config)],
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    env=environment(),
                )
            wait_for(lambda: catches_sigterm(daemon), "it is more than an interpreter")
            time.sleep(generator.uniform(0, 2))
            start_s = time.monotonic()
            assert daemon.stop() == 0, daemon.log.read_text()
            assert time.monotonic() - start_s < 10
        check_exact(daemon.state, {shot.name: shot.jpeg for shot in shots})


def test_a_stop_at_any_moment_is_within_ten_seconds(tmp_path: Path, shots: list[Shot]) -> None:
    terminate(tmp_path, shots, times=6)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_stops_are_within_ten_seconds(tmp_path: Path, shots: list[Shot]) -> None:
    terminate(tmp_path, shots, times=100)


@pytest.fixture
def bad_codec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BAD_CODEC)
    monkeypatch.setattr(
        "running.environment",
        lambda: environment() | {"PYTHONPATH": f"{folder}:{environment()['PYTHONPATH']}"},
    )


@pytest.mark.usefixtures("bad_codec")
def test_a_photo_that_kills_the_process_twice_is_refused(tmp_path: Path, shots: list[Shot]) -> None:
    with running(tmp_path) as daemon:
        daemon.drop("kill.jpg", shots[0].jpeg)
        for shot in shots[1:5]:
            daemon.drop(shot.name, shot.jpeg)
        wait_for(daemon.ended, "it dies")
        with contextlib.suppress(AssertionError):  # it may die before it is seen to run
            daemon.start()
        wait_for(daemon.ended, "it dies again")
        daemon.start()
        wait_for(lambda: len(daemon.photos()) == 5, "all are in the ledger")
        refused = {n: r.reason for n, r in daemon.photos().items() if r.statistics == "refused"}
        assert list(refused) == ["kill.jpg"]
        assert refused["kill.jpg"].startswith("killed-the-decoder")
        assert daemon.stop() == 0


class Manager:
    """Stands for systemd: keeps what it is told, with the time."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(0)
        self.said: list[str] = []

    def listen(self) -> list[str]:
        with contextlib.suppress(BlockingIOError):
            while True:
                self.said += self.socket.recv(4096).decode().splitlines()
        return self.said

    def count(self, word: str) -> int:
        return sum(line.startswith(word) for line in self.listen())


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    made = Manager(tmp_path / "n")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
    yield made
    made.socket.close()


@pytest.mark.usefixtures("bad_codec")
def test_a_hanging_photo_silences_the_watchdog_and_a_second_signal_ends_at_once(
    tmp_path: Path, shots: list[Shot], manager: Manager
) -> None:
    with running(tmp_path) as daemon:
        wait_for(lambda: manager.count("WATCHDOG") >= 2, "it is alive")
        daemon.drop("hang.jpg", shots[0].jpeg)
        wait_for((daemon.state / "decoding").exists, "it hangs")
        alive = manager.count("WATCHDOG")
        time.sleep(2.5)
        assert manager.count("WATCHDOG") == alive
        daemon.signal(signal.SIGTERM)
        time.sleep(0.5)
        assert not daemon.ended()
        start_s = time.monotonic()
        assert daemon.stop() == 128 + signal.SIGTERM
        assert time.monotonic() - start_s < 1


@pytest.mark.usefixtures("bad_codec")
def test_ready_comes_before_the_backlog_and_new_photos_before_old_ones(
    tmp_path: Path, shots: list[Shot], manager: Manager
) -> None:
    with RunningDaemon(tmp_path, start=False) as daemon:
        for shot in shots[:40]:
            daemon.drop(f"slow{shot.name}", shot.jpeg)
        daemon.start()
        wait_for(lambda: manager.count("READY=1"), "it is ready")
        assert len(daemon.photos()) < 10
        wait_for(lambda: len(daemon.photos()) >= 3, "the backlog is on its way")
        daemon.drop("new.jpg", shots[50].jpeg)
        wait_for(lambda: "new.jpg" in daemon.photos(), "the new one is taken")
        assert len(daemon.photos()) < 25
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: manager.count("READY=1") == 2, "it has reloaded")
        start_s = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - start_s < 10
        words = [line.split("=")[0] for line in manager.listen()]
        order = [w for w in words if w not in ("WATCHDOG", "STATUS")]
        assert order == ["READY", "RELOADING", "MONOTONIC_USEC", "READY", "STOPPING"]


@pytest.mark.parametrize(
    "count", [150, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]
)
def test_a_large_backlog_delays_neither_the_start_nor_a_new_photo_and_counts_once(
    tmp_path: Path, count: int
) -> None:
    *backlog, new = FakeCamera(64, 48, seed=12).shoot(count + 1)
    different = len({digest_and_frame(shot.jpeg)[0] for shot in (*backlog, new)})
    assert different > 0.99 * count  # two of so many small scenes may be the same
    with RunningDaemon(tmp_path, start=False) as daemon:
        for shot in backlog:
            (daemon.imports / shot.name).write_bytes(shot.jpeg)
        daemon.start()
        # of its own time, because a busy machine is slow, not wrong
        assert cpu_of(Path(f"/proc/{daemon.pid}")) <= 2
        daemon.wait_counted(10)
        daemon.drop("new.jpg", new.jpeg)
        wait_for(lambda: "new.jpg" in daemon.photos(), "the new one is taken", 10)
        daemon.wait_counted(count // 2, 1800)
        daemon.kill()
        daemon.start()
        wait_for(lambda: len(daemon.photos()) == count + 1, "all are taken", 1800)
        wait_for(lambda: not daemon.status()["photos"]["waiting"], "none waits")
        assert daemon.stop() == 0
        rows = daemon.photos().values()
        assert {row.statistics for row in rows} <= {"pending", "folded", "duplicate"}
        assert sum(row.statistics != "duplicate" for row in rows) == different
        check_exact(daemon.state, {shot.name: shot.jpeg for shot in (*backlog, new)})


HOSTILE = [b"new\nline.jpg", b"\x1b[31mred\x1b[0m.jpg", b"\xff\xfe.jpg", b"n" * 251 + b".jpg"]


def test_hostile_names_go_through_all_of_it(tmp_path: Path, shots: list[Shot]) -> None:
    with running(tmp_path, more=KNOWN) as daemon:
        for name, shot in zip(HOSTILE, shots, strict=False):
            path = os.fsencode(daemon.imports) + b"/" + name
            Path(os.fsdecode(path)).write_bytes(shot.jpeg)
            bad = os.fsencode(daemon.imports) + b"/bad" + name[-200:]
            Path(os.fsdecode(bad)).write_bytes(b"no photo")
        wait_for(lambda: len(daemon.photos()) == 8, "all are in the ledger")
        for name, shot in zip(HOSTILE[:3], shots, strict=False):
            again = os.fsencode(daemon.imports) + b"/again" + name
            Path(os.fsdecode(again)).write_bytes(shot.jpeg)
        (daemon.imports / "dir.jpg").mkdir()
        (daemon.imports / "loop").symlink_to(daemon.imports)
        (daemon.imports / "link.jpg").symlink_to(tmp_path / "hotpixeld.yaml")
        os.mkfifo(daemon.imports / "pipe.jpg")
        wait_for(lambda: len(daemon.photos()) == 11, "they are known")
        wait_for(lambda: len(list(daemon.repaired.iterdir())) == 4, "copies are there")
        assert {os.fsencode(p.name) for p in daemon.repaired.iterdir()} == set(HOSTILE)
        listed = hotpixeld("photos", "list", "-c", daemon.config)
        assert len(listed.stdout.splitlines()) == 12
        assert "\x1b" not in listed.stdout + daemon.log.read_text()
        told = json.loads(hotpixeld("photos", "list", "--json", "-c", daemon.config).stdout)
        assert len(told["photos"]) == 11
        assert json.loads(hotpixeld("status", "--json", "-c", daemon.config).stdout)["running"]
        assert daemon.stop() == 0


def test_a_symlink_in_the_output_is_not_followed(tmp_path: Path, shots: list[Shot]) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.jpg").write_bytes(b"precious")
    with running(tmp_path, more=KNOWN) as daemon:
        (daemon.repaired / "sub").symlink_to(elsewhere)
        (daemon.repaired / shots[0].name).symlink_to(elsewhere / "precious.jpg")
        daemon.drop(shots[0].name, shots[0].jpeg)
        daemon.drop(f"sub/{shots[1].name}", shots[1].jpeg)
        wait_for(lambda: len(daemon.photos()) == 2, "both are in the ledger")
        photos = daemon.photos()
        assert photos[shots[1].name].copy == "failed"
        assert photos[shots[0].name].copy == "written"  # under another name
        assert [p.name for p in elsewhere.iterdir()] == ["precious.jpg"]
        assert (elsewhere / "precious.jpg").read_bytes() == b"precious"


def test_a_damaged_or_newer_state_ends_every_command_with_65(
    tmp_path: Path, shots: list[Shot]
) -> None:
    with running(tmp_path) as daemon:
        for shot in shots[:4]:
            daemon.drop(shot.name, shot.jpeg)
        daemon.wait_counted(4)
        assert daemon.stop() == 0
        database = daemon.state / "hotpixeld.sqlite"
        good = database.read_bytes()
        newer = good[:60] + (99).to_bytes(4, "big") + good[64:]
        torn = good[: len(good) // 2] + bytes(len(good) - len(good) // 2)
        for data, word in ((newer, "newer"), (torn, "rebuild"), (b"x" * 5000, "rebuild")):
            database.write_bytes(data)
            ended = hotpixeld("run", "-c", daemon.config)
            assert (ended.returncode, word in ended.stderr) == (65, True), ended.stderr
            assert "Traceback" not in ended.stderr
            assert database.read_bytes() == data
