"""One bit of the state is flipped: detected, or everything reads back right all the same."""

import contextlib
import os
import random
import re
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
from rig import KILLED, Rig

from hotpixeld.edge.database import FILE_NAME, open_database
from hotpixeld.edge.ledger import Ledger
from hotpixeld.errors import StateError
from hotpixeld.service.state import State, open_state


class Crashed(Rig):
    """A state as a kill leaves it: two generations, spooled photos, and a log not yet emptied."""

    def crash(self) -> None:
        left_out = sorted(self.photos)[-2:]
        for name in left_out:
            (self.imports / name).unlink()
        self.run()
        for name in left_out:
            (self.imports / name).write_bytes(self.photos[name])
        self.commit_photos = 100
        child = os.fork()
        if child == 0:
            self.run_and_leave()
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == KILLED
        self.commit_photos = 2
        self.crashed = self.folder / "crashed"
        shutil.copytree(self.state, self.crashed)

    def serve(self, state: State) -> None:
        super_serve = super().serve
        if self.commit_photos == 100:
            commit = state.accumulation.commit
            state.accumulation.commit = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign, assignment]
            super_serve(state)
            state.accumulation.commit = commit  # type: ignore[method-assign]
        super_serve(state)

    def crashed_again(self) -> None:
        shutil.rmtree(self.state)
        shutil.copytree(self.crashed, self.state)

    def contents(self) -> dict[str, bytes]:
        return {
            str(file.relative_to(self.state)): file.read_bytes()
            for file in self.state.rglob("*")
            if file.is_file()
            and file.name not in ("lock", f"{FILE_NAME}-shm")
            and (file.stat().st_size or not file.name.endswith("-wal"))
        }


@pytest.fixture
def rig(memory_folder: Path) -> Crashed:
    made = Crashed(memory_folder, count=8)
    made.crash()
    assert len(list((made.state / "moments").iterdir())) == 2
    assert len(list((made.state / "spool").iterdir())) >= 3
    assert (made.state / f"{FILE_NAME}-wal").stat().st_size > 10_000
    return made


def events(rig: Rig) -> list[str]:
    with contextlib.closing(open_database(rig.state)) as db:
        return [row[0] for row in db.execute("SELECT code FROM events")]


def dump(rig: Rig) -> list[str]:
    """Return the database as statements; a log that was left is taken in by looking."""
    with contextlib.closing(open_database(rig.state)) as db:
        return list(db.iterdump())


