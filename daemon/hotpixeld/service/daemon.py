"""The daemon: arriving photos first, quiet work between them, and the signals."""

import contextlib
import logging
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from hotpixeld.config import Config, ConfigFile, differs_in, load_config
from hotpixeld.config.reload import RESTART_KEYS
from hotpixeld.edge import notify
from hotpixeld.edge.found import Identity, identity_at
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.watch import Watcher
from hotpixeld.edge.whole import NotYet
from hotpixeld.errors import ConfigError
from hotpixeld.service.live import LiveStatus
from hotpixeld.service.quiet import QuietWork
from hotpixeld.service.reporting import Reporting
from hotpixeld.service.requests import take_requests
from hotpixeld.service.state import State, open_state

log = logging.getLogger(__name__)

PAUSE_S = 1.0
# Why a settled file is refused at once; of any other reason it is only not whole yet.
REFUSED = ("empty", "hole", "unreadable", "too-large", "read-error")


class Daemon:
    """One run of the daemon on one config file."""

    def __init__(self, config_path: Path) -> None:
        self.config_file = ConfigFile(config_path)
        self.config = load_config(config_path)
        self.stopping = False
        self.reload_asked = False
        self.restart = False

    def run(self) -> None:
        """Serve until a signal ends it.

        Raises
        ------
        LockedError, StateError
            The state is held by another process, or is not usable.
        """
        self._take_signals()
        while not self.stopping:
            self.restart = False
            with open_state(self.config, on_progress=notify.alive) as state:
                self._serve(state)
        notify.stopping()

    def _serve(self, state: State) -> None:
        """Serve with the present settings until they change or the daemon stops."""
        with watching(self.config, state.ledger) as watcher:
            reporting = Reporting(state, self.config_file.path, time.monotonic)
            work = QuietWork(state, time.monotonic, reporting)
            live = LiveStatus(self.config, state, watcher)
            notify.ready()
            log.info("watching %s", ", ".join(map(str, self.config.import_folders)))
            busy = True
            while not (self.stopping or self.restart):
                notify.alive()
                arrival = watcher.next_photo(0 if busy else PAUSE_S)
                busy = self._step(state, work, watcher, arrival, live)
                if take_requests(state, watcher):
                    work.map_changed()
                _tell_report(live, reporting)
                if live.write(work):
                    reporting.want()
                self._reload_if_changed(live)
            live.write_last()

    def _step(
        self,
        state: State,
        work: QuietWork,
        watcher: Watcher,
        arrival: Path | None,
        live: LiveStatus,
    ) -> bool:
        """Take the photo that arrived, else do a step of quiet work; tell whether there is more."""
        try:
            if arrival is None:
                return work.step()
            take(state, watcher, arrival)
            work.after_photo()
        except (OSError, sqlite3.OperationalError) as error:
            live.problem(
                "state-failing",
                f"the state cannot be written: {error}",
                f"free space on {self.config.state}; nothing is lost, it goes on by itself",
            )
            if arrival is not None:
                watcher.retry_later(arrival)
            return False
        live.solved("state-failing")
        return True

    # --- signals and reload

    def _take_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGHUP, self._stop if _has_terminal() else self._reload)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self.stopping:
            os._exit(128 + number)
        self.stopping = True
        log.info("%s: stopping", signal.Signals(number).name)

    def _reload(self, _number: int, _frame: FrameType | None) -> None:
        self.reload_asked = True

    def _reload_if_changed(self, live: LiveStatus) -> None:
        if not (self.config_file.changed(time.monotonic()) or self.reload_asked):
            return
        self.reload_asked = False
        notify.reloading()
        try:
            new = load_config(self.config_file.path)
        except (ConfigError, OSError) as error:
            live.problem(
                "config-bad",
                f"the config file is bad, the earlier settings stay: {error}",
                f"mend {self.config_file.path}",
            )
            notify.ready()
            return
        live.solved("config-bad")
        changed = differs_in(self.config, new)
        if any(key in RESTART_KEYS for key in changed):
            live.problem(
                "restart-needed",
                "`state` has changed in the config file",
                "restart the daemon to use the other state folder",
            )
            new = new.model_copy(update={"state": self.config.state})
        if changed:
            log.info("config reloaded: %s", ", ".join(changed))
        self.config = new
        self.restart = bool(changed)
        notify.ready()


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
    )
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()


def _tell_report(live: LiveStatus, reporting: Reporting) -> None:
    if reporting.failure:
        live.problem("report-failing", reporting.failure, "free space there, or mend `report`")
    else:
        live.solved("report-failing")


def take(state: State, watcher: Watcher, path: Path) -> None:
    """Read one settled photo and handle it; what is not whole yet is offered again.

    Raises
    ------
    OSError, sqlite3.OperationalError
        The state's disk is full or fails; nothing is recorded of the photo.
    """
    identity = identity_at(path)
    found = watcher.read(path)
    if not isinstance(found, NotYet):
        outcome = state.handling.handle(path, found.data, stored(found.identity))
        log.info("%s: statistics %s, copy %s", path, outcome.statistics, outcome.copy)
    elif found.reason in REFUSED and identity is not None:
        state.handling.refuse_unread(path, stored(identity), found)
    elif found.reason != "gone":
        watcher.retry_later(path)


def stored(identity: Identity) -> str:
    """Return a file's identity as the ledger keeps it: without the device, which a mount renews."""
    return "-".join(str(part) for part in identity[1:])


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
