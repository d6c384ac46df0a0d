"""What is done while no photo waits: replay, ranking, the backlog's copies, commits."""

import logging
from collections.abc import Callable

from hotpixeld.edge.rows import PhotoRow
from hotpixeld.service.accumulation import PHOTOS_BEFORE_SWAP
from hotpixeld.service.reporting import Reporting
from hotpixeld.service.state import State

log = logging.getLogger(__name__)

# A quiet import folder: what is pending is written, so that a crash has little to replay.
COMMIT_AFTER_QUIET_S = 300.0
RETRY_COPIES_S = 10.0
# How the reason of a copy begins that failed for what may pass by itself.
HINDRANCES = ("no-space", "output", "original:")
# Of so many times the photos that make a ranking due, arriving photos no longer put it off.
OVERDUE = 3
_NEWEST = (1 << 63) - 1  # no row has a greater id


class QuietWork:
    """The work that gives way to arriving photos, in steps of about a photo's length.

    Parameters
    ----------
    clock_s
        A clock that only rises.
    reporting
        Keeps the report up to date; None: nobody does.
    """

    def __init__(
        self, state: State, clock_s: Callable[[], float], reporting: Reporting | None = None
    ) -> None:
        self.state = state
        self.reporting = reporting
        self.clock_s = clock_s
        self._busy_s = clock_s()
        self._retried_s = clock_s()
        self._retried_id = 0
        self._backlog_may_wait = True
        self._backlog_id = _NEWEST
        self._dated: dict[int, int] = {}

    def after_photo(self) -> None:
        """Do what a stream of arriving photos must not put off.

        Raises
        ------
        OSError, sqlite3.OperationalError
            The state's disk is full or fails; what is pending stays pending.
        """
        self._busy_s = self.clock_s()
        if self.reporting is not None:
            self.reporting.photo_came()
        for sensor_id in self.state.accumulation.uncommitted(due=True):
            self.state.accumulation.commit(sensor_id)
        # one for each that arrives, or a steady stream would put it off for ever
        self._replay(least_to_swap=PHOTOS_BEFORE_SWAP)
        self._rank_next(overdue=OVERDUE, behind_too=False)

    def step(self) -> bool:
        """Do one step; tell whether there may be more to do at once.

        Raises
        ------
        OSError, sqlite3.OperationalError
            As `after_photo`.
        """
        return (
            self._replay()
            or self._rank_next(overdue=1)
            or self._backlog()
            or self._retry_copies()
            or self._report()
            or self._commit_after_quiet()
        )

    def map_changed(self) -> None:
        """Look through the backlog again, and tell of it."""
        self._backlog_may_wait = True
        self._backlog_id = _NEWEST
        if self.reporting is not None:
            self.reporting.begin_anew()

    def _replay(self, *, least_to_swap: int = 1) -> bool:
        if not self.state.accumulation.replay_next(least_to_swap=least_to_swap):
            return False
        for sensor_id in self.state.accumulation.uncommitted(due=True):
            self.state.accumulation.commit(sensor_id)
        return True

    def _rank_next(self, *, overdue: int, behind_too: bool = True) -> bool:
        for sensor in self.state.ledger.sensors():
            if not behind_too and self.state.accumulation.is_behind(sensor.id):
                continue
            if self.state.detection.is_due(sensor, overdue=overdue):
                self.state.detection.rank(sensor)
                self.map_changed()
                return True
        return False

    def _backlog(self) -> bool:
        if not (self._backlog_may_wait and self.state.config.repair.backlog):
            return False
        row = self._next_of_backlog()
        if row is None:
            self._backlog_may_wait = False
            self._date_again()
            return False
        outcome = self.state.handling.remake_copy(row)
        self._backlog_id = row.id
        log.info("backlog: %s: copy %s %s", row.path, outcome.copy, outcome.copy_reason)
        return True

    def _date_again(self) -> None:
        """Date the new defects, now that the backlog has been observed at their sites."""
        for sensor in self.state.ledger.sensors():
            if sensor.map_revision > self._dated.get(sensor.id, 0):
                self._dated[sensor.id] = sensor.map_revision
                self.state.detection.reconsider(sensor)

    def _next_of_backlog(self) -> PhotoRow | None:
        found = self.state.ledger.db.execute(
            "SELECT photos.id FROM photos JOIN sensors ON sensors.id = sensor_id "
            "WHERE photos.map_revision < sensors.map_revision AND copy != 'failed' AND statistics "
            "IN ('waiting', 'pending', 'folded', 'similar', 'lost') AND photos.id < ? "
            "ORDER BY photos.id DESC LIMIT 1",
            (self._backlog_id,),  # what stands behind it is done: it is not looked through again
        ).fetchone()
        return self.state.ledger.photo(found[0]) if found else None

    def _retry_copies(self) -> bool:
        """Try one failed copy; while none is hindered, the next at once.

        The next try begins behind the one that was, so that no photo stands in others' way.
        """
        if self.clock_s() - self._retried_s < RETRY_COPIES_S:
            return False
        row = self._next_hindered_copy()
        if row is not None:
            self._retried_id = row.id
            if not self.state.handling.remake_copy(row).copy_reason.startswith(HINDRANCES):
                return True
        self._retried_s = self.clock_s()
        return False

    def _next_hindered_copy(self) -> PhotoRow | None:
        begins = " OR ".join("copy_reason LIKE ?" for _ in HINDRANCES)
        found = self.state.ledger.db.execute(
            f"SELECT id FROM photos WHERE copy = 'failed' AND ({begins}) "  # noqa: S608 (marks only)
            "ORDER BY id <= ?, id LIMIT 1",
            (*(f"{hindrance}%" for hindrance in HINDRANCES), self._retried_id),
        ).fetchone()
        return self.state.ledger.photo(found[0]) if found else None

    def _report(self) -> bool:
        return self.reporting is not None and self.reporting.step()

    def _commit_after_quiet(self) -> bool:
        if self.clock_s() - self._busy_s < COMMIT_AFTER_QUIET_S:
            return False
        waiting = self.state.accumulation.uncommitted(due=False)
        for sensor_id in waiting[:1]:
            self.state.accumulation.commit(sensor_id)
        return bool(waiting)

    def pending_text(self) -> str:
        """Say in a few words what there is still to do."""
        replays = self.state.accumulation.replays
        return f"{replays} to replay" if replays else "nothing to replay"
