"""Photos into running moments: spool, fold, commit, and replay after a crash.

The law of this room: the moments of a committed generation are the exact sums over exactly the
photos whose ledger rows name that generation or an earlier one of its epoch. What is folded only
in memory is `pending`, and its bytes stand in the spool until a generation that holds it is
committed, and then until the next one is, so that one generation back can be caught up again.
"""

import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hotpixeld.core.moments import PHOTOS_BEFORE_MOMENTS, Frame, Moments, bytes_of
from hotpixeld.core.spread import Spread
from hotpixeld.edge.database import empty_log, transaction
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.photo import Photo
from hotpixeld.edge.rows import PhotoRow, StatisticsState
from hotpixeld.errors import NewerStateError, PhotoError, StateError
from hotpixeld.service.epochs import Checkpoint, Epochs
from hotpixeld.service.spool import Spool

log = logging.getLogger(__name__)

# Photos are folded in batches: reading and writing the sums costs more than adding to them.
BATCH_PHOTOS = 4
COMMIT_PHOTOS = 25
COMMIT_SPOOL_BYTES = 256 << 20
# While photos come, so many of a camera must wait before it takes another one's room in memory.
PHOTOS_BEFORE_SWAP = 25


@dataclass
class _Resident:
    """One sensor's current epoch in memory: the committed sums and what came since."""

    epoch: int
    moments: Moments
    uncommitted: list[int] = field(default_factory=list)
    batch: list[tuple[int, Frame]] = field(default_factory=list)
    spooled_bytes: int = 0


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
        self.stored = Epochs(
            ledger, folder / "moments", now=now, clock_s=clock_s, on_progress=on_progress
        )
        self.spool = Spool(ledger, folder / "spool")
        self._resident: dict[int, _Resident] = {}
        self._to_replay: dict[int, deque[int]] = {}  # by sensor

    @property
    def damaged(self) -> dict[int, str]:
        """The sensors of which no good generation is left, and what to tell of them."""
        return self.stored.damaged

    # --- start

    def open(self) -> None:
        """Sweep what the last crash left, and queue the pending photos for replay.

        Raises
        ------
        StateError
            No sensor that has moments has a good generation of them, one is of a newer version,
            or the ledger contradicts itself; nothing was overwritten.
        """
        self.stored.open()
        self.spool.open()
        for photo in self.ledger.photos(states=("pending",)):
            assert photo.sensor_id is not None
            self._put_off(photo.sensor_id, photo.id)
        with_moments = [s for s in self.ledger.sensors() if self.stored.generations(s.id)]
        for sensor in with_moments:
            try:
                self._load(sensor.id)
            except NewerStateError:
                raise
            except StateError as error:
                log.error("%s", error)  # noqa: TRY400 (a message for the operator, not a bug)
        if with_moments and all(sensor.id in self.damaged for sensor in with_moments):
            raise StateError("; ".join(self.damaged.values()))

    # --- a photo arrives

    def admit(self, photo_id: int, photo: Photo) -> None:
        """Fold a spooled photo whose ledger row is committed, once its sensor has moments.

        Where another sensor's sums would have to go to disk for it, it is replayed later, with
        more of its own: cameras that alternate do not swap their sums photo by photo.

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
            self.spool.trim_waiting()
            waiting = list(self.ledger.photos(sensor_id=row.sensor_id, states=("waiting",)))
            if len(waiting) < PHOTOS_BEFORE_MOMENTS:
                return
            with transaction(self.ledger.db):
                for waited in waiting:
                    self.ledger.update_photo(waited.id, statistics="pending")
            others = (waited.id for waited in waiting if waited.id != photo_id)
            self._put_off(row.sensor_id, *others)
        if not self._has_room(row.sensor_id):
            self._put_off(row.sensor_id, photo_id)
            return
        try:
            resident = self._load_if_good(row.sensor_id)
        except BaseException:
            self._put_off(row.sensor_id, photo_id)
            raise
        if resident is not None:
            self._fold(resident, photo_id, photo)

    def initial_state(self, sensor_id: int) -> StatisticsState:
        """Return ``pending`` where the sensor has moments, else ``waiting``."""
        return "pending" if self._has_moments(sensor_id) else "waiting"

    def _has_moments(self, sensor_id: int) -> bool:
        return sensor_id in self._resident or self.ledger.count(sensor_id, "pending", "folded") > 0

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
        return sum(map(len, self._to_replay.values()))

    def is_behind(self, sensor_id: int) -> bool:
        """Tell whether pending photos of a sensor are not yet folded in memory."""
        return sensor_id in self._to_replay

    def replay_next(self, *, least_to_swap: int = 1) -> bool:
        """Fold one pending photo that memory does not hold yet; tell whether there was one.

        Parameters
        ----------
        least_to_swap
            So many of a sensor must be pending for another one's sums to make room.

        Raises
        ------
        OSError, sqlite3.OperationalError
            As `admit`, or the photo cannot be read now; it stays in the queue.
        """
        sensor_id = self._next_to_replay(least_to_swap)
        if sensor_id is None:
            return False
        row = self.ledger.photo(self._to_replay[sensor_id][0])
        try:
            photo = self._again(row) if sensor_id not in self.damaged else None
        except OSError:
            self._to_replay[sensor_id].rotate(-1)  # it must not stand in others' way
            self._to_replay[sensor_id] = self._to_replay.pop(sensor_id)
            raise
        if photo is not None:
            resident = self._load_if_good(sensor_id)
            if resident is not None:
                self._fold(resident, row.id, photo)
        elif sensor_id not in self.damaged:
            self._lose(row)
        self._to_replay[sensor_id].popleft()
        if not self._to_replay[sensor_id]:
            del self._to_replay[sensor_id]
        return True

    def _next_to_replay(self, least_to_swap: int) -> int | None:
        """Return the sensor to go on with: one that memory has room for, else that with most."""
        for sensor_id in self._to_replay:
            if self._has_room(sensor_id):
                return sensor_id
        most = max(self._to_replay, key=lambda one: len(self._to_replay[one]), default=None)
        return most if most is not None and len(self._to_replay[most]) >= least_to_swap else None

    def _put_off(self, sensor_id: int, *photo_ids: int) -> None:
        if photo_ids:
            self._to_replay.setdefault(sensor_id, deque()).extend(photo_ids)

    def _again(self, row: PhotoRow) -> Photo | None:
        data = self.spool.bytes_of(row)
        if data is None:
            return None
        try:
            photo = self.read(row, data)
        except PhotoError as error:
            if error.may_pass:
                raise OSError(f"{row.path}: {error}") from error
            log.warning("pending photo cannot be read again: %s: %s", row.path, error)
            return None
        return photo if photo.digest == row.digest else None

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
            and (
                not due
                or pending >= COMMIT_PHOTOS
                or r.spooled_bytes >= COMMIT_SPOOL_BYTES
                or r.moments.count + len(r.batch) >= self.window_photos // 2  # the epoch is full
            )
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
        written = self.stored.write(sensor_id, resident.epoch, resident.moments)
        with transaction(self.ledger.db):
            self.stored.record(written, resident.uncommitted)
            superseded = self.stored.supersede(sensor_id, resident.epoch, written.generation)
            superseded += self.spool.release(sensor_id, before=written.generation)
        resident.uncommitted.clear()
        resident.spooled_bytes = 0
        empty_log(self.ledger.db)
        for old in superseded:
            with contextlib.suppress(OSError):  # the next start sweeps what no row names
                old.unlink()
        if resident.moments.count >= max(1, self.window_photos // 2):
            self._begin_epoch(sensor_id, resident)
        return written.checkpoint

    def epochs(self, sensor_id: int) -> list[int]:
        """Return the epochs of a sensor that have moments, in memory or on disk, oldest first."""
        held = {g["epoch"] for g in self.stored.generations(sensor_id)}
        resident = self._resident.get(sensor_id)
        if resident is not None and (resident.moments.count or resident.batch):
            held.add(resident.epoch)
        return sorted(held)

    def _begin_epoch(self, sensor_id: int, resident: _Resident) -> None:
        resident.epoch += 1
        resident.moments = self._empty(sensor_id)

    # --- load

    def parts(self, sensor_id: int) -> list[Moments]:
        """Return the moments that a ranking rests on: the current epoch and the previous one."""
        resident = self._load(sensor_id)
        self._fold_batch(resident)
        previous = self._newest(sensor_id, resident.epoch - 1)
        return [moments for moments in (resident.moments, previous) if moments and moments.count]

    def resident(self, sensor_id: int) -> tuple[int, Moments] | None:
        """Return the epoch and the sums that memory holds of a sensor; None: the disk has all."""
        resident = self._resident.get(sensor_id)
        if resident is None:
            return None
        self._fold_batch(resident)
        return resident.epoch, resident.moments

    def forget(self, sensor_id: int) -> None:
        """Drop a sensor, then its moments from memory and disk; its photos stay known.

        Raises
        ------
        sqlite3.OperationalError
            The disk is full or fails; nothing was dropped.
        """
        files = [self.stored.folder / g["file"] for g in self.stored.generations(sensor_id)]
        self.ledger.forget_sensor(sensor_id)
        self._resident.pop(sensor_id, None)
        self.damaged.pop(sensor_id, None)
        self._to_replay.pop(sensor_id, None)
        empty_log(self.ledger.db)
        for file in files:
            with contextlib.suppress(OSError):  # the next start sweeps what no row names
                file.unlink()

    def _load(self, sensor_id: int) -> _Resident:
        resident = self._resident.pop(sensor_id, None)
        if resident is None:
            resident = self._from_disk(sensor_id)
            self._make_room(_held_by(resident))
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
        epoch = max((g["epoch"] for g in self.stored.generations(sensor_id)), default=0)
        moments = self._newest(sensor_id, epoch)
        resident = _Resident(epoch, moments if moments is not None else self._empty(sensor_id))
        if resident.moments.count >= max(1, self.window_photos // 2):
            self._begin_epoch(sensor_id, resident)
        return resident

    def _newest(self, sensor_id: int, epoch: int) -> Moments | None:
        moments, again = self.stored.read_newest(sensor_id, epoch)
        self._put_off(sensor_id, *again)
        return moments

    def _empty(self, sensor_id: int) -> Moments:
        sensor = self.ledger.sensor(sensor_id).sensor
        return Moments.empty(sensor.shape, sensor.depth_bits)

    def _has_room(self, sensor_id: int) -> bool:
        """Tell whether a sensor's sums are in memory, or fit in beside those that are."""
        if sensor_id in self._resident or not self._resident:
            return True
        sensor = self.ledger.sensor(sensor_id).sensor
        needed_bytes = bytes_of(sensor.shape, sensor.depth_bits)
        return self._held_bytes() + needed_bytes <= self.memory_bytes

    def _held_bytes(self) -> int:
        return sum(map(_held_by, self._resident.values()))

    def _make_room(self, needed_bytes: int) -> None:
        held_bytes = self._held_bytes()
        for sensor_id in list(self._resident):
            if held_bytes + needed_bytes <= self.memory_bytes:
                return
            self.commit(sensor_id)
            held_bytes -= _held_by(self._resident.pop(sensor_id))


def _held_by(resident: _Resident) -> int:
    return bytes_of(resident.moments.shape, resident.moments.depth_bits)
