"""The figures of `status` for Prometheus, as a file for the textfile collector; no port."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from hotpixeld.edge.atomic import write_atomically
from hotpixeld.service.health import health_of
from hotpixeld.service.live import LiveStatus
from hotpixeld.service.state import State

LEAST_INTERVAL_S = 15.0


def exposition(document: dict[str, Any]) -> bytes:
    """Return the figures of a status document in Prometheus' text format.

    Raises
    ------
    ImportError
        The extra ``metrics`` is not installed.
    """
    from prometheus_client import (  # noqa: PLC0415 (an extra)
        CollectorRegistry,
        Gauge,
        generate_latest,
    )

    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float) -> None:
        Gauge(f"hotpixeld_{name}", text, registry=registry).set(value)

    def gauges(name: str, text: str, label: str, values: dict[str, float]) -> None:
        made = Gauge(f"hotpixeld_{name}", text, [label], registry=registry)
        for key, value in values.items():
            made.labels(key).set(value)

    gauge("up", "1 while the daemon runs.", float(document["running"]))
    gauge("queue_photos", "Photos that wait to be taken.", document["queue"])
    gauge("overflows", "Times that file events were lost.", document["overflows"])
    gauge(
        "watcher_restarts", "Times that the watcher was set up anew.", document["watcher_restarts"]
    )
    gauge("problems", "Problems that a person should know of.", len(document["problems"]))
    gauges("photos", "Photos by state of statistics.", "statistics", document["photos"])
    gauges("copies", "Photos by state of their copy.", "copy", document["copies"])
    for name, text in (
        ("photos", "Photos counted of a camera."),
        ("confirmed", "Confirmed defects of a camera."),
        ("candidates", "Candidates of a camera, held ones among them."),
    ):
        cameras = {camera["sensor"]["key"]: camera[name] for camera in document["sensors"]}
        gauges(f"sensor_{name}", text, "sensor", cameras)
    if document["last_photo_at"]:
        at_s = datetime.fromisoformat(document["last_photo_at"]).timestamp()
        gauge("last_photo_timestamp_seconds", "When the last photo came.", at_s)
    if (checkpoint := document["last_checkpoint"]) is not None:
        at_s = datetime.fromisoformat(checkpoint["at"]).timestamp()
        gauge("last_checkpoint_timestamp_seconds", "When sums were last written.", at_s)
        gauge("last_checkpoint_bytes", "Size of what was last written.", checkpoint["bytes"])
        gauge("last_checkpoint_seconds", "Time that it took.", checkpoint["seconds"])
    return generate_latest(registry)


class Metrics:
    """Keeps the file of ``metrics:`` up to date while the daemon runs."""

    def __init__(self, state: State, clock_s: Callable[[], float]) -> None:
        self.state = state
        self.target = state.config.metrics or None
        self.clock_s = clock_s
        self._next_s = clock_s()
        self._written = b""

    def write(self, live: LiveStatus) -> None:
        """Write the figures where they have changed, some seconds apart; tell what hinders it."""
        if self.target is not None and self.clock_s() >= self._next_s:
            self._next_s = self.clock_s() + LEAST_INTERVAL_S
            self._write(live, running=True)

    def write_last(self, live: LiveStatus) -> None:
        """Write that the daemon has stopped."""
        if self.target is not None:
            self._write(live, running=False)

    def _write(self, live: LiveStatus, *, running: bool) -> None:
        assert self.target is not None
        document = health_of(self.state.config.state, self.state.ledger) | {"running": running}
        try:
            text = exposition(document)
            if text != self._written:
                write_atomically(self.target, text, sync=False)
                self._written = text
        except ImportError:
            live.problems.say(
                "metrics-extra",
                "`metrics` is set, and the package that writes them is not installed",
                "pip install 'hotpixeld[metrics]', or set metrics: false",
            )
        except OSError as error:
            live.problems.say(
                "metrics-failing", f"{self.target}: {error}", "free space there, or mend it"
            )
        else:
            live.problems.over("metrics-failing")
