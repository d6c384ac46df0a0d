"""What the ledger's rows hold: a photo, a sensor, a copy."""

import os
import sqlite3
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from hotpixeld.core.sensor import Sensor

StatisticsState = Literal[
    "waiting", "pending", "folded", "similar", "duplicate", "refused", "lost", "own-copy"
]
CopyState = Literal["none", "written", "unaffected", "failed"]
STATISTICS_STATES: tuple[str, ...] = get_args(StatisticsState)
COPY_STATES: tuple[str, ...] = get_args(CopyState)
SENSOR_FIELDS = tuple(field.name for field in fields(Sensor))


@dataclass(frozen=True)
class PhotoRow:
    """One photo of the ledger: one content under one path.

    Attributes
    ----------
    digest : bytes
        SHA-256 of the image data; of a refused photo, of the whole file.
    identity : str
        Of the file, when it was last looked at.
    epoch, generation : int or None
        Where the photo was folded; None until then.
    spool_digest : bytes or None
        SHA-256 of the spooled file, while there is one.
    """

    id: int
    path: Path
    digest: bytes
    identity: str
    sensor_id: int | None
    statistics: StatisticsState
    reason: str
    copy: CopyState
    copy_reason: str
    map_revision: int
    epoch: int | None
    generation: int | None
    spool_digest: bytes | None
    signature: bytes | None
    observations: bytes | None
    captured_at: str | None
    seen_at: str
    iso: float | None
    exposure_s: float | None


PHOTO_COLUMNS = ", ".join(field.name for field in fields(PhotoRow))


def photo_row(row: sqlite3.Row) -> PhotoRow:
    """Return a row of `PHOTO_COLUMNS`."""
    values = {field.name: row[field.name] for field in fields(PhotoRow)}
    return PhotoRow(**values | {"path": Path(os.fsdecode(row["path"]))})


@dataclass(frozen=True)
class SensorRow:
    """One sensor of the ledger and where its detection stands."""

    id: int
    sensor: Sensor
    key: str
    ranked_at: str | None
    ranked_photos: int
    held_reason: str
    remark: str
    map_revision: int
    sites: bytes | None


def sensor_row(row: sqlite3.Row) -> SensorRow:
    """Return a row of the sensors with all its columns."""
    return SensorRow(
        id=row["id"],
        sensor=Sensor(**{name: row[name] for name in SENSOR_FIELDS}),
        key=row["key"],
        ranked_at=row["ranked_at"],
        ranked_photos=row["ranked_photos"],
        held_reason=row["held_reason"],
        remark=row["remark"],
        map_revision=row["map_revision"],
        sites=row["sites"],
    )


@dataclass(frozen=True)
class CopyRow:
    """The repaired copy of one photo, as it was written."""

    photo_id: int
    path: Path
    file_digest: bytes
    size: int
    mtime_ns: int
    method: str
    note: str
    written_at: str
