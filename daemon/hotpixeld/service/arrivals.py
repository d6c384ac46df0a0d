"""Arriving photos, the next one read and decoded while the one before it is handled.

A thread reads and decodes. All that touches the ledger or the sums is done by the caller, photo
after photo in the order of their arrival, as if there were no thread.
"""

import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hotpixeld.config import Config
from hotpixeld.edge.found import Identity, identity_at, stored
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.watch import Watcher
from hotpixeld.edge.whole import NotYet, WholeFile
from hotpixeld.errors import PhotoError
from hotpixeld.service.cores import usable_cores
from hotpixeld.service.decoding import Decoded, Decoding
from hotpixeld.service.state import State

log = logging.getLogger(__name__)

# Why a settled file is refused at once; of any other reason it is only not whole yet.
REFUSED = ("empty", "hole", "unreadable", "too-large", "read-error")


@dataclass(frozen=True)
class Reading:
    """What reading a file gave.

    Attributes
    ----------
    identity : Identity or None
        The file's before it was read; None where it is gone.
    found : WholeFile or NotYet
    decoded : Photo, PhotoError or None
        None where decoding is still to be done.
    """

    identity: Identity | None
    found: WholeFile | NotYet
    decoded: Decoded | None = None


class Arrivals:
    """The photos that the watcher hands over.

    Parameters
    ----------
    ahead
        The thread that reads ahead; None: every photo is read when its turn has come.
    """

    def __init__(
        self, watcher: Watcher, decoding: Decoding, ahead: ThreadPoolExecutor | None
    ) -> None:
        self.watcher = watcher
        self._decoding = decoding
        self._ahead = ahead
        self._following: Path | None = None
        self._begun: dict[Path, Future[Reading]] = {}

    def next_photo(self, timeout_s: float) -> Path | None:
        """Return the next photo as `Watcher.next_photo` does; it and the one after it are begun."""
        path, self._following = self._following, None
        path = path or self.watcher.next_photo(timeout_s)
        if path is not None and self._ahead is not None:
            self._begin(path, self._ahead)
            self._following = self.watcher.next_photo(0)
            if self._following is not None:
                self._begin(self._following, self._ahead)
        return path

    def read(self, path: Path) -> Reading:
        """Return what the file holds, once.

        Raises
        ------
        OSError
            The state's disk is full or fails.
        """
        begun = self._begun.pop(path, None)
        if begun is not None:
            return begun.result()
        return Reading(identity_at(path), self.watcher.read(path))

    def _begin(self, path: Path, ahead: ThreadPoolExecutor) -> None:
        identity = identity_at(path)
        if path in self._begun or identity is None:
            return
        if not self._decoding.is_suspect(path, stored(identity)):
            self._begun[path] = ahead.submit(self._read_ahead, path, identity)

    def _read_ahead(self, path: Path, identity: Identity) -> Reading:
        found = self.watcher.read(path)
        if isinstance(found, NotYet) or found.identity != identity:
            return Reading(identity, found)
        try:
            decoded: Decoded = self._decoding.decode(path, found.data, stored(identity))
        except PhotoError as error:
            decoded = error
        return Reading(identity, found, decoded)


def take(state: State, arrivals: Arrivals, path: Path) -> None:
    """Read one settled photo and handle it; what is not whole yet is offered again.

    Raises
    ------
    OSError, sqlite3.OperationalError
        The state's disk is full or fails; nothing is recorded of the photo.
    """
    reading = arrivals.read(path)
    found = reading.found
    outcome = None
    if not isinstance(found, NotYet):
        identity = stored(found.identity)
        outcome = state.handling.handle(path, found.data, identity, reading.decoded)
        if outcome.statistics != "refused":  # that is told, once a minute and cause
            log.info("%s: statistics %s, copy %s", path, outcome.statistics, outcome.copy)
    elif found.reason in REFUSED and reading.identity is not None:
        outcome = state.handling.refuse_unread(path, stored(reading.identity), found)
    elif found.reason == "gone":
        return
    if outcome is None or outcome.may_pass:
        arrivals.watcher.retry_later(path)


@contextlib.contextmanager
def arriving(state: State) -> Iterator[Arrivals]:
    """Watch the import folders for the length of the block."""
    with watching(state.config, state.ledger) as watcher, contextlib.ExitStack() as closing:
        ahead = None
        if usable_cores() > 1:
            ahead = ThreadPoolExecutor(1, "ahead")
            closing.callback(ahead.shutdown, cancel_futures=True)
        yield Arrivals(watcher, state.handling.decoding, ahead)


@contextlib.contextmanager
def watching(config: Config, ledger: Ledger) -> Iterator[Watcher]:
    """Watch the import folders for the length of the block."""
    watcher = Watcher(
        config.import_folders,
        known=lambda path, identity: ledger.is_known(path, stored(identity)),
        mode=config.watch.mode,
        settle_s=config.watch.settle_s,
        rescan_s=config.watch.rescan_s,
        ignore=config.watch.ignore,
        not_empty=[root for root in config.import_folders if ledger.has_photos_below(root)],
    )
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()
