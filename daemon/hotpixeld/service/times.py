"""The time of day, as the state and JSON have it."""

from datetime import UTC, datetime


def rfc3339_now() -> str:
    """Return the time of day in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339(since_epoch_s: float) -> str:
    """Return a time in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(since_epoch_s, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
