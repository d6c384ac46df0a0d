"""What a person should know of, from the first time until it is over."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from hotpixeld.service.times import rfc3339_now

log = logging.getLogger(__name__)

LOG_INTERVAL_S = 60.0


@dataclass(frozen=True)
class Problem:
    """Something that a person should know of, and what to do about it."""

    code: str
    since: str
    what: str
    advice: str


class Problems:
    """The open problems of one run of the daemon, by their codes."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._open: dict[str, Problem] = {}
        self._logged_s: dict[str, float] = {}

    def say(self, code: str, what: str, advice: str) -> None:
        """Keep a problem; the log hears of each code once a minute at most."""
        before = self._open.get(code)
        since = before.since if before else rfc3339_now()
        self._open[code] = Problem(code, since, what, advice)
        now_s = self._clock_s()
        if before is None or now_s - self._logged_s[code] >= LOG_INTERVAL_S:
            self._logged_s[code] = now_s
            log.error("%s; %s", what, advice, extra={"cause": code})

    def over(self, code: str) -> None:
        """Close it, if it was open."""
        if self._open.pop(code, None) is not None:
            log.info("%s: well again", code)

    def now(self) -> list[Problem]:
        """Return the open ones, the oldest first."""
        return list(self._open.values())
