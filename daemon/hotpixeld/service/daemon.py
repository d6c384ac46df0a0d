"""The daemon: arriving photos first, quiet work between them, and the signals."""

import contextlib
import errno
import logging
import os
import signal
import sqlite3
import time
from pathlib import Path
from types import FrameType

from hotpixeld.edge import notify
from hotpixeld.edge.logs import tell_due
from hotpixeld.edge.watch import Watcher
from hotpixeld.service.arrivals import Arrivals, arriving, take
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
        with arriving(state) as arrivals:
            reporting = Reporting(state, self.settings.file.path, time.monotonic)
            work = QuietWork(state, time.monotonic, reporting)
            live = LiveStatus(state.config, state, arrivals.watcher, self.problems, self.since)
            metrics = Metrics(state, time.monotonic)
            notify.ready()
            log.info("watching %s", ", ".join(map(str, state.config.import_folders)))
            try:
                while not (self.stopping or self.settings.changed()):
                    notify.alive()
                    tell_due()
                    self._step(state, work, arrivals, live)
                    _tell_report(live, reporting)
                    metrics.write(live)
                    if live.write(work):
                        reporting.want()
            finally:
                live.write_last()
                metrics.write_last(live)

    def _step(self, state: State, work: QuietWork, arrivals: Arrivals, live: LiveStatus) -> None:
        """Take the photo that arrived, else do a step of quiet work, and what was asked for.

        A photo that came while the state could not be written stays at hand and is tried again.
        """
        if self.pause_s:
            self._wait(self.pause_s)
        try:
            if take_requests(state, arrivals.watcher):
                work.map_changed()
            if self.arrival is None:
                self.arrival = arrivals.next_photo(0 if self.busy else PAUSE_S)
            if self.arrival is None:
                self.busy = work.step()
            else:
                take(state, arrivals, self.arrival)
                self.arrival = None
                work.after_photo()
                self.busy = True
        except (OSError, sqlite3.OperationalError) as error:
            self._put_off(error, arrivals.watcher, live)
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


def _tell_report(live: LiveStatus, reporting: Reporting) -> None:
    if reporting.failure:
        live.problems.say("report-failing", reporting.failure, "free space there, or mend `report`")
    else:
        live.problems.over("report-failing")


def _has_terminal() -> bool:
    """Tell whether this process has a controlling terminal, wherever its streams go (tty(4))."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
