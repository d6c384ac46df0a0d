"""`sensors list|forget` and `photos list|retry`."""

import argparse
import contextlib
import os
from pathlib import Path

from hotpixeld.cli.records import chosen_sensors, records
from hotpixeld.cli.terminal import print_json, print_table, say
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.rows import PhotoRow
from hotpixeld.errors import UsageError
from hotpixeld.service.health import sensor_document
from hotpixeld.service.times import rfc3339_now


def execute(options: argparse.Namespace) -> int:
    """Run the chosen command."""
    with records(options) as ledger:
        match options.command, options.action:
            case "sensors", "list":
                _list_sensors(ledger, as_json=options.json)
            case "sensors", "forget":
                _forget(ledger, options.key)
            case "photos", "list":
                _list_photos(ledger, options.state, as_json=options.json)
            case _:
                _retry(ledger, options)
    return 0


def _list_sensors(ledger: Ledger, *, as_json: bool) -> None:
    documents = []
    for row in ledger.sensors():
        states = {name: ledger.count(row.id, name) for name in ("folded", "pending", "waiting")}
        size = ledger.db.execute(
            "SELECT coalesce(sum(bytes), 0) FROM generations WHERE sensor_id = ?", (row.id,)
        ).fetchone()[0]
        confirmed = ledger.db.execute(
            "SELECT count(*) FROM pixels WHERE sensor_id = ? AND state = 'confirmed'", (row.id,)
        ).fetchone()[0]
        documents.append(
            {
                "sensor": sensor_document(row),
                "photos": sum(states.values()),
                **states,
                "confirmed": confirmed,
                "ranked_at": row.ranked_at,
                "held_reason": row.held_reason or None,
                "remark": row.remark or None,
                "linked": ledger.linked_keys(row.id),
                "bytes": size,
            }
        )
    if as_json:
        print_json({"sensors": documents})
        return
    print_table(
        ("camera", "make", "model", "size", "photos", "confirmed", "on disk"),
        [
            (
                d["sensor"]["key"],
                d["sensor"]["make"],
                d["sensor"]["model"],
                f"{d['sensor']['width']}x{d['sensor']['height']}",
                d["photos"],
                d["confirmed"],
                f"{d['bytes'] / 2**20:.0f} MiB",
            )
            for d in documents
        ],
    )


def _forget(ledger: Ledger, key: str) -> None:
    (row,) = chosen_sensors(ledger, key)
    ledger.ask("forget-sensor", row.key.encode(), rfc3339_now())
    say(f"{row.key}: will be dropped by the daemon within seconds, or when it next starts")


def _list_photos(ledger: Ledger, state: str | None, *, as_json: bool) -> None:
    rows = ledger.photos(states=(state,) if state else ())
    keys = {row.id: row.key for row in ledger.sensors()}
    if as_json:
        print_json({"photos": [_photo_document(ledger, row, keys) for row in rows]})
        return
    print_table(
        ("photo", "statistics", "copy", "why"),
        [
            (
                row.path,
                row.statistics,
                row.copy,
                "; ".join(filter(None, (row.reason, row.copy_reason))),
            )
            for row in rows
        ],
    )


def _photo_document(ledger: Ledger, row: PhotoRow, keys: dict[int, str]) -> dict[str, object]:
    copy = ledger.copy_of(row.id)
    return {
        "path": os.fsencode(row.path).decode("utf-8", "backslashreplace"),
        "statistics": row.statistics,
        "reason": row.reason or None,
        "copy": row.copy,
        "copy_reason": row.copy_reason or None,
        "copy_path": os.fsencode(copy.path).decode("utf-8", "backslashreplace") if copy else None,
        "copy_method": copy.method if copy else None,
        "sensor": keys.get(row.sensor_id) if row.sensor_id else None,
        "captured_at": row.captured_at,
        "seen_at": row.seen_at,
        "digest": row.digest.hex(),
    }


def _in_the_ledger(ledger: Ledger, path: Path) -> Path:
    """Return a photo's path as the ledger has it, however a person names the file.

    Raises
    ------
    UsageError
        There is no such file, and the ledger knows of none.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 (resolve() would follow symlinks)
    known = "SELECT path FROM photos WHERE path = ?"
    if ledger.db.execute(known, (os.fsencode(absolute),)).fetchone():
        return absolute
    alike = "SELECT path FROM photos WHERE instr(path, ?)"
    for row in ledger.db.execute(alike, (os.fsencode(absolute.name),)):
        other = Path(os.fsdecode(row[0]))
        with contextlib.suppress(OSError):
            if other.name == absolute.name and other.samefile(absolute):
                return other
    if not os.path.lexists(absolute):
        raise UsageError(f"{path}: there is no such photo")
    return absolute


def _retry(ledger: Ledger, options: argparse.Namespace) -> None:
    asked: list[bytes | None] = [
        os.fsencode(_in_the_ledger(ledger, path)) for path in options.paths
    ]
    for argument in asked or [None]:
        ledger.ask("retry", argument, rfc3339_now())
    say("asked: the daemon takes them again within seconds, or when it next starts")
