"""SIGKILL at every system call that changes a disk, and at random moments.

After each kill the sums on disk are bit for bit those of the photos that the ledger calls folded,
and every copy is whole; after one more run all is as if nothing had happened.
"""

import contextlib
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from rig import KILLED, Rig, needs, photos, sweep

from hotpixeld.edge.database import open_database
from hotpixeld.edge.ledger import Ledger

CALLS = (
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "ftruncate",
    "fallocate",
    "linkat",
)


def kill_at_each(folder: Path, *, every: int, window: int = 1000) -> int:
    # with the least window an epoch is five photos long: the second ends the first
    rig = Rig(folder, window=window, count=6 if window > 10 else 12, commit_photos=2)

    def after(code: int, fault: str) -> None:
        assert code == KILLED, fault
        rig.check()
        rig.restarted()

    return sweep(rig, CALLS, "signal=KILL", every=every, after=after)


@needs("strace")
def test_a_kill_at_any_write_sync_rename_or_unlink_loses_nothing(memory_folder: Path) -> None:
    assert kill_at_each(memory_folder, every=17) > 20


@pytest.mark.soak
@pytest.mark.timeout(3600)
@needs("strace")
@pytest.mark.parametrize("window", [1000, 10])
def test_a_kill_at_every_write_sync_rename_and_unlink_loses_nothing(
    memory_folder: Path, window: int
) -> None:
    assert kill_at_each(memory_folder, every=1, window=window) > 300


class Asked(Rig):
    """A finished state, of which a command has asked something, again for each run."""

    def finish(self, what: str) -> None:
        self.run()
        self.what = what
        self.finished = self.folder / "finished"
        shutil.copytree(self.state, self.finished / "state")
        shutil.copytree(self.repaired, self.finished / "repaired")

    def again(self) -> None:
        super().again()
        shutil.copytree(self.finished, self.folder, dirs_exist_ok=True)
        with contextlib.closing(open_database(self.state)) as db:
            ledger = Ledger(db)
            sensor = ledger.sensors()[0]
            ledger.say(sensor.id, 3, 4, "add", "2026-01-01T00:00:00Z")
            ledger.ask(self.what, sensor.key.encode(), "2026-01-01T00:00:00Z")

    def ask_again(self) -> None:
        """Ask for each photo of a sensor that was dropped."""
        with contextlib.closing(open_database(self.state)) as db:
            for path in sorted(self.imports.iterdir()):
                Ledger(db).ask("retry", os.fsencode(path), "2026-01-01T00:00:00Z")

    def mapped(self) -> list[str]:
        (file,) = (self.state / "pixels").iterdir()
        return [" ".join(line.split()[:2]) for line in file.read_text().splitlines()[1:]]


def kill_at_each_of_a_request(folder: Path, what: str, *, every: int) -> int:
    rig = Asked(folder)
    rig.finish(what)

    def after(code: int, fault: str) -> None:
        assert code == KILLED, fault
        rig.check()
        if what == "forget-sensor":
            rig.run()
            assert set(rig.statistics()) == {"refused"}, fault  # none of its photos counts again
            assert not list((rig.state / "moments").iterdir()), fault
            rig.ask_again()
        rig.restarted()
        with contextlib.closing(open_database(rig.state)) as db:
            assert not Ledger(db).requests(), fault
        said = {"4 3"} if what == "reconsider" else set()  # a sensor takes its words with it
        assert set(rig.mapped()) == {"5 7", "12 3"} | said, fault

    return sweep(rig, CALLS, "signal=KILL", every=every, after=after)


@needs("strace")
@pytest.mark.parametrize("what", ["reconsider", "forget-sensor"])
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("every", [61, pytest.param(1, marks=pytest.mark.soak)])
def test_what_a_person_asked_for_is_done_even_if_a_kill_breaks_it_off(
    memory_folder: Path, what: str, every: int
) -> None:
    assert kill_at_each_of_a_request(memory_folder, what, every=every) > 5


def kill_at_random(folder: Path, *, kills: int, count: int) -> None:
    """Go on over the same state until so many runs were killed; photos come as they are done."""
    generator = random.Random(kills)
    rig = Rig(folder, commit_photos=7, photos=photos(count))
    done = 0
    while done < kills:
        if not done % 10:
            rig.again()
        child = os.fork()
        if child == 0:
            rig.run_and_leave()
        time.sleep(generator.uniform(0, 0.02 * count))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        done += os.waitstatus_to_exitcode(status) == KILLED
        rig.check()
    rig.retried()


def test_kills_at_random_moments_lose_nothing(memory_folder: Path) -> None:
    kill_at_random(memory_folder, kills=15, count=30)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_thousand_kills_at_random_moments_lose_nothing(memory_folder: Path) -> None:
    kill_at_random(memory_folder, kills=1000, count=60)
