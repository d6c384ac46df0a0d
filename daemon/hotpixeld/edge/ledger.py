"""What is known of each photo and each sensor: the ledger's rows, read and written by name."""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from hotpixeld.core.sensor import Sensor
from hotpixeld.core.verdicts import Word
from hotpixeld.edge.database import transaction
from hotpixeld.edge.rows import (
    COPY_STATES,
    PHOTO_COLUMNS,
    SENSOR_FIELDS,
    STATISTICS_STATES,
    CopyRow,
    PhotoRow,
    SensorRow,
    StatisticsState,
    photo_row,
    sensor_row,
)

# Why a photo does not count whose sensor a person has dropped.
FORGOTTEN = "forgotten: its camera was dropped"


class Ledger:
    """The photos, sensors, copies and people's words of one state, over an open database."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    # --- sensors

    def sensor_of(self, sensor: Sensor) -> SensorRow:
        """Return the row of ``sensor``, made at its first photo."""
        key = sensor.key
        row = self._one("SELECT * FROM sensors WHERE key = ?", key)
        if row is None:
            names = ", ".join(SENSOR_FIELDS)
            marks = ", ".join("?" for _ in SENSOR_FIELDS)
            values = [getattr(sensor, name) for name in SENSOR_FIELDS]
            self.db.execute(
                f"INSERT INTO sensors (key, {names}) VALUES (?, {marks})", (key, *values)
            )
            row = self._one("SELECT * FROM sensors WHERE key = ?", key)
        assert row is not None
        return sensor_row(row)

    def sensors(self) -> list[SensorRow]:
        """Return every sensor, oldest first."""
        return [sensor_row(row) for row in self.db.execute("SELECT * FROM sensors ORDER BY id")]

    def sensor(self, sensor_id: int) -> SensorRow:
        """Return the sensor with this id, which must exist."""
        row = self._one("SELECT * FROM sensors WHERE id = ?", sensor_id)
        assert row is not None
        return sensor_row(row)

    def linked_keys(self, sensor_id: int) -> list[str]:
        """Return the keys of the sensors that are the same body at another geometry."""
        query = (
            "SELECT key FROM kinships JOIN sensors ON sensors.id = other_id "
            "WHERE sensor_id = ? ORDER BY key"
        )
        return [row[0] for row in self.db.execute(query, (sensor_id,))]

    def sensor_by_key(self, key: str) -> SensorRow | None:
        """Return the sensor with this key, if there is one."""
        row = self._one("SELECT * FROM sensors WHERE key = ?", key)
        return sensor_row(row) if row else None

    def update_sensor(self, sensor_id: int, **values: object) -> None:
        """Set some columns of a sensor."""
        self._update("sensors", sensor_id, values)

    # --- photos

    def photo(self, photo_id: int) -> PhotoRow:
        """Return the photo with this id, which must exist."""
        row = self._one(f"SELECT {PHOTO_COLUMNS} FROM photos WHERE id = ?", photo_id)
        assert row is not None
        return photo_row(row)

    def is_known(self, path: Path, identity: str) -> bool:
        """Tell whether the file at ``path`` was dealt with and has not changed since."""
        found = self._one(
            "SELECT 1 FROM photos WHERE path = ? AND identity = ?", os.fsencode(path), identity
        )
        return found is not None

    def has_photos_below(self, folder: Path) -> bool:
        """Tell whether a photo in this folder or below it was ever seen."""
        start = os.fsencode(folder).rstrip(b"/") + b"/"
        found = self._one(
            "SELECT 1 FROM photos WHERE path > ? AND path < ? LIMIT 1", start, start[:-1] + b"0"
        )
        return found is not None

    def at(self, path: Path, digest: bytes) -> PhotoRow | None:
        """Return the row of this content under this path."""
        row = self._one(
            f"SELECT {PHOTO_COLUMNS} FROM photos WHERE path = ? AND digest = ?",
            os.fsencode(path),
            digest,
        )
        return photo_row(row) if row else None

    def counted(self, digest: bytes) -> PhotoRow | None:
        """Return the one row under which this image data counts, if it is known."""
        row = self._one(
            f"SELECT {PHOTO_COLUMNS} FROM photos WHERE digest = ? AND statistics IN "
            "('waiting', 'pending', 'folded', 'similar', 'lost')",
            digest,
        )
        return photo_row(row) if row else None

    def is_forgotten(self, digest: bytes) -> bool:
        """Tell whether this image data came from a sensor that a person has dropped."""
        found = self._one(
            "SELECT 1 FROM photos WHERE digest = ? AND statistics = 'refused' AND reason = ?",
            digest,
            FORGOTTEN,
        )
        return found is not None

    def forget_sensor(self, sensor_id: int) -> None:
        """Drop a sensor; its photos stay known, so that none of them counts again unasked."""
        with transaction(self.db):
            self.db.execute(
                "UPDATE photos SET statistics = 'refused', reason = ? WHERE sensor_id = ? "
                "AND statistics IN ('waiting', 'pending', 'folded', 'similar', 'lost')",
                (FORGOTTEN, sensor_id),
            )
            self.db.execute(
                "UPDATE photos SET sensor_id = NULL, epoch = NULL, generation = NULL, "
                "spool_digest = NULL, signature = NULL, observations = NULL WHERE sensor_id = ?",
                (sensor_id,),
            )
            self.db.execute("DELETE FROM sensors WHERE id = ?", (sensor_id,))

    def add_photo(
        self,
        path: Path,
        digest: bytes,
        *,
        identity: str,
        seen_at: str,
        statistics: StatisticsState,
        **values: object,
    ) -> int:
        """Record a photo, or record anew what is at a path; return its id.

        A refused row of the same path is superseded. Any other row of the path loses its
        identity: what it told about is no longer there.
        """
        raw = os.fsencode(path)
        with transaction(self.db):
            self.db.execute("DELETE FROM photos WHERE path = ? AND statistics = 'refused'", (raw,))
            self.db.execute(
                "UPDATE photos SET identity = '' WHERE path = ? AND identity != ''", (raw,)
            )
            row = {
                "path": raw,
                "digest": digest,
                "identity": identity,
                "seen_at": seen_at,
                "statistics": statistics,
                "copy": "none",
            } | values
            marks = ", ".join("?" for _ in row)
            photo_id = self.db.execute(
                f"INSERT INTO photos ({', '.join(row)}) VALUES ({marks}) "
                "ON CONFLICT (path, digest) DO UPDATE SET identity = excluded.identity "
                "RETURNING id",
                tuple(map(_storable, row.values())),
            ).fetchone()[0]
        return int(photo_id)

    def move_photo(self, photo_id: int, path: Path, identity: str) -> None:
        """Record that a photo has another name now."""
        raw = os.fsencode(path)
        with transaction(self.db):
            self.db.execute("DELETE FROM photos WHERE path = ? AND statistics = 'refused'", (raw,))
            self.db.execute("UPDATE photos SET identity = '' WHERE path = ?", (raw,))
            self.update_photo(photo_id, path=raw, identity=identity)

    def update_photo(self, photo_id: int, **values: object) -> None:
        """Set some columns of a photo."""
        self._update("photos", photo_id, values)

    def photos(
        self, *, sensor_id: int | None = None, states: tuple[str, ...] = ()
    ) -> Iterator[PhotoRow]:
        """Yield photos in order of arrival; ``states`` may be of statistics or of copies."""
        where: list[str] = ["1"]
        values: list[object] = []
        if sensor_id is not None:
            where.append("sensor_id = ?")
            values.append(sensor_id)
        if states:
            marks = ", ".join("?" for _ in states)
            where.append(f"(statistics IN ({marks}) OR copy IN ({marks}))")
            values.extend([*states, *states])
        query = f"SELECT {PHOTO_COLUMNS} FROM photos WHERE {' AND '.join(where)} ORDER BY id"
        for row in self.db.execute(query, values).fetchall():
            yield photo_row(row)

    def count(self, sensor_id: int, *states: StatisticsState) -> int:
        """Count the photos of a sensor in these states."""
        marks = ", ".join("?" for _ in states)
        row = self._one(
            f"SELECT count(*) FROM photos WHERE sensor_id = ? AND statistics IN ({marks})",
            sensor_id,
            *states,
        )
        assert row is not None
        return int(row[0])

    def tally(self) -> tuple[dict[str, int], dict[str, int]]:
        """Count all photos by statistics state and by copy state."""
        tallies = []
        for column, states in (("statistics", STATISTICS_STATES), ("copy", COPY_STATES)):
            tally = dict.fromkeys(states, 0)
            for row in self.db.execute(f"SELECT {column}, count(*) FROM photos GROUP BY 1"):
                tally[row[0]] = row[1]
            tallies.append(tally)
        return tallies[0], tallies[1]

    # --- copies

    def copy_of(self, photo_id: int) -> CopyRow | None:
        """Return the copy written for a photo."""
        row = self._one("SELECT * FROM copies WHERE photo_id = ?", photo_id)
        if row is None:
            return None
        values = {field.name: row[field.name] for field in fields(CopyRow)}
        return CopyRow(**values | {"path": Path(os.fsdecode(row["path"]))})

    def record_copy(self, copy: CopyRow, photo_id: int) -> None:
        """Record the copy of a photo in place of an earlier one."""
        values = {field.name: getattr(copy, field.name) for field in fields(CopyRow)}
        values["photo_id"] = photo_id
        values["path"] = os.fsencode(copy.path)
        marks = ", ".join("?" for _ in values)
        self.db.execute(
            f"INSERT OR REPLACE INTO copies ({', '.join(values)}) VALUES ({marks})",
            tuple(values.values()),
        )

    def remember_own(self, file_digest: bytes, image_digest: bytes, photo_digest: bytes) -> None:
        """Remember what is about to be written, so that it is known for ever as our own."""
        self.db.execute(
            "INSERT OR REPLACE INTO own_files (file_digest, image_digest, photo_digest) "
            "VALUES (?, ?, ?)",
            (file_digest, image_digest, photo_digest),
        )

    def is_own_image(self, image_digest: bytes) -> bool:
        """Tell whether this image data is that of a repaired copy we wrote."""
        return (
            self._one(
                "SELECT 1 FROM own_files WHERE image_digest = ? AND photo_digest != ?",
                image_digest,
                image_digest,
            )
            is not None
        )

    def own_file(self, file_digest: bytes) -> bytes | None:
        """Return the digest of the photo whose copy has these bytes, if we wrote it."""
        row = self._one("SELECT photo_digest FROM own_files WHERE file_digest = ?", file_digest)
        return bytes(row[0]) if row else None

    # --- words, requests, events

    def words(self, sensor_id: int) -> dict[tuple[int, int], Word]:
        """Return what people said of a sensor's pixels, by row and column."""
        query = 'SELECT "row", "column", word FROM words WHERE sensor_id = ?'
        return {(row[0], row[1]): row[2] for row in self.db.execute(query, (sensor_id,))}

    def say(self, sensor_id: int, row: int, column: int, word: Word | None, at: str) -> None:
        """Record a person's word on a pixel; None takes it back."""
        place = (sensor_id, row, column)
        with transaction(self.db):
            self.db.execute(
                'DELETE FROM words WHERE sensor_id = ? AND "row" = ? AND "column" = ?', place
            )
            if word is not None:
                self.db.execute(
                    'INSERT INTO words (sensor_id, "row", "column", word, said_at) '
                    "VALUES (?, ?, ?, ?, ?)",
                    (*place, word, at),
                )

    def ask(self, what: str, argument: bytes | None, at: str) -> None:
        """Leave a request for the daemon, which takes it up within seconds."""
        self.db.execute(
            "INSERT INTO requests (what, argument, asked_at) VALUES (?, ?, ?)",
            (what, argument, at),
        )

    def requests(self) -> list[tuple[int, str, bytes | None]]:
        """Return id, kind and argument of the requests that wait, oldest first."""
        rows = self.db.execute("SELECT id, what, argument FROM requests ORDER BY id").fetchall()
        return [(row[0], row[1], row[2]) for row in rows]

    def close_request(self, request_id: int) -> None:
        """Remove a request that was done."""
        self.db.execute("DELETE FROM requests WHERE id = ?", (request_id,))

    def note_event(self, at: str, code: str, what: str) -> None:
        """Keep an event for the report."""
        self.db.execute(
            "INSERT INTO events (at, code, what) VALUES (?, ?, ?)", (at, code, _storable(what))
        )

    # --- the last crash

    def blame(self, path: Path, identity: str) -> int:
        """Count a death of the process while it read this file; return how many there were."""
        row = self.db.execute(
            "INSERT INTO suspects (path, identity, deaths) VALUES (?, ?, 1) "
            "ON CONFLICT (path, identity) DO UPDATE SET deaths = deaths + 1 RETURNING deaths",
            (os.fsencode(path), identity),
        ).fetchone()
        return int(row[0])

    def deaths(self, path: Path, identity: str) -> int:
        """Return how often the process died while it read this file."""
        row = self._one(
            "SELECT deaths FROM suspects WHERE path = ? AND identity = ?",
            os.fsencode(path),
            identity,
        )
        return int(row[0]) if row else 0

    def absolve(self, path: Path, identity: str) -> None:
        """Forget the deaths of the process while it read this file."""
        self.db.execute(
            "DELETE FROM suspects WHERE path = ? AND identity = ?", (os.fsencode(path), identity)
        )

    def _one(self, query: str, *values: object) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self.db.execute(query, values).fetchone()
        return row

    def _update(self, table: str, row_id: int, values: dict[str, object]) -> None:
        assignments = ", ".join(f"{name} = ?" for name in values)
        self.db.execute(
            f"UPDATE {table} SET {assignments} WHERE id = ?",
            (*map(_storable, values.values()), row_id),
        )


def _storable(value: object) -> object:
    """Return a value that SQLite takes: a reason may name a file whose name is no UTF-8."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode()
    return value
