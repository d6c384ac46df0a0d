"""A camera's traffic with a fault every few seconds, and a quiet day, both compressed."""

import os
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image
from rig import check_exact

from fakecamera import FakeCamera, Shot
from running import RunningDaemon, cpu_of, running, wait_for


def memory_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


HARM_S = 2.0


class Faults:
    """The harms that a daemon must survive; ``dropped`` are the photos that came so far."""

    def __init__(self, daemon: RunningDaemon, generator: random.Random) -> None:
        self.daemon = daemon
        self.generator = generator
        self.dropped: list[Shot] = []
        self.done: Counter[str] = Counter()
        self.passing = (
            self.freeze,
            self.broken,
            self.slow,
            self.reserved,
            self.touch,
            self.rename,
            self.duplicate,
            self.replace,
            self.no_descriptors,
            self.no_room,
        )
        self.all = (self.kill, self.stop, *self.passing)

    def one_of(self, kinds: Sequence[Callable[[], None]]) -> None:
        """Do one of these harms, of those done least often."""
        kind = min(kinds, key=lambda k: (self.done[k.__name__], self.generator.random()))
        kind()
        self.done[kind.__name__] += 1

    def kill(self) -> None:
        self.daemon.kill()
        self.daemon.start()

    def stop(self) -> None:
        assert self.daemon.stop() == 0
        self.daemon.start()

    def freeze(self) -> None:
        self.daemon.signal(signal.SIGSTOP)
        time.sleep(HARM_S)
        self.daemon.signal(signal.SIGCONT)

    def broken(self) -> None:
        data = self._shot().jpeg
        self.daemon.drop(self._name(), data[: len(data) // 2])

    def slow(self) -> None:
        data = self._shot().jpeg
        with (self.daemon.imports / self._name()).open("wb", buffering=0) as file:
            for start in range(0, len(data), 512):
                file.write(data[start : start + 512])
                time.sleep(HARM_S / 10)

    def reserved(self) -> None:
        data = self._shot().jpeg
        with (self.daemon.imports / self._name()).open("wb", buffering=0) as file:
            os.posix_fallocate(file.fileno(), 0, len(data))
            time.sleep(HARM_S)
            file.write(data)

    def touch(self) -> None:
        for path in self.daemon.imports.iterdir():
            path.touch()

    def rename(self) -> None:
        path = self.generator.choice(sorted(self.daemon.imports.iterdir()))
        path.rename(path.with_name(self._name()))

    def duplicate(self) -> None:
        self.daemon.drop(self._name(), self._shot().jpeg)

    def replace(self) -> None:
        # of the older half: one that the daemon never came to see cannot count
        older = self.dropped[: len(self.dropped) // 2]
        if older:
            self.daemon.drop(self.generator.choice(older).name, self._shot().jpeg)

    def no_descriptors(self) -> None:
        self._limited(resource.RLIMIT_NOFILE, descriptors(self.daemon.pid))

    def no_room(self) -> None:  # every write beyond the first page fails
        self._limited(resource.RLIMIT_FSIZE, 4096)

    def _limited(self, what: int, limit: int) -> None:
        before = resource.prlimit(self.daemon.pid, what)
        resource.prlimit(self.daemon.pid, what, (limit, before[1]))
        time.sleep(HARM_S)
        resource.prlimit(self.daemon.pid, what, before)

    def _shot(self) -> Shot:
        return self.generator.choice(self.dropped)

    def _name(self) -> str:
        return f"more{time.monotonic_ns()}.jpg"


def soak(folder: Path, *, seconds: float, every_s: float, photos: int, most: float) -> Faults:
    """Let photos arrive with a fault now and then, and check that all of it comes out right.

    In the first half faults also end the process; in the second it stays, and must not grow to more
    than ``most`` times what it had: a ranking takes much and gives it back, so the least memory
    of each tenth of the time is compared.
    """
    shots = FakeCamera(64, 48, seed=9).shoot(photos)
    daemon = RunningDaemon(folder, min_photos=4, start=False)
    # the sums of two epochs, and what a ranking needs, are at their largest long before the end
    config = daemon.config.read_text().replace(
        "every: 5", f"every: 5, window: {max(10, photos // 10)}"
    )
    daemon.config.write_text(config)
    least = [10**12] * 10
    with daemon:
        daemon.start()
        faults = Faults(daemon, random.Random(photos))
        start_s, fault_s = time.monotonic(), time.monotonic() + every_s
        for number, shot in enumerate(shots):
            faults.dropped.append(shot)
            daemon.drop(shot.name, shot.jpeg)
            time.sleep(max(0.0, start_s + seconds * (number + 1) / photos - time.monotonic()))
            tenth = number * 10 // photos
            if time.monotonic() > fault_s:
                faults.one_of(faults.all if tenth < 5 else faults.passing)
                fault_s = max(time.monotonic(), fault_s + every_s)
            if number == photos // 2:
                daemon.wait_counted(number, 400)
                opened = descriptors(daemon.pid)
            least[tenth] = min(least[tenth], memory_bytes(daemon.pid))
        daemon.wait_counted(photos, 400)
        wait_for(lambda: descriptors(daemon.pid) <= opened, "descriptors are closed")
        counted = daemon.status()["photos"]
        print(f"{[size >> 10 for size in least]} KiB; {dict(faults.done)}; {counted}")
        assert least[9] <= most * least[6]
        assert counted["lost"] == 0
        assert counted["pending"] + counted["folded"] + counted["waiting"] == photos
        assert daemon.stop() == 0
        check_exact(daemon.state, {shot.name: shot.jpeg for shot in shots})
        for copy in daemon.repaired.iterdir():
            Image.open(copy).load()
    return faults


def test_traffic_with_a_fault_every_few_seconds_ends_exact(tmp_path: Path) -> None:
    assert soak(tmp_path, seconds=14, every_s=2.5, photos=40, most=1.2).done


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_half_an_hour_of_traffic_with_a_fault_every_half_minute_ends_exact(tmp_path: Path) -> None:
    faults = soak(tmp_path, seconds=1800, every_s=30, photos=2000, most=1.05)
    assert len(faults.done) == len(faults.all)


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
