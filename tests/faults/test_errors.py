"""ENOSPC, EDQUOT, EIO and EMFILE at every call: no torn state, and it goes on by itself."""

import contextlib
import errno
import io
import itertools
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rig import FAILED, Rig, needs, sweep

from hotpixeld.edge.found import identity_at, stored
from hotpixeld.service.quiet import QuietWork
from hotpixeld.service.single_pass import single_pass
from hotpixeld.service.state import State, open_state

FAULTS = {
    "ENOSPC": ("write", "pwrite64", "renameat", "ftruncate", "fallocate", "openat"),
    "EDQUOT": ("write", "pwrite64", "fallocate"),
    "EIO": ("write", "pwrite64", "fallocate", "fsync", "fdatasync", "unlink", "pread64"),
    "EMFILE": ("openat",),
}


class Patient(Rig):
    """Takes each photo until it is taken, as the daemon does when the state's disk fails."""

    def serve(self, state: State) -> None:
        work = QuietWork(state, itertools.count(0.0, 60.0).__next__)
        for path in sorted(self.imports.rglob("*.png")):
            identity = stored(identity_at(path))  # type: ignore[arg-type]
            while not state.ledger.is_known(path, identity):
                with contextlib.suppress(OSError, sqlite3.OperationalError):
                    state.handling.handle(path, path.read_bytes(), identity)
            with contextlib.suppress(OSError, sqlite3.OperationalError):
                work.after_photo()
        for _ in range(20):
            with contextlib.suppress(OSError, sqlite3.OperationalError):
                while work.step():
                    pass


def fail_at_each(folder: Path, error: str, *, every: int, lasting: bool) -> int:
    """Inject an error at one call, or from one call on for so long that retries fail as well."""
    rig = Patient(folder)

    def after(code: int, fault: str) -> None:
        assert code in (0, FAILED), fault
        rig.check()
        if code == 0 and not lasting:
            assert set(rig.statistics()) == {"folded"}, fault
        rig.restarted()

    when = f"error={error}"
    return sweep(rig, FAULTS[error], when, every=every, after=after, lasting=7 if lasting else 1)


@needs("strace")
@pytest.mark.parametrize("error", FAULTS)
def test_an_error_of_the_disk_tears_nothing_and_passes(memory_folder: Path, error: str) -> None:
    every = 19 if error == "EMFILE" else 61
    assert fail_at_each(memory_folder, error, every=every, lasting=False) > 3


@pytest.mark.soak
@pytest.mark.timeout(3600)
@needs("strace")
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("error", FAULTS)
def test_every_error_of_the_disk_tears_nothing_and_passes(
    memory_folder: Path, error: str, *, lasting: bool
) -> None:
    assert fail_at_each(memory_folder, error, every=1, lasting=lasting) > 10


def unreadable(monkeypatch: pytest.MonkeyPatch, path: Path, error: int) -> None:
    """Let the disk, or a shortage of descriptors, keep one file from being read."""
    for module in (os, io):
        real = module.open

        def opened(
            name: str | Path,
            *rest: Any,  # noqa: ANN401 (handed on)
            real: Callable[..., Any] = real,
            **options: Any,  # noqa: ANN401 (handed on)
        ) -> Any:  # noqa: ANN401 (handed on)
            if not isinstance(name, int) and Path(name) == path:
                raise OSError(error, os.strerror(error), str(name))
            return real(name, *rest, **options)

        monkeypatch.setattr(module, "open", opened)