def flip(file: Path, at: int, bit: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1 << bit
    file.write_bytes(data)


def newest_first(rig: Rig) -> list[Path]:
    return sorted((rig.state / "moments").iterdir(), reverse=True)


def flip_many(rig: Crashed, count: int, seed: int) -> Counter[str]:
    generator = random.Random(seed)
    outcomes: Counter[str] = Counter()
    for _ in range(count):
        rig.crashed_again()
        files = sorted(rig.contents())
        kind = generator.choice(["moments/", "spool/", FILE_NAME, f"{FILE_NAME}-wal"])
        name = generator.choice(
            [f for f in files if f == kind or (kind[-1] == "/" and f.startswith(kind))]
        )
        file = rig.state / name
        if kind == FILE_NAME:
            open_database(rig.state).close()  # with its log beside it most of it counts for nothing
        at, bit = generator.randrange(file.stat().st_size), generator.randrange(8)
        flip(file, at, bit)
        before = rig.contents()
        place = f"bit {bit} of byte {at} of {name}"
        try:
            rig.run()
        except StateError as error:
            assert rig.contents() == before, place
            assert re.search("rebuild|newer|not hotpixeld's", str(error)), place  # noqa: PT017 (or none)
            outcomes[f"{kind} refused"] += 1
            continue
        try:
            rig.check()
            rig.check_complete()
        except BaseException:
            print(place)
            raise
        if kind == "moments/":
            newest = name == f"moments/{max(f.name for f in (rig.crashed / 'moments').iterdir())}"
            assert ("generation-damaged" in events(rig)) == newest, place
        outcomes[f"{kind} harmless"] += 1
    return outcomes


def test_a_flipped_bit_anywhere_in_the_state_is_detected_or_harmless(rig: Crashed) -> None:
    outcomes = flip_many(rig, 100, 1)
    assert outcomes[f"{FILE_NAME} refused"]
    assert outcomes[f"{FILE_NAME}-wal refused"]
    assert outcomes["moments/ harmless"]


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_flipped_bits_are_detected_or_harmless(rig: Crashed) -> None:
    print(flip_many(rig, 1000, 2))


def test_a_damaged_newest_generation_is_caught_up_from_the_spool_alone(rig: Crashed) -> None:
    for photo in rig.imports.iterdir():
        photo.unlink()
    flip(newest_first(rig)[0], -5, 3)
    rig.run()
    rig.check()
    rig.check_complete()
    assert "generation-damaged" in events(rig)
    assert list((rig.state / "moments").glob("*.damaged"))


def test_of_damaged_generations_the_newest_two_are_kept(rig: Crashed) -> None:
    moments = rig.state / "moments"
    older = [moments / f"x-0000-0000000{number}.damaged" for number in range(3)]
    for file in older:
        file.touch()
    flipped = max(f for f in moments.iterdir() if f.suffix == ".moments")
    flip(flipped, -5, 3)
    rig.run()
    rig.check()
    assert set(moments.glob("*.damaged")) == {older[2], flipped.with_suffix(".damaged")}
    with open_state(rig.config) as state:
        assert state.accumulation.stored.kept_damage[0].name == flipped.stem + ".damaged"


def test_two_damaged_generations_are_refused_and_nothing_is_overwritten(rig: Crashed) -> None:
    for file in newest_first(rig):
        flip(file, -5, 3)
    before, dumped = rig.contents(), dump(rig)
    for _ in range(2):
        with pytest.raises(StateError, match=r"hotpixeld rebuild") as refused:
            rig.run()
        assert refused.value.exit_code == 65
        after = rig.contents()
        assert {n: b for n, b in after.items() if FILE_NAME not in n} == {
            n: b for n, b in before.items() if FILE_NAME not in n
        }
        assert dump(rig) == dumped


def test_the_only_generation_damaged_is_made_again_from_the_spool(memory_folder: Path) -> None:
    rig = Rig(memory_folder, count=5, commit_photos=5)
    rig.run()
    (only,) = newest_first(rig)
    flip(only, -5, 3)
    for photo in rig.imports.iterdir():
        photo.unlink()
    rig.run()
    rig.check()
    rig.check_complete()


def test_a_damaged_spooled_photo_without_its_original_is_lost_and_named(rig: Crashed) -> None:
    with contextlib.closing(open_database(rig.state)) as db:
        pending = next(iter(Ledger(db).photos(states=("pending",))))
    flip(rig.state / "spool" / pending.digest.hex(), -9, 0)
    pending.path.unlink()
    rig.run()
    rig.check()
    with contextlib.closing(open_database(rig.state)) as db:
        lost = list(Ledger(db).photos(states=("lost",)))
    assert [(row.path, row.reason) for row in lost] == [(pending.path, "not-replayable")]
    assert "photo-lost" in events(rig)


def test_moments_of_a_newer_version_are_refused_untouched(
    rig: Crashed, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.run()
    monkeypatch.setattr("hotpixeld.edge.generations.STATISTICS_VERSION", 0)
    before = rig.contents()
    with pytest.raises(StateError, match=r"newer") as refused:
        rig.run()
    assert refused.value.exit_code == 65
    assert rig.contents() == before


@pytest.mark.parametrize("killed", [False, True])
def test_a_database_of_a_newer_version_is_refused_untouched(rig: Crashed, *, killed: bool) -> None:
    child = os.fork()
    if child == 0:
        db = open_database(rig.state)
        db.execute("PRAGMA user_version = 2")
        if not killed:
            db.close()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    before = rig.contents()
    assert (f"{FILE_NAME}-wal" in before) == killed
    for refuse in (rig.run, lambda: open_database(rig.state)):
        with pytest.raises(StateError, match=r"newer") as refused:
            refuse()
        assert refused.value.exit_code == 65
        assert rig.contents() == before
