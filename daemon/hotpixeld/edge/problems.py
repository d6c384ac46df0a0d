"""What a person should know: each problem said once in the log and kept until it is over."""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hotpixeld.edge.names import printable

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
            logger.warning("%s; %s", what, advice)

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
