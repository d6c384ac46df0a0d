"""`rebuild`: all that photos tell is made anew, what people said and what we wrote is kept."""

import contextlib
import itertools
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rig import Rig, photos

from hotpixeld.edge.database import FILE_NAME, open_database
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.lock import hold
from hotpixeld.errors import LockedError, StateError, UsageError
from hotpixeld.service.rebuild import rebuild
from hotpixeld.service.state import CARRIED
from running import CONFIG, hotpixeld


@pytest.fixture
def rig(memory_folder: Path) -> Rig:
    made = Rig(memory_folder)
    made.run()
    with contextlib.closing(open_database(made.state)) as db:
        Ledger(db).say(1, 3, 4, "confirm", "2026-01-01T00:00:00Z")
    return made


def words(rig: Rig) -> dict[tuple[int, int], str]:
    with contextlib.closing(open_database(rig.state)) as db:
        return dict(Ledger(db).words(1))


def do(rig: Rig, *folders: Path) -> list[str]:
    told: list[str] = []
    rebuild(rig.config, folders, told.append)
    return told


def kept(rig: Rig) -> list[str]:
    return sorted(p.name for p in rig.state.glob("before-rebuild-*/*"))


def test_it_makes_the_same_state_and_keeps_the_old_one(rig: Rig) -> None:
    copies = {p: (p.stat().st_ino, p.read_bytes()) for p in rig.copies()}
    moments = sorted(f.name for f in (rig.state / "moments").iterdir())
    do(rig)
    rig.check()
    rig.check_complete()
    assert words(rig) == {(3, 4): "confirm"}
    assert {FILE_NAME, "moments", "pixels", "spool", "whole"} <= set(kept(rig))
    (aside,) = rig.state.glob("before-rebuild-*")
    assert sorted(f.name for f in (aside / "moments").iterdir()) == moments
    assert not (rig.state / CARRIED).exists()
    assert copies.keys() == {*rig.copies()}
    rig.restarted()


def test_copies_that_were_moved_or_changed_are_not_written_again(rig: Rig) -> None:
    moved, changed = sorted(rig.copies())[:2]
    moved.rename(rig.folder / "moved.png")
    changed.write_bytes(b"changed")
    do(rig)
    assert not moved.exists()
    assert changed.read_bytes() == b"changed"


def test_two_damaged_generations_and_a_damaged_database_are_mended_by_it(rig: Rig) -> None:
    for file in (rig.state / "moments").iterdir():
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(StateError):
        rig.run()
    do(rig)
    rig.restarted()
    database = rig.state / FILE_NAME
    data = bytearray(database.read_bytes())
    generator = random.Random(3)
    for _ in range(4):
        data[generator.randrange(len(data))] ^= 16
    database.write_bytes(data)
    with pytest.raises(StateError):
        rig.run()
    told = do(rig)
    assert any("could not be read" in line for line in told)
    rig.run()
    rig.check()
    assert set(rig.statistics()) == {"folded"}


def test_photos_of_other_folders_count_and_own_copies_do_not(rig: Rig) -> None:
    archive = rig.folder / "archive"
    archive.mkdir()
    more = photos(9)
    for name in sorted(more)[6:]:
        (archive / name).write_bytes(more[name])
    do(rig, archive, rig.repaired)
    rig.photos = more
    rig.check()
    statistics = rig.statistics()
    assert (statistics.count("folded"), statistics.count("own-copy")) == (9, 6)


def test_it_is_refused_beside_a_daemon_on_a_newer_state_and_without_its_folders(rig: Rig) -> None:
    before = {p: p.read_bytes() for p in rig.state.rglob("*") if p.is_file() and p.name != "lock"}
    with hold(rig.state / "lock"), pytest.raises(LockedError):
        do(rig)
    with pytest.raises(UsageError):
        do(rig, rig.folder / "nowhere")
    database = rig.state / FILE_NAME
    good = database.read_bytes()
    database.write_bytes(good[:60] + (9).to_bytes(4, "big") + good[64:])
    with pytest.raises(StateError, match=r"newer"):
        do(rig)
    database.write_bytes(good)
    after = {p: p.read_bytes() for p in rig.state.rglob("*") if p.is_file() and p.name != "lock"}
    assert after == before


@pytest.mark.parametrize("step", [1, 4, 5, 7, 20, 45])
def test_one_that_was_broken_off_is_taken_up_again(rig: Rig, step: int) -> None:
    child = os.fork()
    if child == 0:
        left = itertools.count(step, -1)

        def ending(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 (handed on)
                if not next(left):
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **options)

            return call

        for name in ("fsync", "rename"):
            setattr(os, name, ending(getattr(os, name)))
        do(rig)
        os._exit(0)
    os.waitpid(child, 0)
    if (rig.state / CARRIED).exists():
        with pytest.raises(StateError, match=r"broken off"):
            rig.run()
    do(rig)
    rig.check()
    rig.check_complete()
    assert words(rig) == {(3, 4): "confirm"}
    rig.restarted()


def test_the_command(tmp_path: Path) -> None:
    rig = Rig(tmp_path, count=4)
    config = tmp_path / "hotpixeld.yaml"
    config.write_text(CONFIG.format(min_photos=4, skip_similar="false", more=""))
    assert hotpixeld("scan", "-c", config).returncode == 0
    made = hotpixeld("rebuild", "-c", config)
    assert (made.returncode, "4 photos taken" in made.stdout) == (0, True), made.stderr
    listed = hotpixeld("photos", "list", "-c", config)
    assert listed.stdout.count("folded") == len(rig.photos)
