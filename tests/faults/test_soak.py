"""A camera's traffic with a fault every few seconds, and a quiet day, both compressed."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from rig import check_exact

from fakecamera import FakeCamera, Shot
from running import RunningDaemon, running, wait_for


def memory_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def fault(daemon: RunningDaemon, generator: random.Random, shots: list[Shot]) -> None:
    """Do the daemon one harm that it must survive."""
    match generator.choice(["kill", "stop", "freeze", "broken", "touch", "duplicate"]):
        case "kill":
            daemon.kill()
            daemon.start()
        case "stop":
            assert daemon.stop() == 0
            daemon.start()
        case "freeze":
            daemon.signal(signal.SIGSTOP)
            time.sleep(1)
            daemon.signal(signal.SIGCONT)
        case "broken":
            shot = generator.choice(shots)
            daemon.drop(f"broken{time.monotonic_ns()}.jpg", shot.jpeg[: len(shot.jpeg) // 2])
        case "touch":
            for path in daemon.imports.iterdir():
                path.touch()
        case _:
            shot = generator.choice(shots)
            daemon.drop(f"again{time.monotonic_ns()}.jpg", shot.jpeg)


def soak(folder: Path, *, seconds: float, every_s: float, photos: int) -> None:
    generator = random.Random(photos)
    shots = FakeCamera(64, 48, seed=9).shoot(photos)
    waiting = list(shots)
    with running(folder, min_photos=4) as daemon:
        end_s = time.monotonic() + seconds
        fault_s = time.monotonic() + every_s
        while waiting and time.monotonic() < end_s:
            shot = waiting.pop()
            daemon.drop(shot.name, shot.jpeg)
            time.sleep(seconds / photos / 2)
            if time.monotonic() > fault_s:
                fault(daemon, generator, shots)
                fault_s = time.monotonic() + every_s
        for shot in waiting:
            daemon.drop(shot.name, shot.jpeg)
        daemon.wait_counted(photos)
        assert daemon.process is not None
        before = memory_bytes(daemon.process.pid), descriptors(daemon.process.pid)
        for path in daemon.imports.iterdir():
            path.touch()
        time.sleep(min(seconds / 4, 60))
        assert memory_bytes(daemon.process.pid) <= before[0] * 1.05 + (4 << 20)
        assert descriptors(daemon.process.pid) <= before[1] + 1  # one that is being read
        counted = daemon.status()["photos"]
        assert counted["lost"] == 0
        assert counted["pending"] + counted["folded"] + counted["waiting"] == photos
        assert daemon.stop() == 0
        check_exact(daemon.state, {shot.name: shot.jpeg for shot in shots})


def test_traffic_with_a_fault_every_few_seconds_ends_exact(tmp_path: Path) -> None:
    soak(tmp_path, seconds=12, every_s=2.5, photos=40)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_half_an_hour_of_traffic_with_a_fault_every_half_minute_ends_exact(tmp_path: Path) -> None:
    soak(tmp_path, seconds=1800, every_s=30, photos=2000)


def idle(folder: Path, *, photos: int, seconds: float, most_share: float) -> None:
    """Let the daemon stand with all done, and weigh what it uses."""
    shots = FakeCamera(64, 48, seed=9).shoot(min(photos, 40))
    with running(folder, more="confirmation: {mode: manual}") as daemon:
        config = daemon.config.read_text().replace("rescan: 2s", "rescan: 5min")
        daemon.config.write_text(config)
        for number in range(photos):
            shot = shots[number % len(shots)]
            (daemon.imports / f"{number}.jpg").write_bytes(shot.jpeg)
        wait_for(lambda: sum(daemon.status()["photos"].values()) >= photos, "all done", 3600)
        assert daemon.process is not None
        process = Path(f"/proc/{daemon.process.pid}")
        time.sleep(12)  # the config is picked up, the report and the status are written
        cpu_s, written = cpu_of(process), written_by(process)
        time.sleep(seconds)
        assert written_by(process) == written
        assert cpu_of(process) - cpu_s <= most_share * seconds
        assert daemon.stop() == 0


def cpu_of(process: Path) -> float:
    fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def written_by(process: Path) -> str:
    return next(
        line for line in (process / "io").read_text().splitlines() if line.startswith("write_bytes")
    )


def test_an_idle_daemon_writes_nothing_and_hardly_wakes(tmp_path: Path) -> None:
    idle(tmp_path, photos=60, seconds=10, most_share=0.01)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_an_idle_daemon_over_ten_thousand_photos_writes_nothing(tmp_path: Path) -> None:
    idle(tmp_path, photos=10_000, seconds=600, most_share=0.002)
