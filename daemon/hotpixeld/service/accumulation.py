"""Photos into running moments: spool, fold, commit, and replay after a crash.

The law of this room: the moments of a committed generation are the exact sums over exactly the
photos whose ledger rows name that generation or an earlier one of its epoch. What is folded only
in memory is `pending`, and its bytes stand in the spool until a generation that holds it is
committed, and then until the next one is, so that one generation back can be caught up again.
"""

import contextlib
import hashlib
import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hotpixeld.core.moments import Frame, Moments, Spread
from hotpixeld.edge.atomic import make_folder, write_atomically
from hotpixeld.edge.database import empty_log, transaction
from hotpixeld.edge.generations import read_generation, write_generation
from hotpixeld.edge.ledger import Ledger, PhotoRow, StatisticsState
from hotpixeld.edge.photo import Photo
from hotpixeld.errors import NewerStateError, PhotoError, StateError

log = logging.getLogger(__name__)

# A sensor gets moments when this many photos of it have come: odd crops cost nothing.
PHOTOS_BEFORE_MOMENTS = 3
# Photos are folded in batches: reading and writing the sums costs more than adding to them.
BATCH_PHOTOS = 4
COMMIT_PHOTOS = 25
COMMIT_SPOOL_BYTES = 256 << 20
# What photos that still wait for their sensor's moments may hold of the spool.
WAITING_SPOOL_BYTES = 256 << 20


@dataclass
class _Resident:
    """One sensor's current epoch in memory: the committed sums and what came since."""

    epoch: int
    moments: Moments
    uncommitted: list[int] = field(default_factory=list)
    batch: list[tuple[int, Frame]] = field(default_factory=list)
    spooled_bytes: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """What the last commit wrote, for `status`."""

    at: str
    photos: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class WrittenEpoch:
    """A generation that stands on the disk and that the ledger does not know of yet."""

    sensor_id: int
    epoch: int
    generation: int
    file: str
    checkpoint: Checkpoint


