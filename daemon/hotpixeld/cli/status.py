"""`status`: what the daemon is doing, or was when it last ran."""

import argparse
import contextlib
import json
import os
from pathlib import Path
from typing import Any

from hotpixeld import __version__
from hotpixeld.cli.records import sensor_document
from hotpixeld.cli.terminal import print_json, print_table, say
from hotpixeld.config import find_config, state_folder
from hotpixeld.edge.database import open_database
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.lock import holder_pid
from hotpixeld.errors import StateError

NOT_RUNNING = 3


def execute(options: argparse.Namespace) -> int:
    """Print the status; return 3 where the daemon is not running."""
    config_path = find_config(options.config, os.environ)
    folder = state_folder(config_path)
    document = gather(folder)
    if options.json:
        print_json(document)
    else:
        _print(document, config_path)
    return 0 if document["running"] else NOT_RUNNING


def gather(folder: Path) -> dict[str, Any]:
    """Return the status of the state in ``folder``, as `status --json` shows it."""
    live = _last_words(folder)
    pid = holder_pid(folder / "lock")
    document: dict[str, Any] = {
        "running": pid is not None,
        "pid": pid,
        "since": live.get("since"),
        "version": live.get("version", __version__),
        "folders": live.get("folders", []),
        "queue": live.get("queue", 0) if pid is not None else 0,
        **_counts(folder),
        "overflows": live.get("overflows", 0),
        "watcher_restarts": live.get("watcher_restarts", 0),
    }
    document["problems"] = document.pop("state_problems") + live.get("problems", [])
    return document


def _last_words(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        words: dict[str, Any] = json.loads((folder / "status.json").read_bytes())
        return words
    return {}


def _counts(folder: Path) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "photos": {},
        "copies": {},
        "sensors": [],
        "last_photo_at": None,
        "last_checkpoint": None,
        "state_problems": [],
    }
    try:
        db = open_database(folder)
    except StateError as error:
        problem = {
            "code": "state-unusable",
            "since": None,
            "what": str(error),
            "advice": "start the daemon once, or run hotpixeld rebuild if the state is damaged",
        }
        return nothing | {"state_problems": [problem]}
    with contextlib.closing(db):
        ledger = Ledger(db)
        statistics, copies = ledger.tally()
        return nothing | {
            "photos": {name.replace("-", "_"): count for name, count in statistics.items()},
            "copies": {name: copies[name] for name in ("written", "unaffected", "failed")},
            "sensors": _sensors(ledger),
            "last_photo_at": db.execute("SELECT max(seen_at) FROM photos").fetchone()[0],
            "last_checkpoint": _last_checkpoint(ledger),
        }


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
                "held_reason": row.held_reason or None,
                "ranked_at": row.ranked_at,
            }
        )
    return documents


def _last_checkpoint(ledger: Ledger) -> dict[str, Any] | None:
    row = ledger.db.execute(
        "SELECT committed_at AS at, photos, bytes, seconds FROM generations "
        "ORDER BY committed_at DESC LIMIT 1"
    ).fetchone()
    return dict(row) if row else None


def _print(document: dict[str, Any], config_path: Path) -> None:
    for problem in document["problems"]:
        say(f"PROBLEM ({problem['code']}) {problem['what']}")
        say(f"  what to do: {problem['advice']}")
    if document["running"]:
        say(f"running since {document['since']}, pid {document['pid']} ({config_path})")
    else:
        say(f"not running ({config_path})")
    for folder in document["folders"]:
        say(f"{folder['state']}: {folder['path']} ({folder['mode']})")
    photos = document["photos"]
    counted = ", ".join(f"{count} {name}" for name, count in photos.items() if count)
    say(f"photos: {counted or 'none yet'}; {document['queue']} in the queue")
    copies = ", ".join(f"{count} {name}" for name, count in document["copies"].items() if count)
    say(f"copies: {copies or 'none yet'}")
    if document["sensors"]:
        print_table(
            ("camera", "photos", "confirmed", "candidates", "held back"),
            [
                (
                    s["sensor"]["key"],
                    s["photos"],
                    s["confirmed"],
                    s["candidates"],
                    s["held_reason"] or "",
                )
                for s in document["sensors"]
            ],
        )
