import io
import json
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpixeld.edge.logs import NOTICE, LogHandler, RateLimiter, printable, set_up_logging


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    logging.getLogger("hotpixeld.test").propagate = True
    logging.captureWarnings(capture=False)
    root.setLevel(level)
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)


class _Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _logger(form: str = "text") -> tuple[logging.Logger, io.StringIO, _Clock]:
    stream, clock = io.StringIO(), _Clock()
    handler = LogHandler(stream, form, clock)  # type: ignore[arg-type]  # parametrised
    return _alone(handler), stream, clock


def _alone(handler: LogHandler) -> logging.Logger:
    logger = logging.getLogger("hotpixeld.test")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    return logger


def test_hostile_names_stay_on_their_line() -> None:
    assert printable("plain ä 漢.jpg") == "plain ä 漢.jpg"
    assert printable("a\nb\x1b[2J\u202e\u2028c") == r"a\nb\x1b[2J\u202e\u2028c"
    assert printable(os.fsdecode(b"\xff.jpg")) == r"\xff.jpg"


@given(st.text() | st.binary().map(os.fsdecode))
def test_whatever_is_logged_is_one_printable_line(text: str) -> None:
    for form in ("text", "journald", "json"):
        logger, stream, _ = _logger(form)
        logger.info("refused %s", text, extra={"path": text})
        written = stream.getvalue()
        assert written.endswith("\n")
        assert written[:-1].isprintable()
        written.encode()


def test_text_has_time_level_message_and_fields() -> None:
    logger, stream, _ = _logger()
    logger.log(NOTICE, "confirmed", extra={"x": 411, "y": 236})
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z NOTICE  confirmed x=411 y=236\n", stream.getvalue()
    )


def test_json_is_one_document_a_line() -> None:
    logger, stream, _ = _logger("json")
    try:
        int("bad\nname")
    except ValueError:
        logger.exception("failed", extra={"path": "a\nb"})
    told = json.loads(stream.getvalue())
    assert told["level"] == "error"
    assert (told["message"], told["path"]) == ("failed", "a\nb")
    assert "ValueError: invalid literal" in told["traceback"]


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.CRITICAL, 2),
        (logging.ERROR, 3),
        (logging.WARNING, 4),
        (NOTICE, 5),
        (20, 6),
        (10, 7),
    ],
)
def test_the_journal_gets_priorities(level: int, priority: int) -> None:
    logger, stream, _ = _logger("journald")
    logger.log(level, "one\ntwo")
    assert stream.getvalue() == f"<{priority}>one\\ntwo\n"


def test_a_cause_is_told_once_a_minute_with_a_count() -> None:
    logger, stream, clock = _logger("journald")
    for number in range(1000):
        clock.now_s = number * 0.05
        logger.warning("cannot read %s", f"{number}.jpg")
    assert stream.getvalue() == "<4>cannot read 0.jpg\n"
    clock.now_s = 60.0
    logger.info("something else")
    assert stream.getvalue().splitlines()[1:] == [
        "<4>cannot read 999.jpg (the last of 999 more like it)",
        "<6>something else",
    ]


def test_different_causes_and_plain_news_are_not_held_back() -> None:
    logger, stream, _ = _logger("journald")
    for number in range(3):
        logger.info("repaired %s", number)
        logger.warning("refused", extra={"cause": f"reason {number}"})
        logger.info("full", extra={"cause": "full"})
    assert stream.getvalue().count("repaired") == 3
    assert stream.getvalue().count("refused") == 3
    assert stream.getvalue().count("full") == 1
    assert "cause" not in stream.getvalue()


def test_a_bare_template_says_nothing_of_the_cause_so_the_text_does() -> None:
    logger, stream, _ = _logger("journald")
    for what in ("disk full", "no rights", "disk full"):
        logger.error("%s", what)
    assert stream.getvalue() == "<3>disk full\n<3>no rights\n"


def test_a_quiet_cause_is_forgotten_and_told_anew() -> None:
    limiter, record = RateLimiter(60.0), logging.makeLogRecord({})
    assert limiter.admits("a", record, 0.0)
    assert limiter.due(59.9) == []
    assert limiter.due(60.0) == []
    assert limiter.admits("a", record, 60.0)
    assert not limiter.admits("a", record, 61.0)
    assert limiter.due(120.0) == [(record, 1)]
    assert not limiter.admits("a", record, 121.0), "the count was told just now"


@pytest.mark.filterwarnings("default")
def test_a_warning_of_python_and_watchdog_come_as_one_short_line_each() -> None:
    stream = io.StringIO()
    set_up_logging("info", "journald", stream=stream)
    for number in range(5):
        warnings.warn(f"overflow {number}\n" + "x" * 10_000, RuntimeWarning, stacklevel=1)
        logging.getLogger("watchdog.observers").warning("lost\nevents")
        logging.getLogger("watchdog.observers").info("chatter")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1] == r"<4>lost\nevents"
    assert "overflow 0" in lines[0]
    assert len(lines[0]) < 4100


def test_setting_up_again_replaces_what_was() -> None:
    first, second = io.StringIO(), io.StringIO()
    set_up_logging("warning", "text", stream=first)
    set_up_logging("debug", "json", stream=second)
    logging.getLogger("hotpixeld").debug("hello")
    assert first.getvalue() == ""
    assert json.loads(second.getvalue())["message"] == "hello"


def test_auto_is_the_journal_only_where_systemd_connected_it(tmp_path: Path) -> None:
    for told, expected in ((True, "<6>x\n"), (False, " INFO    x\n")):
        with (tmp_path / f"{told}").open("w+") as stream:
            status = os.fstat(stream.fileno())
            name = f"{status.st_dev}:{status.st_ino if told else 0}"
            set_up_logging("info", "auto", stream=stream, environ={"JOURNAL_STREAM": name})
            logging.getLogger("hotpixeld").info("x")
            stream.seek(0)
            assert stream.read().endswith(expected)


def test_a_stderr_that_nobody_reads_does_not_stop_the_service() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as stream:
        logger = _alone(LogHandler(stream, "text"))
        logger.error("nobody hears this")
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)
