"""SIGKILL at every system call that changes a disk, and at random moments.

After each kill the sums on disk are bit for bit those of the photos that the ledger calls folded,
and every copy is whole; after one more run all is as if nothing had happened.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from rig import KILLED, Rig, needs, photos, sweep

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