class Accumulation:
    """The running moments of every sensor of one state.

    Parameters
    ----------
    folder
        The state folder; ``moments/`` and ``spool/`` below it are this room's.
    read
        Decodes a spooled photo; raises `PhotoError`.
    window_photos
        About so many photos count; an epoch holds half of them.
    memory_bytes
        What the sums in memory may take; the least recently used sensors go to disk first.
    now, clock_s
        The time of day as RFC 3339, and a clock that only rises.
    on_progress
        Called within long steps, so that the watchdog sees life.
    spread
        Folds bands of rows on several cores, as the ``map`` of a thread pool does.
    """

    def __init__(
        self,
        ledger: Ledger,
        folder: Path,
        *,
        read: Callable[[PhotoRow, bytes], Photo],
        window_photos: int,
        memory_bytes: int,
        now: Callable[[], str],
        clock_s: Callable[[], float],
        on_progress: Callable[[], None],
        spread: Spread = map,
    ) -> None:
        self.ledger = ledger
        self.spread = spread
        self.read = read
        self.window_photos = window_photos
        self.memory_bytes = memory_bytes
        self.now = now
        self.clock_s = clock_s
        self.on_progress = on_progress
        self.moments_folder = folder / "moments"
        self.spool_folder = folder / "spool"
        self.damaged: dict[int, str] = {}
        self._resident: dict[int, _Resident] = {}
        self._to_replay: deque[int] = deque()

    # --- start

    def open(self) -> None:
        """Sweep what the last crash left, and queue the pending photos for replay.

        Raises
        ------
        StateError
            No sensor that has moments has a good generation of them, one is of a newer version,
            or the ledger contradicts itself; nothing was overwritten.
        """
        self._check_counts()
        for folder in (self.moments_folder, self.spool_folder):
            make_folder(folder)
        self._sweep_files()
        self._to_replay.extend(photo.id for photo in self.ledger.photos(states=("pending",)))
        with_moments = [s for s in self.ledger.sensors() if self._generations(s.id)]
        for sensor in with_moments:
            try:
                self._load(sensor.id)
            except NewerStateError:
                raise
            except StateError as error:
                log.error("%s", error)  # noqa: TRY400 (a message for the operator, not a bug)
        if with_moments and all(sensor.id in self.damaged for sensor in with_moments):
            raise StateError("; ".join(self.damaged.values()))

    def _check_counts(self) -> None:
        """Compare how many photos the ledger calls folded with what each newest generation holds.

        Every row has a checksum, but nothing else would tell rows of different times.
        """
        wrong = self.ledger.db.execute(
            "SELECT file, photos, (SELECT count(*) FROM photos AS p WHERE p.statistics = 'folded' "
            "AND p.sensor_id = g.sensor_id AND p.epoch = g.epoch) AS folded FROM generations AS g "
            "WHERE photos != folded AND generation = (SELECT max(generation) FROM generations AS h "
            "WHERE h.sensor_id = g.sensor_id AND h.epoch = g.epoch)"
        ).fetchone()
        if wrong is not None:
            raise StateError(
                f"the ledger calls {wrong['folded']} photos folded where {wrong['file']} holds "
                f"{wrong['photos']}: the database is damaged. Nothing was changed; "
                "`hotpixeld rebuild` makes the state anew from the photos"
            )

    def _sweep_files(self) -> None:
        kept = {row[0] for row in self.ledger.db.execute("SELECT file FROM generations")}
        for file in self.moments_folder.iterdir():
            if file.name not in kept and file.suffix != ".damaged":
                file.unlink()
        rows = self.ledger.db.execute("SELECT digest FROM photos WHERE spool_digest IS NOT NULL")
        spooled = {bytes(row[0]).hex() for row in rows}
        for file in self.spool_folder.iterdir():
            if file.name not in spooled:
                file.unlink()

    # --- a photo arrives

    def spool(self, photo: Photo) -> bytes:
        """Keep the photo's bytes until a generation holds it; return their SHA-256.

        Raises
        ------
        OSError
            The state's disk is full or fails; nothing was kept.
        """
        write_atomically(self.spool_folder / photo.digest.hex(), photo.data)
        return hashlib.sha256(photo.data).digest()

    def admit(self, photo_id: int, photo: Photo) -> None:
        """Fold a spooled photo whose ledger row is committed, once its sensor has moments.

        Raises
        ------
        OSError, sqlite3.OperationalError
            Another sensor's sums could not go to disk to make room; the photo stays pending and
            is replayed later.
        """
        row = self.ledger.photo(photo_id)
        assert row.sensor_id is not None
        if row.sensor_id in self.damaged:
            return
        if not self._has_moments(row.sensor_id):
            self._trim_waiting()
            waiting = list(self.ledger.photos(sensor_id=row.sensor_id, states=("waiting",)))
            if len(waiting) < PHOTOS_BEFORE_MOMENTS:
                return
            with transaction(self.ledger.db):
                for waited in waiting:
                    self.ledger.update_photo(waited.id, statistics="pending")
            self._to_replay.extend(waited.id for waited in waiting if waited.id != photo_id)
        try:
            resident = self._load_if_good(row.sensor_id)
        except BaseException:
            self._to_replay.append(photo_id)
            raise
        if resident is not None:
            self._fold(resident, photo_id, photo)

    def initial_state(self, sensor_id: int) -> StatisticsState:
        """Return ``pending`` where the sensor has moments, else ``waiting``."""
        return "pending" if self._has_moments(sensor_id) else "waiting"

    def _has_moments(self, sensor_id: int) -> bool:
        return sensor_id in self._resident or self.ledger.count(sensor_id, "pending", "folded") > 0

    def _trim_waiting(self) -> None:
        held_bytes = 0
        waiting = [p for p in self.ledger.photos(states=("waiting",)) if p.spool_digest]
        for photo in reversed(waiting):
            file = self.spool_folder / photo.digest.hex()
            held_bytes += file.stat().st_size if file.exists() else 0
            if held_bytes > WAITING_SPOOL_BYTES:
                self.ledger.update_photo(photo.id, spool_digest=None)
                file.unlink(missing_ok=True)

    def _fold(self, resident: _Resident, photo_id: int, photo: Photo) -> None:
        resident.batch.append((photo_id, photo.frame))
        resident.spooled_bytes += len(photo.data)
        if len(resident.batch) >= BATCH_PHOTOS:
            self._fold_batch(resident)

    def _fold_batch(self, resident: _Resident) -> None:
        if resident.batch:
            resident.moments.fold([frame for _, frame in resident.batch], self.spread)
            resident.uncommitted.extend(photo_id for photo_id, _ in resident.batch)
            resident.batch.clear()

    # --- replay

    @property
    def replays(self) -> int:
        """How many pending photos are not yet folded in memory."""
        return len(self._to_replay)

    def replay_next(self) -> bool:
        """Fold one pending photo that memory does not hold yet; tell whether there was one.

        Raises
        ------
        OSError, sqlite3.OperationalError
            As `admit`; the photo stays first in the queue.
        """
        if not self._to_replay:
            return False
        row = self.ledger.photo(self._to_replay[0])
        assert row.sensor_id is not None
        photo = self._again(row) if row.sensor_id not in self.damaged else None
        if photo is not None:
            resident = self._load_if_good(row.sensor_id)
            if resident is not None:
                self._fold(resident, row.id, photo)
        elif row.sensor_id not in self.damaged:
            self._lose(row)
        self._to_replay.popleft()
        return True

    def _again(self, row: PhotoRow) -> Photo | None:
        data = self._bytes_of(row)
        if data is None:
            return None
        try:
            photo = self.read(row, data)
        except PhotoError as error:
            log.warning("pending photo cannot be read again: %s: %s", row.path, error)
            return None
        return photo if photo.digest == row.digest else None

    def _bytes_of(self, row: PhotoRow) -> bytes | None:
        with contextlib.suppress(OSError):
            data = (self.spool_folder / row.digest.hex()).read_bytes()
            if hashlib.sha256(data).digest() == row.spool_digest:
                return data
            log.error("spooled photo is damaged, reading the original instead: %s", row.path)
        with contextlib.suppress(OSError):
            return row.path.read_bytes()
        return None

    def _lose(self, row: PhotoRow) -> None:
        with transaction(self.ledger.db):
            self.ledger.update_photo(
                row.id, statistics="lost", reason="not-replayable", spool_digest=None
            )
            self.ledger.note_event(self.now(), "photo-lost", str(row.path))
        log.error("photo lost to the statistics, its bytes are gone: %s", row.path)

    # --- commit

    def uncommitted(self, *, due: bool) -> list[int]:
        """Return the sensors that memory holds more of than the disk.

        With ``due``, only those of which so much is pending that a generation is worth writing.
        """
        return [
            sensor_id
            for sensor_id, r in self._resident.items()
            if (pending := len(r.uncommitted) + len(r.batch))
            and (not due or pending >= COMMIT_PHOTOS or r.spooled_bytes >= COMMIT_SPOOL_BYTES)
        ]

    def commit(self, sensor_id: int) -> Checkpoint | None:
        """Write a generation and, in one transaction, what it holds; None where nothing is new.

        Raises
        ------
        OSError, sqlite3.OperationalError
            The disk is full or fails: the photos stay pending, the earlier generation counts.
        """
        resident = self._resident[sensor_id]
        self._fold_batch(resident)
        if not resident.uncommitted:
            return None
        written = self.write_epoch(sensor_id, resident.epoch, resident.moments)
        with transaction(self.ledger.db):
            self._record(written, resident.uncommitted)
            superseded = self._supersede(sensor_id, resident.epoch, written.generation)
        resident.uncommitted.clear()
        resident.spooled_bytes = 0
        empty_log(self.ledger.db)
        for old in superseded:
            with contextlib.suppress(OSError):  # the next start sweeps what no row names
                old.unlink()
        if resident.moments.count >= max(1, self.window_photos // 2):
            self._begin_epoch(sensor_id, resident)
        return written.checkpoint

    def write_epoch(self, sensor_id: int, epoch: int, moments: Moments) -> WrittenEpoch:
        """Write a generation of an epoch; it counts once it is recorded.

        Raises
        ------
        OSError
            The disk is full or fails; nothing was written.
        """
        start_s = self.clock_s()
        held = self._generations(sensor_id)
        generation = 1 + max((g["generation"] for g in held), default=0)
        key = self.ledger.sensor(sensor_id).key
        file = self.moments_folder / f"{key}-{epoch:04}-{generation:08}.moments"
        size_bytes = write_generation(file, moments, self.on_progress)
        checkpoint = Checkpoint(self.now(), moments.count, size_bytes, self.clock_s() - start_s)
        return WrittenEpoch(sensor_id, epoch, generation, file.name, checkpoint)

    def record_epoch(self, written: WrittenEpoch, photo_ids: list[int]) -> None:
        """Call these photos folded in an epoch that was folded elsewhere, within a transaction.

        The epoch must have no generation yet, and must not be in memory.
        """
        assert all(g["epoch"] != written.epoch for g in self._generations(written.sensor_id))
        self._record(written, photo_ids)

    def epochs(self, sensor_id: int) -> list[int]:
        """Return the epochs of a sensor that have moments, in memory or on disk, oldest first."""
        held = {g["epoch"] for g in self._generations(sensor_id)}
        resident = self._resident.get(sensor_id)
        if resident is not None and (resident.moments.count or resident.batch):
            held.add(resident.epoch)
        return sorted(held)

    def _record(self, written: WrittenEpoch, photo_ids: list[int]) -> None:
        db, checkpoint = self.ledger.db, written.checkpoint
        db.execute(
            "INSERT INTO generations (sensor_id, epoch, generation, photos, file, bytes, seconds, "
            "committed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                written.sensor_id,
                written.epoch,
                written.generation,
                checkpoint.photos,
                written.file,
                checkpoint.bytes,
                checkpoint.seconds,
                checkpoint.at,
            ),
        )
        db.executemany(
            "UPDATE photos SET statistics = 'folded', epoch = ?, generation = ? WHERE id = ?",
            [(written.epoch, written.generation, photo_id) for photo_id in photo_ids],
        )

    def _supersede(self, sensor_id: int, epoch: int, generation: int) -> list[Path]:
        """Forget all but the last two generations, and the epochs before the previous one.

        Returns the files to unlink once the transaction is committed.
        """
        db = self.ledger.db
        old = [
            g
            for g in self._generations(sensor_id)
            if g["epoch"] < epoch - 1 or (g["epoch"] == epoch and g["generation"] < generation - 1)
        ]
        files = [self.moments_folder / g["file"] for g in old]
        for g in old:
            db.execute("DELETE FROM generations WHERE file = ?", (g["file"],))
        settled = db.execute(
            "SELECT id, digest FROM photos WHERE sensor_id = ? AND spool_digest IS NOT NULL "
            "AND statistics = 'folded' AND generation < ?",
            (sensor_id, generation),
        ).fetchall()
        for row in settled:
            self.ledger.update_photo(row["id"], spool_digest=None)
        return files + [self.spool_folder / bytes(row["digest"]).hex() for row in settled]

    def _begin_epoch(self, sensor_id: int, resident: _Resident) -> None:
        sensor = self.ledger.sensor(sensor_id).sensor
        resident.epoch += 1
        resident.moments = _empty(sensor.height, sensor.width, sensor.channels, sensor.depth_bits)

    # --- load

    def parts(self, sensor_id: int) -> list[Moments]:
        """Return the moments that a ranking rests on: the current epoch and the previous one."""
        resident = self._load(sensor_id)
        self._fold_batch(resident)
        previous = [g for g in self._generations(sensor_id) if g["epoch"] == resident.epoch - 1]
        parts = [resident.moments] if resident.moments.count else []
        if previous:
            moments = self._read_newest(sensor_id, previous)
            parts += [moments] if moments is not None else []
        return parts

    def resident(self, sensor_id: int) -> tuple[int, Moments] | None:
        """Return the epoch and the sums that memory holds of a sensor; None: the disk has all."""
        resident = self._resident.get(sensor_id)
        if resident is None:
            return None
        self._fold_batch(resident)
        return resident.epoch, resident.moments

    def forget(self, sensor_id: int) -> None:
        """Drop a sensor with all its rows, then its moments from memory and disk.

        Raises
        ------
        sqlite3.OperationalError
            The disk is full or fails; nothing was dropped.
        """
        files = [self.moments_folder / g["file"] for g in self._generations(sensor_id)]
        mine = {photo.id for photo in self.ledger.photos(sensor_id=sensor_id)}
        with transaction(self.ledger.db):
            self.ledger.db.execute("DELETE FROM sensors WHERE id = ?", (sensor_id,))
        self._resident.pop(sensor_id, None)
        self.damaged.pop(sensor_id, None)
        self._to_replay = deque(i for i in self._to_replay if i not in mine)
        empty_log(self.ledger.db)
        for file in files:
            with contextlib.suppress(OSError):  # the next start sweeps what no row names
                file.unlink()

    def _generations(self, sensor_id: int) -> list[sqlite3.Row]:
        query = "SELECT * FROM generations WHERE sensor_id = ? ORDER BY epoch, generation"
        return self.ledger.db.execute(query, (sensor_id,)).fetchall()

    def _load(self, sensor_id: int) -> _Resident:
        resident = self._resident.pop(sensor_id, None)
        if resident is None:
            resident = self._from_disk(sensor_id)
            self._make_room(_size_bytes(resident.moments))
        self._resident[sensor_id] = resident  # the most recently used stands last
        return resident

    def _load_if_good(self, sensor_id: int) -> _Resident | None:
        """Load a sensor's sums; None where they turn out damaged, and the photo stays pending."""
        try:
            return self._load(sensor_id)
        except StateError as error:
            log.error("%s", error)  # noqa: TRY400 (a message for the operator, not a bug)
            return None

    def _from_disk(self, sensor_id: int) -> _Resident:
        sensor = self.ledger.sensor(sensor_id).sensor
        generations = self._generations(sensor_id)
        epoch = max((g["epoch"] for g in generations), default=0)
        current = [g for g in generations if g["epoch"] == epoch]
        shape = (sensor.height, sensor.width, sensor.channels, sensor.depth_bits)
        if not current:
            return _Resident(epoch, _empty(*shape))
        moments = self._read_newest(sensor_id, current)
        resident = _Resident(epoch, moments if moments is not None else _empty(*shape))
        if resident.moments.count >= max(1, self.window_photos // 2):
            self._begin_epoch(sensor_id, resident)
        return resident

    def _read_newest(self, sensor_id: int, generations: list[sqlite3.Row]) -> Moments | None:
        """Read an epoch's newest good generation; photos of damaged ones become pending again.

        None where the only generation is damaged and it is the epoch's first: what was before it
        is nothing, and all its photos are pending.
        """
        damaged: list[tuple[sqlite3.Row, str]] = []
        for g in reversed(generations):
            moments, problem = self._read_one(g)
            if moments is not None:
                break
            damaged.append((g, problem))
        else:
            if not self._is_first(generations[0]):
                self._give_up(sensor_id, damaged[-1][1])
            moments = None
        for g, problem in damaged:
            self._fall_back(sensor_id, g, problem)
        return moments

    def _read_one(self, g: sqlite3.Row) -> tuple[Moments | None, str]:
        file = self.moments_folder / g["file"]
        try:
            moments = read_generation(file, self.on_progress)
        except NewerStateError:
            raise
        except StateError as error:
            return None, str(error)
        if moments.count == g["photos"]:
            return moments, ""
        return None, f"{file}: holds {moments.count} photos, the ledger says {g['photos']}"

    def _is_first(self, g: sqlite3.Row) -> bool:
        """Tell whether the generation before this one was empty, and its photos are spooled."""
        spooled = self.ledger.db.execute(
            "SELECT count(*) FROM photos WHERE statistics = 'folded' AND sensor_id = ? "
            "AND epoch = ? AND generation = ? AND spool_digest IS NOT NULL",
            (g["sensor_id"], g["epoch"], g["generation"]),
        ).fetchone()[0]
        return bool(spooled == g["photos"])

    def _give_up(self, sensor_id: int, problem: str) -> None:
        key = self.ledger.sensor(sensor_id).key
        self.damaged[sensor_id] = (
            f"{problem}; no good generation of {key} is left. Nothing was overwritten; "
            "`hotpixeld rebuild` makes the state anew from the photos"
        )
        raise StateError(self.damaged[sensor_id])

    def _fall_back(self, sensor_id: int, g: sqlite3.Row, problem: str) -> None:
        log.error("%s; what was before it is used and caught up", problem)
        db = self.ledger.db
        with transaction(db):
            place = (sensor_id, g["epoch"], g["generation"])
            ids = db.execute(
                "UPDATE photos SET statistics = 'pending', epoch = NULL, generation = NULL "
                "WHERE sensor_id = ? AND epoch = ? AND generation = ? RETURNING id",
                place,
            ).fetchall()
            db.execute(
                "DELETE FROM generations WHERE sensor_id = ? AND epoch = ? AND generation = ?",
                place,
            )
            self.ledger.note_event(self.now(), "generation-damaged", problem)
        file = self.moments_folder / g["file"]
        with contextlib.suppress(OSError):
            file.rename(file.with_suffix(".damaged"))
        self._to_replay.extend(row[0] for row in ids)

    def _make_room(self, needed_bytes: int) -> None:
        held_bytes = sum(_size_bytes(r.moments) for r in self._resident.values())
        for sensor_id in list(self._resident):
            if held_bytes + needed_bytes <= self.memory_bytes:
                return
            self.commit(sensor_id)
            held_bytes -= _size_bytes(self._resident.pop(sensor_id).moments)


def _empty(height: int, width: int, channels: int, depth_bits: int) -> Moments:
    return Moments.empty((height, width, channels), depth_bits)


def _size_bytes(moments: Moments) -> int:
    return sum(array.nbytes for array in moments.arrays().values())
