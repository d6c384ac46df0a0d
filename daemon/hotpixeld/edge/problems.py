"""What a person should know: each problem said once in the log and kept until it is over."""

import contextlib
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hotpixeld.edge.logs import printable

_LOG_AGAIN_S = 60.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """A fixed code, since when (s since the epoch), what is, and what to do about it."""

    code: str
    since: float
    what: str
    advice: str


class Problems:
    """The open problems of one folder, by code.

    Parameters
    ----------
    where : str
        The folder, for the log.
    wall : callable
        Seconds since the epoch.
    """

    def __init__(self, where: str, wall: Callable[[], float]) -> None:
        self._where, self._wall = where, wall
        self._open: dict[str, Problem] = {}
        self._logged: dict[str, tuple[float, int]] = {}  # when last, and how often not since

    def __contains__(self, code: str) -> bool:
        return code in self._open

    def now(self) -> tuple[Problem, ...]:
        """Return the open ones; may be called from any thread."""
        return tuple(self._open.copy().values())

    def say(self, code: str, what: str, advice: str) -> None:
        """Keep a problem; it is logged when it is new, not when only its details change."""
        before = self._open.get(code)
        since = before.since if before is not None else self._wall()
        self._open[code] = Problem(code, since, what, advice)
        if before is None:
            self.log(code, f"{what}; {advice}")

    def log(self, cause: str, message: str) -> None:
        """Log a warning, unless one of this cause was logged in the last minute."""
        now = self._wall()
        last, unsaid = self._logged.get(cause, (-math.inf, 0))
        if 0 <= now - last < _LOG_AGAIN_S:
            self._logged[cause] = (last, unsaid + 1)
            return
        self._logged[cause] = (now, 0)
        logger.warning("%s%s", message, f" ({unsaid} times more since the last)" if unsaid else "")

    def over(self, *codes: str) -> None:
        """Close these, where they were open."""
        for code in codes:
            if self._open.pop(code, None) is not None:
                logger.info("%s: over in %s", code, printable(self._where))


def raise_inotify(name: str, at_least: int) -> str:
    """Return the line that raises ``fs.inotify.<name>`` to twice what it is."""
    limit = 0
    with contextlib.suppress(OSError, ValueError):  # hidden by systemd's ProcSubset=pid
        limit = int(Path(f"/proc/sys/fs/inotify/{name}").read_text(encoding="utf-8"))
    wanted = max(limit * 2, at_least)
    return (
        f"sudo sysctl fs.inotify.{name}={wanted}"
        f" (to keep it: the line fs.inotify.{name}={wanted} in /etc/sysctl.d/50-hotpixeld.conf)"
    )
