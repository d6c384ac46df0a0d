"""The SQLite file of the state: its schema, its opening, and the checksum that every row carries.

The law of this room: a database that is damaged or of a newer version is refused with
`StateError` and left untouched. Each row's checksum is kept by triggers, so no statement can
forget it, and is compared once when the daemon opens the state.
"""

import contextlib
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from hotpixeld.edge.lock import holder_pid
from hotpixeld.edge.wal import read_log
from hotpixeld.errors import NewerStateError, NoStateError, StateError

SCHEMA_VERSION = 1
FILE_NAME = "hotpixeld.sqlite"
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_LOOK_AGAIN_S = 0.1
# What is wrong with the machine, and passes; anything else is wrong with the file.
_PASSING = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}

_SCHEMA = """
CREATE TABLE sensors (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    make TEXT NOT NULL, model TEXT NOT NULL, serial TEXT NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, channels INTEGER NOT NULL,
    depth_bits INTEGER NOT NULL, kind TEXT NOT NULL,
    ranked_at TEXT,
    ranked_photos INTEGER NOT NULL DEFAULT 0,  -- folded ever, at the last ranking
    held_reason TEXT NOT NULL DEFAULT '',
    map_revision INTEGER NOT NULL DEFAULT 0,   -- counts changes of the defect map
    remark TEXT NOT NULL DEFAULT '',           -- what a person should know of it
    sites BLOB                                 -- observed pixels: (n, 2) int32, row and column
) STRICT;
CREATE TABLE photos (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL,                        -- os.fsencode
    digest BLOB NOT NULL,                      -- image data; of a refused photo: the whole file
    identity TEXT NOT NULL,                    -- of the file when it was last looked at
    sensor_id INTEGER REFERENCES sensors (id) ON DELETE CASCADE,
    statistics TEXT NOT NULL CHECK (statistics IN ('waiting', 'pending', 'folded', 'similar',
        'duplicate', 'refused', 'lost', 'own-copy')),
    reason TEXT NOT NULL DEFAULT '',
    copy TEXT NOT NULL CHECK (copy IN ('none', 'written', 'unaffected', 'failed')),
    copy_reason TEXT NOT NULL DEFAULT '',
    map_revision INTEGER NOT NULL DEFAULT 0,   -- of the map that the copy was judged with
    epoch INTEGER, generation INTEGER,         -- where it was folded
    spool_digest BLOB,                         -- of the spooled bytes, while they are spooled
    signature BLOB,
    observations BLOB,                         -- what it shows at its sensor's sites
    captured_at TEXT, seen_at TEXT NOT NULL,
    iso REAL, exposure_s REAL,
    UNIQUE (path, digest)
) STRICT;
CREATE UNIQUE INDEX a_photo_counts_once ON photos (digest)
    WHERE statistics IN ('waiting', 'pending', 'folded', 'similar', 'lost');
CREATE INDEX photos_by_state ON photos (sensor_id, statistics);
CREATE TABLE copies (
    photo_id INTEGER PRIMARY KEY REFERENCES photos (id) ON DELETE CASCADE,
    path BLOB NOT NULL,
    file_digest BLOB NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    method TEXT NOT NULL, note TEXT NOT NULL,
    written_at TEXT NOT NULL
) STRICT;
CREATE TABLE own_files (                       -- every copy ever written, before it got its name
    file_digest BLOB PRIMARY KEY,
    image_digest BLOB NOT NULL,
    photo_digest BLOB NOT NULL
) STRICT;
CREATE INDEX own_images ON own_files (image_digest);
CREATE TABLE generations (
    sensor_id INTEGER NOT NULL REFERENCES sensors (id) ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    photos INTEGER NOT NULL,
    file TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    seconds REAL NOT NULL,
    committed_at TEXT NOT NULL,
    PRIMARY KEY (sensor_id, epoch, generation)
) STRICT;
CREATE TABLE pixels (
    sensor_id INTEGER NOT NULL REFERENCES sensors (id) ON DELETE CASCADE,
    "row" INTEGER NOT NULL, "column" INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL,
    score REAL NOT NULL,
    evidence TEXT NOT NULL,                    -- JSON of the candidate
    since_after TEXT, since_by TEXT, last_seen TEXT,
    PRIMARY KEY (sensor_id, "row", "column")
) STRICT;
CREATE TABLE words (                           -- what people said; outranks the statistics
    sensor_id INTEGER NOT NULL REFERENCES sensors (id) ON DELETE CASCADE,
    "row" INTEGER NOT NULL, "column" INTEGER NOT NULL,
    word TEXT NOT NULL CHECK (word IN ('confirm', 'reject', 'add')),
    said_at TEXT NOT NULL,
    PRIMARY KEY (sensor_id, "row", "column")
) STRICT;
CREATE TABLE kinships (                        -- two geometries of one body
    sensor_id INTEGER NOT NULL REFERENCES sensors (id) ON DELETE CASCADE,
    other_id INTEGER NOT NULL REFERENCES sensors (id) ON DELETE CASCADE,
    link TEXT NOT NULL,                        -- JSON: how the other frame lies on this one
    PRIMARY KEY (sensor_id, other_id)
) STRICT;
CREATE TABLE requests (                        -- what commands ask of the daemon
    id INTEGER PRIMARY KEY,
    what TEXT NOT NULL,
    argument BLOB,
    asked_at TEXT NOT NULL
) STRICT;
CREATE TABLE suspects (                        -- photos during whose decoding the process died
    path BLOB NOT NULL, identity TEXT NOT NULL,
    deaths INTEGER NOT NULL,
    PRIMARY KEY (path, identity)
) STRICT;
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL, code TEXT NOT NULL, what TEXT NOT NULL
) STRICT;
"""


