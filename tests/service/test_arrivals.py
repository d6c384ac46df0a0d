"""Photos read ahead are handled as if each were read when its turn has come."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fakecamera import FakeCamera, Shot
from hotpixeld.config import parse_config
from hotpixeld.core.moments import Moments
from hotpixeld.edge.found import identity_at, stored
from hotpixeld.edge.photo import Photo, read_photo
from hotpixeld.service.arrivals import Arrivals, take, watching
from hotpixeld.service.state import State, open_state

CONFIG = """\
version: 1
import: ./import
output: ./out
state: ./state
watch: {settle: 100ms}
detection: {skip_similar: false, min_photos: 60}
copies: {min_free: 0B}
"""
WAIT_S = 30.0


@pytest.fixture(scope="module")
def shots() -> list[Shot]:
    return FakeCamera(96, 64, seed=4).shoot(6)


class Watched:
    """A state, its arrivals, and how often each photo was decoded."""

    def __init__(self, state: State, ahead: ThreadPoolExecutor, arrivals: Arrivals) -> None:
        self.state, self.ahead, self.arrivals = state, ahead, arrivals
        self.decoded: Counter[str] = Counter()
        self.done: dict[str, threading.Event] = {}
        decode = state.handling.decoding.decode

        def counted(path: Path, data: bytes, identity: str) -> Photo:
            photo = decode(path, data, identity)
            self.decoded[path.name] += 1
            self.done.setdefault(path.name, threading.Event()).set()
            return photo

        state.handling.decoding.decode = counted  # type: ignore[method-assign]

    def next_photo(self) -> Path:
        path = self.arrivals.next_photo(WAIT_S)
        assert path is not None
        return path

    def wait_until_decoded(self, name: str) -> None:
        assert self.done.setdefault(name, threading.Event()).wait(WAIT_S)

    def wait_until_idle(self) -> None:
        self.ahead.submit(lambda: None).result(WAIT_S)

    def take_all(self) -> None:
        while (path := self.arrivals.next_photo(0.5)) is not None:
            take(self.state, self.arrivals, path)


@contextlib.contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    (folder / "import").mkdir(exist_ok=True)
    config = parse_config(CONFIG, folder)
    with (
        open_state(config) as state,
        watching(config, state.ledger) as watcher,
        ThreadPoolExecutor(1) as ahead,
    ):
        yield Watched(state, ahead, Arrivals(watcher, state.handling.decoding, ahead))


def put(folder: Path, shots: list[Shot]) -> None:
    (folder / "import").mkdir(exist_ok=True)
    for shot in shots:
        (folder / "import" / shot.name).write_bytes(shot.jpeg)


def test_the_next_photo_is_decoded_before_the_first_is_handled_and_each_only_once(
    tmp_path: Path, shots: list[Shot]
) -> None:
    put(tmp_path, shots)
    with watched(tmp_path) as here:
        first = here.next_photo()
        for shot in shots[:2]:
            here.wait_until_decoded(shot.name)
        assert not list(here.state.ledger.photos())
        take(here.state, here.arrivals, first)
        here.take_all()
        assert here.decoded == {shot.name: 1 for shot in shots}
        assert here.state.ledger.count(1, "pending") == len(shots)
        while here.state.accumulation.replay_next():  # those that came before there were sums
            pass
        reference = Moments.empty((64, 96, 3), 8)
        reference.fold([read_photo(s.jpeg, s.name, max_pixels=10**6).frame for s in shots])
        (moments,) = here.state.accumulation.parts(1)
        for name, array in moments.arrays().items():
            assert array.tobytes() == reference.arrays()[name].tobytes()


def test_a_file_that_changes_before_it_is_read_counts_as_what_it_is_then(
    tmp_path: Path, shots: list[Shot]
) -> None:
    put(tmp_path, shots[:1])
    going_on = threading.Event()
    with watched(tmp_path) as here:
        here.ahead.submit(going_on.wait)
        path = here.next_photo()
        path.unlink()
        path.write_bytes(shots[3].jpeg)
        going_on.set()
        take(here.state, here.arrivals, path)
        (row,) = here.state.ledger.photos()
        assert row.digest == read_photo(shots[3].jpeg, path.name, max_pixels=10**6).digest
        identity = identity_at(path)
        assert identity is not None
        assert row.identity == stored(identity)


def test_a_photo_that_may_have_killed_the_process_is_not_decoded_ahead(
    tmp_path: Path, shots: list[Shot]
) -> None:
    put(tmp_path, shots[:1])
    path = tmp_path / "import" / shots[0].name
    identity = identity_at(path)
    assert identity is not None
    with watched(tmp_path) as here:
        here.state.ledger.blame(path, stored(identity))
        assert here.next_photo() == path
        here.wait_until_idle()
        assert not here.decoded
        take(here.state, here.arrivals, path)
        assert here.state.ledger.count(1, "waiting") == 1
        assert here.state.ledger.deaths(path, stored(identity)) == 0


def test_what_fails_of_the_state_while_reading_ahead_is_told_in_its_turn_and_tried_again(
    tmp_path: Path, shots: list[Shot]
) -> None:
    put(tmp_path, shots[:1])
    with watched(tmp_path) as here:
        (tmp_path / "state/decoding").mkdir()
        path = here.next_photo()
        with pytest.raises(IsADirectoryError):
            take(here.state, here.arrivals, path)
        assert not list(here.state.ledger.photos())
        (tmp_path / "state/decoding").rmdir()
        take(here.state, here.arrivals, path)
        assert here.state.ledger.count(1, "waiting") == 1


def test_a_broken_photo_read_ahead_is_refused_with_its_reason(
    tmp_path: Path, shots: list[Shot]
) -> None:
    put(tmp_path, shots[:1])
    (tmp_path / "import/broken.jpg").write_bytes(shots[1].jpeg[:900])
    with watched(tmp_path) as here:
        here.take_all()
        states = {row.path.name: row.statistics for row in here.state.ledger.photos()}
        assert states == {shots[0].name: "waiting", "broken.jpg": "refused"}


def test_what_was_read_ahead_and_not_handled_comes_again(tmp_path: Path, shots: list[Shot]) -> None:
    put(tmp_path, shots)
    with watched(tmp_path) as here:
        take(here.state, here.arrivals, here.next_photo())
        assert len(list(here.state.ledger.photos())) == 1
    with watched(tmp_path) as here:
        here.take_all()
        assert here.state.ledger.count(1, "pending", "folded") == len(shots)
