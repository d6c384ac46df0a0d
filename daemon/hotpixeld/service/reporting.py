"""When the report is written: by a command at once, by the daemon in quiet moments."""

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from hotpixeld.config import Config
from hotpixeld.edge.database import open_database
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.photo import read_photo
from hotpixeld.service.report import ReportSource, write_report
from hotpixeld.service.state import State
from hotpixeld.service.windows import nothing_resident

log = logging.getLogger(__name__)

# Photos that have come since are told of once none has come for so long.
QUIET_S = 20.0
# After a report the daemon rests so many times as long as the report took.
REST = 10


def write_report_now(config: Config, config_path: Path, target: Path) -> None:
    """Write the report beside a daemon that may be running.

    Raises
    ------
    StateError
        There is no state, or it is damaged or newer.
    OSError
        It cannot be written; an earlier report stays.
    """
    with contextlib.closing(open_database(config.state)) as db:
        source = ReportSource(
            ledger=Ledger(db),
            state=config.state,
            config_path=config_path,
            min_photos=config.detection.min_photos,
            read=lambda row, data: read_photo(
                data, row.path.name, max_pixels=config.limits.max_pixels
            ),
            resident=nothing_resident,
        )
        db.execute("BEGIN")  # one moment of the ledger, whatever the daemon does meanwhile
        for _ in write_report(source, target):
            pass
        db.execute("COMMIT")


class Reporting:
    """The daemon's report, in steps of about a photo's length.

    Attributes
    ----------
    failure : str
        Why the last report could not be written; empty: it could.
    """

    def __init__(self, state: State, config_path: Path, clock_s: Callable[[], float]) -> None:
        self.target = state.config.report_path
        self.source = ReportSource(
            ledger=state.ledger,
            state=state.config.state,
            config_path=config_path,
            min_photos=state.config.detection.min_photos,
            read=state.handling.read_again,
            resident=state.accumulation.resident,
        )
        self.clock_s = clock_s
        self.failure = ""
        self._wanted = True
        self._photo_s: float | None = None
        self._writing: Iterator[None] | None = None
        self._spent_s = 0.0
        self._rest_until_s = 0.0

    def want(self) -> None:
        """Something changed that the report should say soon."""
        self._wanted = True

    def begin_anew(self) -> None:
        """Pixels or sensors changed, so that a report that is half written is void."""
        self._wanted = True
        self._writing = None

    def photo_came(self) -> None:
        """Count on one more photo, which the report tells of once it is quiet."""
        self._photo_s = self.clock_s()

    def step(self) -> bool:
        """Do one step of the report, if it is time for one; tell whether there was one."""
        start_s = self.clock_s()
        if self.target is None or not (self._writing or self._is_due(start_s)):
            return False
        if self._writing is None:
            self._wanted, self._photo_s, self._spent_s = False, None, 0.0
            self._writing = write_report(self.source, self.target)
        try:
            next(self._writing)
        except StopIteration:
            self._end("")
            log.debug("report written: %s", self.target)
        except (OSError, sqlite3.OperationalError) as error:
            self._end(f"the report cannot be written: {error}")
        except Exception as error:  # a page is no reason to stop repairing photos
            log.exception("a bug in the report")
            self._end(f"a bug keeps the report from being written: {error!r}")
        self._spent_s += self.clock_s() - start_s
        if self._writing is None:
            self._rest_until_s = self.clock_s() + REST * self._spent_s
        return True

    def _is_due(self, now_s: float) -> bool:
        quiet = self._photo_s is not None and now_s - self._photo_s >= QUIET_S
        return (self._wanted or quiet) and now_s >= self._rest_until_s

    def _end(self, failure: str) -> None:
        self._writing = None
        self.failure = failure
