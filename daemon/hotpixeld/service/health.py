"""How the service is: what `status` and the report say of it, whether it is alive or not."""

import contextlib
import json
from pathlib import Path
from typing import Any

from hotpixeld import __version__
from hotpixeld.core.reasons import ACCEPTABLE
from hotpixeld.edge.database import open_database
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.lock import holder_pid
from hotpixeld.edge.rows import STATISTICS_STATES, SensorRow
from hotpixeld.errors import NoStateError, StateError

_COPIES = ("written", "unaffected", "failed")
_NOTHING: dict[str, Any] = {
    "photos": {name.replace("-", "_"): 0 for name in STATISTICS_STATES},
    "copies": dict.fromkeys(_COPIES, 0),
    "sensors": [],
    "last_photo_at": None,
    "last_checkpoint": None,
}


def gather(folder: Path) -> dict[str, Any]:
    """Return the status of the state in ``folder``, as `status --json` shows it."""
    try:
        db = open_database(folder)
    except NoStateError:  # nothing is wrong: the daemon has only never run
        return _document(folder, _NOTHING, [])
    except StateError as error:
        problem = {
            "code": "state-unusable",
            "since": None,
            "what": str(error),
            "advice": "hotpixeld rebuild makes it anew from the photos, and keeps what people said",
        }
        return _document(folder, _NOTHING, [problem])
    with contextlib.closing(db):
        return health_of(folder, Ledger(db))


def health_of(folder: Path, ledger: Ledger) -> dict[str, Any]:
    """Return the same over a ledger that is open: a process opens a database once.

    Opening it again, and closing that, would let go of the locks of the first one (fcntl(2)).
    """
    statistics, copies = ledger.tally()
    counts = {
        "photos": {name.replace("-", "_"): count for name, count in statistics.items()},
        "copies": {name: copies[name] for name in _COPIES},
        "sensors": _sensors(ledger),
        "last_photo_at": ledger.db.execute("SELECT max(seen_at) FROM photos").fetchone()[0],
        "last_checkpoint": _last_checkpoint(ledger),
    }
    return _document(folder, counts, [])


def _document(
    folder: Path, counts: dict[str, Any], problems: list[dict[str, Any]]
) -> dict[str, Any]:
    live = _last_words(folder)
    pid = holder_pid(folder / "lock")
    return {
        "running": pid is not None,
        "pid": pid,
        "since": live.get("since"),
        "version": live.get("version", __version__),
        "folders": live.get("folders", []),
        "queue": live.get("queue", 0) if pid is not None else 0,
        **counts,
        "overflows": live.get("overflows", 0),
        "watcher_restarts": live.get("watcher_restarts", 0),
        "problems": problems + live.get("problems", []),
    }


def _last_words(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        words: dict[str, Any] = json.loads((folder / "status.json").read_bytes())
        return words
    return {}


def _sensors(ledger: Ledger) -> list[dict[str, Any]]:
    documents = []
    for row in ledger.sensors():
        tally = dict(
            ledger.db.execute(
                "SELECT state, count(*) FROM pixels WHERE sensor_id = ? GROUP BY 1", (row.id,)
            ).fetchall()
        )
        documents.append(
            {
                "sensor": sensor_document(row),
                "photos": ledger.count(row.id, "folded", "pending", "waiting"),
                "confirmed": tally.get("confirmed", 0),
                "candidates": tally.get("candidate", 0) + tally.get("held", 0),
                "waiting_for_yes": _waiting_for_yes(ledger, row.id),
                "held_reason": row.held_reason or None,
                "ranked_at": row.ranked_at,
            }
        )
    return documents


def _waiting_for_yes(ledger: Ledger, sensor_id: int) -> int:
    """Count what the brake or the manual mode holds back until a person accepts it."""
    held = ledger.db.execute(
        "SELECT reason, count(*) FROM pixels WHERE sensor_id = ? AND state = 'held' GROUP BY 1",
        (sensor_id,),
    )
    return sum(count for reason, count in held if reason in ACCEPTABLE)


def _last_checkpoint(ledger: Ledger) -> dict[str, Any] | None:
    row = ledger.db.execute(
        "SELECT committed_at AS at, photos, bytes, seconds FROM generations "
        "ORDER BY committed_at DESC LIMIT 1"
    ).fetchone()
    return dict(row) if row else None


def sensor_document(row: SensorRow) -> dict[str, Any]:
    """Return a sensor as `--json` shows it."""
    sensor = row.sensor
    return {
        "key": row.key,
        "make": sensor.make,
        "model": sensor.model,
        "serial": sensor.serial,
        "width": sensor.width,
        "height": sensor.height,
        "channels": sensor.channels,
        "depth_bits": sensor.depth_bits,
        "kind": sensor.kind,
    }