def open_database(folder: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open the database of the state in ``folder``.

    Parameters
    ----------
    folder
        The state folder.
    create
        Make a new database where there is none; otherwise its absence is an error.

    Returns
    -------
    sqlite3.Connection
        In WAL mode with ``synchronous=FULL``, in autocommit; use `transaction`.

    Raises
    ------
    StateError
        It is missing, damaged, or of a newer version. Nothing was changed.
    """
    path = folder / FILE_NAME
    if not _looked_through(path) and not create:
        raise _missing(path)
    with _told(path), contextlib.ExitStack() as closing:
        db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        closing.callback(db.close)
        db.row_factory = sqlite3.Row
        db.create_function("row_checksum", -1, _row_checksum, deterministic=True)
        version = _version(db, path)
        if version == 0 and not create:
            raise _missing(path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        if version == 0:
            _make_schema(db)
        closing.pop_all()
    return db


def _looked_through(path: Path) -> bool:
    """Tell whether there is a database; raise `StateError` where SQLite must not touch it.

    The files are read as they are, because SQLite writes to a database that it only reads: when
    it is closed, the log goes into it.
    """
    try:
        with path.open("rb") as file:
            first_page = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return False
    for _ in range(3):  # beside a living process the log may be caught in the middle of a change
        found = read_log(path)
        if not found.damaged or holder_pid(path.with_name("lock")) not in (None, os.getpid()):
            break
        time.sleep(_LOOK_AGAIN_S)
    else:
        raise StateError(_damage(path, "its write-ahead log"))
    first_page = found.first_page or first_page
    if first_page.startswith(_MAGIC) and len(first_page) >= _HEADER_BYTES:
        _refuse_newer(path, int.from_bytes(first_page[60:64], "big"))
    return True


def _missing(path: Path) -> NoStateError:
    return NoStateError(f"{path}: there is no state yet; `hotpixeld run` or `scan` makes it")


def _refuse_newer(path: Path, version: int) -> None:
    if version > SCHEMA_VERSION:
        raise NewerStateError(
            f"{path}: written by a newer hotpixeld (state version {version}, this one reads up to "
            f"{SCHEMA_VERSION}); install the newer program. Nothing was changed."
        )


def _version(db: sqlite3.Connection, path: Path) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    _refuse_newer(path, version)
    if version == 0 and db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise StateError(f"{path}: this database is not hotpixeld's. Nothing was changed.")
    return version


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell damage, which the operator must see, from a full disk or a lock, which pass."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING:
            raise OSError(f"{path}: {error}") from error
        raise StateError(_damage(path, str(error))) from error
    except UnicodeDecodeError as error:
        raise StateError(_damage(path, str(error))) from error


def _damage(path: Path, what: str) -> str:
    return (
        f"{path}: damaged ({what}). Nothing was changed; `hotpixeld rebuild` makes the state anew "
        "from the photos"
    )


def _row_checksum(*values: object) -> int:
    return zlib.crc32(repr(values).encode("utf-8", "surrogateescape"))


def _tables(db: sqlite3.Connection) -> list[str]:
    rows = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    return [row[0] for row in rows]


def checksum_of(db: sqlite3.Connection, table: str, prefix: str = "") -> str:
    """Return the expression that a row's checksum must equal."""
    columns = [row["name"] for row in db.execute(f"PRAGMA table_info({table})")]
    listed = ", ".join(f'{prefix}"{name}"' for name in columns if name != "checksum")
    return f"row_checksum({listed})"


def _make_schema(db: sqlite3.Connection) -> None:
    with transaction(db):
        for statement in _SCHEMA.split(";\n"):
            db.execute(statement)
        for table in _tables(db):
            db.execute(f"ALTER TABLE {table} ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0")
            kept = checksum_of(db, table, "new.")
            for event in ("INSERT", "UPDATE"):
                db.execute(
                    f"CREATE TRIGGER {table}_checksum_{event.lower()} AFTER {event} ON {table} "
                    f"WHEN new.checksum IS NOT {kept} BEGIN "
                    f"UPDATE {table} SET checksum = {kept} WHERE rowid = new.rowid; END"
                )
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing: commit at the end, roll back on any error; nested uses join the outer one."""
    if db.in_transaction:
        yield
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")  # a failed one leaves the transaction open
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def verify(folder: Path) -> None:
    """Compare every page's structure and every row's checksum of the database in ``folder``.

    It is read through a connection that cannot write; no database at all is none that is damaged.

    Raises
    ------
    StateError
        Something does not fit, or it is of a newer version. Nothing was changed.
    OSError
        It cannot be read now.
    """
    path = folder / FILE_NAME
    if not _looked_through(path):
        return
    with _told(path), contextlib.closing(read_only(path)) as db:
        schema = _schema_of(db)
        findings = [row[0] for row in db.execute("PRAGMA integrity_check(5)")]
        if findings == ["ok"] and schema and _version(db, path) and schema != _schema_wanted():
            findings.append("its schema is not as it was made")
        elif findings == ["ok"]:
            findings += _damaged_rows(db)
    if findings != ["ok"]:
        raise StateError(_damage(path, "; ".join(f for f in findings if f != "ok")))


def read_only(path: Path) -> sqlite3.Connection:
    """Open a database so that not even its log goes into it; nothing is checked."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
    db.row_factory = sqlite3.Row
    db.create_function("row_checksum", -1, _row_checksum, deterministic=True)
    return db


def _damaged_rows(db: sqlite3.Connection) -> Iterator[str]:
    for table in _tables(db):
        bad = db.execute(
            f"SELECT count(*) FROM {table} WHERE checksum IS NOT {checksum_of(db, table)}"
        ).fetchone()[0]
        if bad:
            yield f"{bad} damaged row(s) in {table}"


def _schema_of(db: sqlite3.Connection) -> list[tuple[str, ...]]:
    rows = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")
    return [tuple(row) for row in rows]


def _schema_wanted() -> list[tuple[str, ...]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        db.create_function("row_checksum", -1, _row_checksum, deterministic=True)
        _make_schema(db)
        return _schema_of(db)


def empty_log(db: sqlite3.Connection) -> None:
    """Bring all that is committed from the log into the database, and empty the log.

    Called before files are unlinked that only an older state of the database speaks of, so that
    no damage of the log can bring that state back. Where it cannot be done now, the log stays.
    """
    with contextlib.suppress(sqlite3.OperationalError):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
