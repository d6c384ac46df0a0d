"""The log on stderr: one line a record, whatever names the files have.

Under systemd each line carries its priority; a cause that repeats is told once a minute with a
count. Python's warnings and watchdog's own records come the same way.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TextIO

NOTICE = 25  # between info and warning, as syslog has it: a defect was confirmed
MOST_CHARACTERS = 4000  # watchdog 7 prints its whole table of watches
Format = Literal["auto", "text", "json", "journald"]

_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (NOTICE, 5),
    (logging.INFO, 6),
)  # sd-daemon(3)
_PLAIN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "cause"}

logging.addLevelName(NOTICE, "NOTICE")


def printable(text: str) -> str:
    r"""Return ``text`` on one line and safe for a terminal.

    Control characters, line breaks of any kind, direction marks and bytes that are no UTF-8
    become escapes such as ``\n`` and ``\xff``.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escape(character) for character in text
    )


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


@dataclass
class _Cause:
    since_s: float
    suppressed: int = 0
    last: logging.LogRecord | None = None


class RateLimiter:
    """At most one record per cause and period; the rest are counted.

    Parameters
    ----------
    period_s : float
        How long a cause is quiet after one record.
    """

    def __init__(self, period_s: float = 60.0) -> None:
        self._period_s = period_s
        self._causes: dict[object, _Cause] = {}

    def admits(self, cause: object, record: logging.LogRecord, now_s: float) -> bool:
        """Say whether ``record`` is to be written at ``now_s``; if not, it is counted."""
        known = self._causes.get(cause)
        if known is None:
            self._causes[cause] = _Cause(now_s)
            return True
        known.suppressed += 1
        known.last = record
        return False

    def due(self, now_s: float) -> list[tuple[logging.LogRecord, int]]:
        """Return the last record of each cause whose period is over, and how many it stands for.

        Causes that were quiet for a period are forgotten.
        """
        over = [
            cause
            for cause, known in self._causes.items()
            if now_s - known.since_s >= self._period_s
        ]
        told: list[tuple[logging.LogRecord, int]] = []
        for cause in over:
            known = self._causes.pop(cause)
            if known.last is not None:
                told.append((known.last, known.suppressed))
                self._causes[cause] = _Cause(now_s)
        return told


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes records in one of the formats, warnings and worse (or with a ``cause``) rate-limited.

    ``extra={"cause": ...}`` names what counts as the same; else it is the line of code, and the
    text where the template is no more than ``%s``.
    Other ``extra`` fields are written as ``key=value`` or as JSON fields.
    """

    def __init__(
        self, stream: TextIO, form: Format, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(stream)
        self._clock = clock
        self._limiter = RateLimiter()
        self.setFormatter(_Formatter(form))

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record``, or count it; what was counted long enough is told first."""
        now_s = self._clock()
        self.tell_due(now_s)
        cause = getattr(record, "cause", None)
        if cause is None and record.levelno >= logging.WARNING:
            cause = _place(record)
        if cause is None or self._limiter.admits(cause, record, now_s):
            super().emit(record)

    def tell_due(self, now_s: float) -> None:
        """Write the counts that are due; call it now and then in quiet times."""
        for last, count in self._limiter.due(now_s):
            last.repeated = count
            super().emit(last)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Go on where nobody reads stderr; a record that cannot be formatted is our bug."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def _place(record: logging.LogRecord) -> object:
    is_bare = record.msg == "%s"
    return record.pathname, record.lineno, record.getMessage() if is_bare else ""


class _Formatter(logging.Formatter):
    def __init__(self, form: Format) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if repeated := getattr(record, "repeated", 0):
            message += f" (the last of {repeated} more like it)"
        fields = {
            key: value
            for key, value in vars(record).items()
            if key not in _PLAIN_FIELDS and key != "repeated"
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if self._form == "json":
            return json.dumps(
                {
                    "time": _time(record),
                    "level": record.levelname.lower(),
                    "logger": record.name,
                    "message": _cut(message),
                    **{key: _cut(str(value)) for key, value in fields.items()},
                }
            )
        line = " ".join((message, *(f"{key}={value}" for key, value in fields.items())))
        line = _cut(printable(line))
        if self._form == "journald":
            return f"<{_priority(record.levelno)}>{line}"
        return f"{_time(record)} {record.levelname:<7} {line}"


def set_up_logging(
    level: str,
    form: Format,
    *,
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
) -> LogHandler:
    """Send every log record, Python warning and watchdog record to ``stream`` (stderr).

    May be called again, after a reload, with other settings.
    """
    stream = stream or sys.stderr
    if form == "auto":
        form = "journald" if _is_journal(stream, environ) else "text"
    handler = LogHandler(stream, form)
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, LogHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    for chatty in ("watchdog", "PIL"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return handler


def tell_due() -> None:
    """Write the counts of suppressed records that are due; call it in quiet times."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogHandler):
            handler.tell_due(time.monotonic())


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Say whether ``stream`` is the one that systemd connected to the journal (systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _priority(level: int) -> int:
    return next((priority for least, priority in _PRIORITIES if level >= least), 7)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cut(text: str) -> str:
    return (
        text
        if len(text) <= MOST_CHARACTERS
        else f"{text[:MOST_CHARACTERS]}… ({len(text)} characters)"
    )
