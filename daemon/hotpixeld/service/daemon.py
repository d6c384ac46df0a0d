"""The daemon: arriving photos first, quiet work between them, and the signals."""

import contextlib
import errno
import logging
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from hotpixeld.config import Config
from hotpixeld.edge import notify
from hotpixeld.edge.found import Identity, identity_at
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.logs import tell_due
from hotpixeld.edge.watch import Watcher
from hotpixeld.edge.whole import NotYet
from hotpixeld.service.live import LiveStatus
from hotpixeld.service.metrics import Metrics
from hotpixeld.service.problems import Problems
from hotpixeld.service.quiet import QuietWork
from hotpixeld.service.reporting import Reporting
from hotpixeld.service.requests import take_requests
from hotpixeld.service.settings import Settings
from hotpixeld.service.state import State, open_state
from hotpixeld.service.times import rfc3339_now

log = logging.getLogger(__name__)

PAUSE_S = 1.0
# While the state's disk is full or fails, one try in so many seconds at the rarest.
LONGEST_PAUSE_S = 10.0
# Why a settled file is refused at once; of any other reason it is only not whole yet.
REFUSED = ("empty", "hole", "unreadable", "too-large", "read-error")


class StoppedError(Exception):
    """A long step was broken off, because the daemon is to stop; nothing is half done."""


class Daemon:
    """One run of the daemon on one config file."""

    def __init__(self, config_path: Path) -> None:
        self.problems = Problems()
        self.settings = Settings(config_path, self.problems)
        self.since = rfc3339_now()
        self.stopping = False
        self.arrival: Path | None = None
        self.busy = True
        self.pause_s = 0.0

    def run(self) -> None:
        """Serve until a signal ends it.

        Raises
        ------
        LockedError, StateError
            The state is held by another process, or is not usable.
        """
        self._take_signals()
        config = self.settings.config
        log.info("config %s, state %s", self.settings.file.path.absolute(), config.state)
        with contextlib.suppress(StoppedError):
            while not self.stopping:
                with open_state(self.settings.config, on_progress=self._progress) as state:
                    self._serve(state)
        notify.stopping()

    def _progress(self) -> None:
        """Show life within a long step, or break it off."""
        notify.alive()
        if self.stopping:
            raise StoppedError

    def _serve(self, state: State) -> None:
        """Serve with the present settings until they change or the daemon stops."""
        with watching(state.config, state.ledger) as watcher:
            reporting = Reporting(state, self.settings.file.path, time.monotonic)
            work = QuietWork(state, time.monotonic, reporting)
            live = LiveStatus(state.config, state, watcher, self.problems, self.since)
            metrics = Metrics(state, time.monotonic)
            notify.ready()
            log.info("watching %s", ", ".join(map(str, state.config.import_folders)))
            try:
                while not (self.stopping or self.settings.changed()):
                    notify.alive()
                    tell_due()
                    self._step(state, work, watcher, live)
                    _tell_report(live, reporting)
                    metrics.write(live)
                    if live.write(work):
                        reporting.want()
            finally:
                live.write_last()
                metrics.write_last(live)

    def _step(self, state: State, work: QuietWork, watcher: Watcher, live: LiveStatus) -> None:
        """Take the photo that arrived, else do a step of quiet work, and what was asked for.

        A photo that came while the state could not be written stays at hand and is tried again.
        """
        if self.pause_s:
            self._wait(self.pause_s)
        try:
            if take_requests(state, watcher):
                work.map_changed()
            if self.arrival is None:
                self.arrival = watcher.next_photo(0 if self.busy else PAUSE_S)
            if self.arrival is None:
                self.busy = work.step()
            else:
                take(state, watcher, self.arrival)
                self.arrival = None
                work.after_photo()
                self.busy = True
        except (OSError, sqlite3.OperationalError) as error:
            self._put_off(error, watcher, live)
        else:
            self.pause_s = 0.0
            live.problems.over("state-failing")
        if state.copies.failing:
            live.problems.say(
                "output-failing",
                f"copies wait: {state.copies.failing}",
                "they are written by themselves once that is over; photos are counted meanwhile",
            )
        else:
            live.problems.over("output-failing")

    def _put_off(self, error: Exception, watcher: Watcher, live: LiveStatus) -> None:
        self.busy = False
        self.pause_s = min(max(PAUSE_S, 2 * self.pause_s), LONGEST_PAUSE_S)
        live.problems.say(
            "state-failing",
            f"the state cannot be written: {error}",
            f"free space on {self.settings.config.state}; nothing is lost, it goes on by itself",
        )
        if self.arrival and isinstance(error, OSError) and error.errno == errno.EFBIG:
            watcher.retry_later(self.arrival)  # the limit is on this file, not on the disk
            self.arrival = None

    def _wait(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and not self.stopping:
            notify.alive()
            time.sleep(min(PAUSE_S, max(0.0, end_s - time.monotonic())) / 4)

    # --- signals and reload

    def _take_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        stops = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # nohup
        signal.signal(signal.SIGHUP, self._stop if stops else self._reload)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self.stopping:
            os._exit(128 + number)
        self.stopping = True
        log.info("%s: stopping", signal.Signals(number).name)

    def _reload(self, _number: int, _frame: FrameType | None) -> None:
        self.settings.reload_asked = True


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


def _tell_report(live: LiveStatus, reporting: Reporting) -> None:
    if reporting.failure:
        live.problems.say("report-failing", reporting.failure, "free space there, or mend `report`")
    else:
        live.problems.over("report-failing")


def take(state: State, watcher: Watcher, path: Path) -> None:
    """Read one settled photo and handle it; what is not whole yet is offered again.

    Raises
    ------
    OSError, sqlite3.OperationalError
        The state's disk is full or fails; nothing is recorded of the photo.
    """
    identity = identity_at(path)
    found = watcher.read(path)
    outcome = None
    if not isinstance(found, NotYet):
        outcome = state.handling.handle(path, found.data, stored(found.identity))
        if outcome.statistics != "refused":  # that is told, once a minute and cause
            log.info("%s: statistics %s, copy %s", path, outcome.statistics, outcome.copy)
    elif found.reason in REFUSED and identity is not None:
        outcome = state.handling.refuse_unread(path, stored(identity), found)
    elif found.reason == "gone":
        return
    if outcome is None or outcome.may_pass:
        watcher.retry_later(path)


def stored(identity: Identity) -> str:
    """Return a file's identity as the ledger keeps it: without the device, which a mount renews."""
    return "-".join(str(part) for part in identity[1:])


def _has_terminal() -> bool:
    """Tell whether this process has a controlling terminal, wherever its streams go (tty(4))."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
