"""Candidates and defects as the database keeps them."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from hotpixeld.core.defects import Candidate, FootprintPixel, PixelState
from hotpixeld.edge.database import transaction


@dataclass(frozen=True)
class PixelRow:
    """One pixel of a sensor: its evidence, what it has become, since when it shows.

    Attributes
    ----------
    row, column : int
        The spot's place, which stays even where a later ranking puts the peak beside it.
    state, reason : str
        As decided, people's words included; ``candidate`` has what the statistics alone say.
    since_after, since_by : str or None
        It began after the one photo and by the other (times of capture); None: not known.
    last_seen : str or None
        Time of capture of the last photo in which it shows.
    """

    row: int
    column: int
    state: PixelState
    reason: str
    candidate: Candidate
    since_after: str | None = None
    since_by: str | None = None
    last_seen: str | None = None


def read_pixels(db: sqlite3.Connection, sensor_id: int) -> list[PixelRow]:
    """Return the pixels of a sensor, best first."""
    rows = db.execute(
        'SELECT "row", "column", state, reason, evidence, since_after, since_by, last_seen '
        'FROM pixels WHERE sensor_id = ? ORDER BY score DESC, "row", "column"',
        (sensor_id,),
    )
    return [
        PixelRow(
            row["row"],
            row["column"],
            row["state"],
            row["reason"],
            _candidate(json.loads(row["evidence"])),
            row["since_after"],
            row["since_by"],
            row["last_seen"],
        )
        for row in rows
    ]


def replace_pixels(db: sqlite3.Connection, sensor_id: int, pixels: Iterable[PixelRow]) -> None:
    """Make these the pixels of a sensor, in place of all that it had."""
    with transaction(db):
        db.execute("DELETE FROM pixels WHERE sensor_id = ?", (sensor_id,))
        db.executemany(
            'INSERT INTO pixels (sensor_id, "row", "column", state, reason, score, evidence, '
            "since_after, since_by, last_seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    sensor_id,
                    pixel.row,
                    pixel.column,
                    pixel.state,
                    pixel.reason,
                    pixel.candidate.score,
                    json.dumps(asdict(pixel.candidate)),
                    pixel.since_after,
                    pixel.since_by,
                    pixel.last_seen,
                )
                for pixel in pixels
            ],
        )


def _candidate(stored: dict[str, Any]) -> Candidate:
    footprint = tuple(
        FootprintPixel(p["row"], p["column"], tuple(p["excess_dn"]), tuple(p["spoiled"]))
        for p in stored["footprint"]
    )
    lists = {name: tuple(value) for name, value in stored.items() if isinstance(value, list)}
    return replace(Candidate(**stored | lists), footprint=footprint)


def pixel_document(pixel: PixelRow) -> dict[str, Any]:
    """Return a pixel as `--json` and exports show it: x is the column, y the row."""
    candidate = pixel.candidate
    names = {1: ("Y",), 3: ("R", "G", "B"), 4: ("C", "M", "Y", "K")}[len(candidate.mean_dn)]
    return {
        "x": pixel.column,
        "y": pixel.row,
        "channels": [names[channel] for channel in candidate.channels],
        "kind": candidate.kind,
        "state": pixel.state,
        "reason": pixel.reason,
        "score": round(candidate.score, 2),
        "mean_dn": [round(value, 3) for value in candidate.mean_dn],
        "variance_dn2": [round(value, 3) for value in candidate.variance_dn2],
        "excess_dn": [round(value, 3) for value in candidate.excess_dn],
        "photos": candidate.photos,
        "shows_in": round(candidate.shows_in, 3),
        "footprint": [[p.column, p.row] for p in candidate.footprint],
        "since": {"after": pixel.since_after, "by": pixel.since_by},
        "last_seen": pixel.last_seen,
    }