@pytest.mark.parametrize("error", [errno.EMFILE, errno.EIO, errno.EACCES])
def test_a_photo_that_cannot_be_read_now_is_taken_once_it_can(
    memory_folder: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    rig = Rig(memory_folder)
    victim = rig.imports / min(rig.photos)
    unreadable(monkeypatch, victim, error)
    single_pass(rig.config, lambda _text: None)
    assert sorted(rig.statistics()) == ["folded"] * 5 + ["refused"]
    monkeypatch.undo()
    single_pass(rig.config, lambda _text: None)
    rig.check()
    rig.check_complete()


def test_a_copy_whose_original_cannot_be_read_now_is_made_once_it_can(
    memory_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(memory_folder)
    rig.run()
    victim = rig.imports / min(rig.photos)
    with open_state(rig.config) as state:
        sensor = state.ledger.sensors()[0]
        state.ledger.say(sensor.id, 9, 9, "add", "2026-01-01T00:00:00Z")
        state.detection.reconsider(sensor)
        work = QuietWork(state, itertools.count(0.0, 60.0).__next__)
        unreadable(monkeypatch, victim, errno.EIO)
        for _ in range(20):
            work.step()
        told = {row.path.name: (row.copy, row.copy_reason) for row in state.ledger.photos()}
        assert told.pop(victim.name) == ("failed", "original: unreadable Input/output error")
        assert {copy for copy, _ in told.values()} == {"written"}
        monkeypatch.undo()
        for _ in range(20):
            work.step()
        assert {row.copy for row in state.ledger.photos()} == {"written"}
        assert {row.map_revision for row in state.ledger.photos()} == {2}


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EIO])
def test_a_pending_photo_that_cannot_be_read_now_is_not_lost(
    memory_folder: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    rig = Rig(memory_folder, commit_photos=100)
    with open_state(rig.config) as state:
        for path in sorted(rig.imports.iterdir()):
            identity = stored(identity_at(path))  # type: ignore[arg-type]
            state.handling.handle(path, path.read_bytes(), identity)
    assert set(rig.statistics()) == {"pending"}
    victim = rig.imports / min(rig.photos)
    with open_state(rig.config) as state:
        spooled = state.accumulation.spool.file(next(state.ledger.photos()).digest)
        if error == errno.EIO:  # of the spool alone: the original is read
            unreadable(monkeypatch, spooled, error)
        else:
            victim.unlink()
            unreadable(monkeypatch, spooled, error)
            with pytest.raises(OSError, match=spooled.name):
                state.accumulation.replay_next()
            assert set(rig.statistics()) == {"pending"}
            for _ in range(5):  # the others are not kept waiting
                state.accumulation.replay_next()
            assert state.accumulation.replays == 1
            monkeypatch.undo()
    victim.write_bytes(rig.photos[victim.name])
    rig.restarted()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.EACCES])
def test_sums_that_cannot_be_read_now_are_not_called_damaged(
    memory_folder: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    rig = Rig(memory_folder)
    rig.run()
    newest = max((rig.state / "moments").iterdir())
    before = {f: f.read_bytes() for f in newest.parent.iterdir()}
    unreadable(monkeypatch, newest, error)
    with pytest.raises(OSError, match=newest.name), open_state(rig.config):
        pytest.fail("it is not open")
    monkeypatch.undo()
    assert {f: f.read_bytes() for f in newest.parent.iterdir()} == before
    rig.restarted()


@pytest.mark.parametrize("failure", [OSError(errno.EMFILE, "Too many open files"), MemoryError()])
def test_what_keeps_a_decoder_from_working_is_no_fault_of_the_photo(
    memory_folder: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    rig = Rig(memory_folder)

    def failing(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", failing)
    single_pass(rig.config, lambda _text: None)
    assert set(rig.statistics()) == {"refused"}
    monkeypatch.undo()
    single_pass(rig.config, lambda _text: None)
    rig.check()
    rig.check_complete()


def test_after_a_failed_sync_the_old_generation_stays_the_good_one(
    memory_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(memory_folder, count=4, commit_photos=4)
    held_back = sorted(rig.photos)[3]
    (rig.imports / held_back).unlink()
    rig.run()
    before = {f: f.read_bytes() for f in (rig.state / "moments").iterdir()}
    (rig.imports / held_back).write_bytes(rig.photos[held_back])
    real, synced = os.fsync, []

    def failing(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        if name.parent.name == "moments" and name.suffix == ".tmp":
            synced.append(name)
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output"):
        rig.run()
    assert len(synced) == len(set(synced)) == 1  # another try is another file
    assert {f: f.read_bytes() for f in (rig.state / "moments").iterdir()} == before
    rig.check()
    assert sorted(rig.statistics()) == ["folded", "folded", "folded", "pending"]
    monkeypatch.undo()
    rig.restarted()
