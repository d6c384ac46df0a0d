"""`rebuild`: the state made anew from the photos, with what cannot be made anew carried over.

The old state is moved aside, never deleted. What people said, and what we wrote as copies, is
first saved in one file; while that file is there the state is refused, and a rebuild that was
broken off takes up from it.
"""

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from hotpixeld.config import Config, absolute_path
from hotpixeld.core.sensor import Sensor
from hotpixeld.edge.atomic import make_folder, write_atomically
from hotpixeld.edge.database import FILE_NAME, checksum_of, read_only, transaction, verify
from hotpixeld.edge.found import Identity, stored
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.lock import hold
from hotpixeld.edge.names import Names
from hotpixeld.edge.photo import read_photo
from hotpixeld.edge.rows import CopyRow
from hotpixeld.edge.scan import Scan
from hotpixeld.edge.whole import NotYet, WholeFile, read_whole
from hotpixeld.errors import NewerStateError, PhotoError, StateError, UsageError
from hotpixeld.service.quiet import QuietWork
from hotpixeld.service.state import CARRIED, State, open_state
from hotpixeld.service.times import rfc3339_now

_MOVED = (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", "moments", "spool", "pixels")


@dataclass
class Carried:
    """What a state holds that photos do not tell, as JSON can keep it; bytes are hexadecimal.

    Attributes
    ----------
    aside : str
        The folder below the state folder that the old state is moved into.
    words : list
        Sensor, row, column, word, and when it was said.
    own_files : list
        Digests of a copy's file, of its image data, and of the photo.
    copies : list
        The digest of a photo, and its copy as the ledger has it.
    """

    aside: str
    words: list[tuple[dict[str, Any], int, int, Any, str]] = field(default_factory=list)
    own_files: list[tuple[str, str, str]] = field(default_factory=list)
    copies: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def rebuild(config: Config, folders: Sequence[Path], tell: Callable[[str], None]) -> None:
    """Fold the photos of the import folders and of ``folders`` into a new state.

    Raises
    ------
    LockedError
        The daemon runs.
    UsageError
        A folder is not there.
    NewerStateError
        The state is of a newer version. In each case nothing was changed.
    """
    missing = [f for f in (*config.import_folders, *folders) if not f.is_dir()]
    if missing:
        raise UsageError(f"no such folder: {', '.join(map(str, missing))}")
    make_folder(config.state)
    with hold(config.state / "lock"):
        carried = _take_up(config.state) or _save(config.state)
        _move_aside(config.state, carried.aside)
    tell(f"the old state is kept in {config.state / carried.aside}")
    for what in carried.unread:
        tell(f"could not be read in the old state: {what}")
    with open_state(config, rebuilding=True) as state:
        _restore(state.ledger, carried)
        state.handling.carried = {
            bytes.fromhex(digest): _copy(values) for digest, values in carried.copies
        }
        for sensor in state.ledger.sensors():
            state.detection.reconsider(sensor)
        counted = _fold_all(state, [*config.import_folders, *folders], tell)
        (config.state / CARRIED).unlink()
    tell(f"{counted} photos taken, {len(carried.words)} words of people kept")


# --- what is carried over


def _take_up(folder: Path) -> Carried | None:
    """Return what a rebuild that was broken off had saved."""
    with contextlib.suppress(FileNotFoundError):
        return Carried(**json.loads((folder / CARRIED).read_bytes()))
    return None


def _save(folder: Path) -> Carried:
    stamp = "".join(c for c in rfc3339_now() if c.isalnum())
    carried = Carried(f"before-rebuild-{stamp}")
    try:
        verify(folder)
    except NewerStateError:
        raise
    except StateError as error:
        carried.unread.append(str(error))
    if (folder / FILE_NAME).exists():
        _read(folder / FILE_NAME, carried)
    write_atomically(folder / CARRIED, json.dumps(asdict(carried)).encode())
    return carried


def _read(path: Path, carried: Carried) -> None:
    """Read all that can be read of what cannot be made anew."""
    names = tuple(f.name for f in fields(Sensor))
    sensors = {
        row["id"]: {name: row[name] for name in names} for row in _rows(path, "sensors", carried)
    }
    for row in _rows(path, "words", carried):
        if row["sensor_id"] in sensors:
            sensor = sensors[row["sensor_id"]]
            said = (sensor, row["row"], row["column"], row["word"], row["said_at"])
            carried.words.append(said)
    for row in _rows(path, "own_files", carried):
        digests = (row["file_digest"], row["image_digest"], row["photo_digest"])
        carried.own_files.append((digests[0].hex(), digests[1].hex(), digests[2].hex()))
    photos = {row["id"]: row["digest"].hex() for row in _rows(path, "photos", carried)}
    for row in _rows(path, "copies", carried):
        if row["photo_id"] in photos:
            values = {f.name: row[f.name] for f in fields(CopyRow)}
            values |= {name: values[name].hex() for name in ("path", "file_digest")}
            carried.copies.append((photos[row["photo_id"]], values))


def _rows(path: Path, table: str, carried: Carried) -> Iterator[sqlite3.Row]:
    """Yield the rows whose checksum holds, as far as the table can be read."""
    damaged = 0
    try:
        with contextlib.closing(read_only(path)) as db:
            for row in db.execute(f"SELECT *, {checksum_of(db, table)} AS right FROM {table}"):  # noqa: S608 (our own names)
                if row["checksum"] == row["right"]:
                    yield row
                else:
                    damaged += 1
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        carried.unread.append(f"{table}: {error}")
    if damaged:
        carried.unread.append(f"{damaged} damaged row(s) of {table}")


def _copy(values: dict[str, Any]) -> CopyRow:
    path = Path(os.fsdecode(bytes.fromhex(values["path"])))
    return CopyRow(**values | {"path": path, "file_digest": bytes.fromhex(values["file_digest"])})


def _move_aside(folder: Path, aside: str) -> None:
    """Move the old state; what stands in its place by then is of a rebuild that was broken off."""
    kept = folder / aside
    if (kept / "whole").exists():
        for name in _MOVED:
            if (folder / name).is_dir():
                shutil.rmtree(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
        return
    make_folder(kept)
    for name in _MOVED:
        if (folder / name).exists():
            (folder / name).rename(kept / name)
    write_atomically(kept / "whole", b"moved here whole\n")


def _restore(ledger: Ledger, carried: Carried) -> None:
    with transaction(ledger.db):
        for sensor, row, column, word, said_at in carried.words:
            ledger.say(ledger.sensor_of(Sensor(**sensor)).id, row, column, word, said_at)
        for digests in carried.own_files:
            ledger.remember_own(*map(bytes.fromhex, digests))


# --- the photos


def _fold_all(state: State, folders: Sequence[Path], tell: Callable[[str], None]) -> int:
    work = QuietWork(state, lambda: 0.0)
    taken = 0
    for path in _in_order(state.config, folders):
        found = read_whole(path)
        if isinstance(found, WholeFile):
            state.handling.handle(path, found.data, stored(found.identity))
            work.after_photo()
            taken += 1
        else:
            tell(f"{path}: not taken: {found.reason} {found.detail}".rstrip())
    while work.step():
        pass
    for sensor_id in state.accumulation.uncommitted(due=False):
        state.accumulation.commit(sensor_id)
    return taken


def _in_order(config: Config, folders: Sequence[Path]) -> list[Path]:
    """Return the photos in order of capture time and image data, then those that tell none."""
    names = Names(config.watch.ignore)
    found: dict[tuple[int, int], Path] = {}
    for folder in folders:
        for photo in Scan(str(absolute_path(str(folder), Path.cwd())), names):
            identity: Identity = photo.identity
            found.setdefault((identity.dev, identity.ino), photo.as_path())
    return sorted(found.values(), key=lambda path: _place(path, config.limits.max_pixels))


def _place(path: Path, max_pixels: int) -> tuple[bool, float, bytes, bytes]:
    whole = read_whole(path)
    if isinstance(whole, NotYet):
        return (True, 0.0, b"", os.fsencode(path))
    try:
        photo = read_photo(whole.data, path.name, max_pixels=max_pixels)
    except PhotoError:
        return (True, 0.0, b"", os.fsencode(path))
    captured_s = photo.captured_at.timestamp() if photo.captured_at else 0.0
    return (photo.captured_at is None, captured_s, photo.digest, os.fsencode(path))
