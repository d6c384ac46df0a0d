"""`backfill`: an archive folded into the state, on many cores, in order of capture.

Each sensor's photos are cut into epochs of half a window. An epoch is folded by the workers in
partitions, whose sums are added; then it is recorded in one transaction, so that a run that was
stopped goes on where it was: what is recorded is known, the rest is done again. The newest epochs
become the sensor's current and previous one where it has none; every other one is ranked, its
defects are dated, and its moments are dropped. The photos of the daemon are never displaced.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing import shared_memory
from pathlib import Path
from typing import cast

from hotpixeld.config import Config
from hotpixeld.core.moments import PHOTOS_BEFORE_MOMENTS, Moments
from hotpixeld.core.rank import rank
from hotpixeld.core.sensor import Sensor
from hotpixeld.core.similarity import find_similar
from hotpixeld.edge.database import transaction
from hotpixeld.edge.found import stored
from hotpixeld.edge.ledger import Ledger, SensorRow, StatisticsState
from hotpixeld.edge.names import Names
from hotpixeld.edge.pixels import read_pixels, replace_pixels
from hotpixeld.edge.scan import Scan
from hotpixeld.service.olddefects import Span, with_old_epoch
from hotpixeld.service.partition import (
    Entry,
    Folded,
    Partition,
    Rules,
    Surveyed,
    bytes_of,
    fold_partition,
    moments_in,
    survey,
)
from hotpixeld.service.space import check_state_space
from hotpixeld.service.state import State
from hotpixeld.service.workers import WorkerDiedError, Workers

log = logging.getLogger(__name__)

PARTITION_PHOTOS = 50
REMOTE_PARTITION_PHOTOS = 250  # the sums of a partition go over the network
_SURVEY_PHOTOS = 200
_NEVER_REPAIR = 1 << 40  # a map revision: an archive gets no copies unless `photos retry` asks
Progress = Callable[[int, int], None]


@dataclass
class Backfilled:
    """What a run has done.

    Attributes
    ----------
    already_known : int
        Photos that the ledger had, from an earlier run or the daemon.
    states : dict
        How many photos were folded, similar, duplicate, refused and so on.
    broken : list
        The refused ones, path and reason.
    """

    already_known: int = 0
    states: dict[str, int] = field(default_factory=dict)
    broken: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Epoch:
    """Some photos of one sensor, folded, not yet recorded."""

    moments: Moments
    entries: list[Entry] = field(default_factory=list)

    @property
    def span(self) -> tuple[str, str]:
        """First and last time of capture that is known; empty where none is."""
        times = [e.surveyed.captured_at for e in self.entries if e.surveyed.captured_at]
        return (min(times), max(times)) if times else ("", "")


def backfill(
    state: State, folders: Sequence[Path], workers: Workers, progress: Progress
) -> Backfilled:
    """Fold every photo below ``folders`` that the ledger does not know.

    Raises
    ------
    OSError, sqlite3.OperationalError
        A disk is full or fails, or less than ``copies.min_free`` would be left for the state: what
        was recorded stays, the rest is done by the next run.
    """
    return _Backfill(state, workers, progress).run(folders)


class _Backfill:
    def __init__(self, state: State, workers: Workers, progress: Progress) -> None:
        self.state = state
        self.config: Config = state.config
        self.ledger: Ledger = state.ledger
        self.workers = workers
        self.progress = progress
        self.rules = Rules(self.config.limits.max_pixels, self.config.detection.skip_similar)
        self.result = Backfilled()
        self._done = self._total = 0
        self._taken: dict[bytes, str] = {}
        self._signatures: list[bytes] = []

    def run(self, folders: Sequence[Path]) -> Backfilled:
        by_sensor: dict[Sensor, list[Surveyed]] = {}
        refused = []
        for surveyed in self._survey(folders):
            if surveyed.sensor is None:
                may_pass = surveyed.may_pass
                refused.append(Entry(surveyed, "refused", surveyed.refused, may_pass=may_pass))
            else:
                by_sensor.setdefault(surveyed.sensor, []).append(surveyed)
        self._total = sum(map(len, by_sensor.values()))
        with transaction(self.ledger.db):
            self._add_rows(refused, None)
        for sensor, photos in sorted(by_sensor.items(), key=lambda item: item[0].key):
            photos.sort(key=lambda photo: (photo.captured_at, photo.path))
            self._fold_sensor(sensor, photos)
        return self.result

    def _survey(self, folders: Sequence[Path]) -> Iterator[Surveyed]:
        names = Names(self.config.watch.ignore)
        chunk: list[tuple[str, str]] = []
        chunks = []
        for folder in folders:
            for found in Scan(str(folder), names):
                identity = stored(found.identity)
                if self.ledger.is_known(found.as_path(), identity):
                    self.result.already_known += 1
                    continue
                chunk.append((found.path, identity))
                if len(chunk) == _SURVEY_PHOTOS:
                    chunks.append((tuple(chunk), self.rules))
                    chunk.clear()
        chunks.append((tuple(chunk), self.rules))
        for (given, _), answer in self.workers.in_order(_survey, chunks):
            if isinstance(answer, WorkerDiedError):
                for path, identity in given:
                    yield from self._survey_alone(path, identity)
            else:
                yield from answer

    def _survey_alone(self, path: str, identity: str) -> Iterator[Surveyed]:
        answer = self.workers.one(_survey, (((path, identity),), self.rules))
        if isinstance(answer, WorkerDiedError):
            yield Surveyed(path, identity, None, "", f"killed-the-decoder: {answer}")
        else:
            yield from answer

    # --- one sensor

    def _fold_sensor(self, sensor: Sensor, photos: list[Surveyed]) -> None:
        row = self.ledger.sensor_of(sensor)
        self._signatures.clear()
        held = self.state.accumulation.epochs(row.id)
        shape = (sensor.height, sensor.width, sensor.channels)
        length = max(1, self.config.detection.window // 2)
        cuts = [photos[start : start + length] for start in range(0, len(photos), length)]
        kept = max(0, 2 - len(held)) if not held or held[-1] - 1 not in held else 0
        waiting: list[_Epoch] = []
        before = ""
        with ExitStack() as closing:
            rooms = {room.name: room for room in self._rooms(sensor, closing)}
            free = list(rooms)
            size = PARTITION_PHOTOS if self.workers.are_here else REMOTE_PARTITION_PHOTOS
            parts = self._partitions(sensor, cuts, size, free)
            answers = self.workers.in_order(fold_partition, parts)
            for number, cut in enumerate(cuts):
                check_state_space(self.config, kept * bytes_of(sensor))
                epoch = _Epoch(Moments.empty(shape, sensor.depth_bits))
                for partition, answer in islice(answers, -(-len(cut) // size)):
                    self._settle(row, partition, answer, epoch, rooms)
                    if partition.memory is not None:
                        free.append(partition.memory)
                if not held and epoch.moments.count < PHOTOS_BEFORE_MOMENTS and len(cuts) == 1:
                    self._record(row, epoch, None, "waiting")
                elif number >= len(cuts) - kept:
                    waiting.append(epoch)
                else:
                    self._drop(row, epoch, before)
                    before = epoch.span[1] or before
        if waiting:
            self._keep(row, waiting, held)

    def _rooms(self, sensor: Sensor, closing: ExitStack) -> list[shared_memory.SharedMemory]:
        """Return as much shared memory as tasks are given out at once, within the limit.

        None where the machine has no room for any: the sums then come back by a pipe.
        """
        if not self.workers.are_here:
            return []
        size_bytes = bytes_of(sensor)
        most = max(1, self.state.accumulation.memory_bytes // size_bytes)
        self.workers.ahead = min(self.workers.most_ahead, most)
        rooms = []
        for _ in range(self.workers.ahead):
            room = shared_memory.SharedMemory(create=True, size=size_bytes)
            closing.callback(_give_back, room)
            if not _has_room(room):
                break
            rooms.append(room)
        self.workers.ahead = max(1, len(rooms))
        return rooms

    def _partitions(
        self, sensor: Sensor, cuts: Sequence[list[Surveyed]], size: int, free: list[str]
    ) -> Iterator[Partition]:
        """Yield each epoch's partitions, each with a room of those that are free when it is asked.

        One stream over all epochs: the workers go on while an epoch is ranked.
        """
        are_rooms = bool(free)
        for cut in cuts:
            for start in range(0, len(cut), size):
                name = free.pop() if are_rooms else None
                yield Partition(sensor, tuple(cut[start : start + size]), self.rules, memory=name)

    def _settle(
        self,
        row: SensorRow,
        partition: Partition,
        answer: Folded | WorkerDiedError,
        epoch: _Epoch,
        rooms: dict[str, shared_memory.SharedMemory],
    ) -> None:
        """Add a partition's sums to the epoch, once none of its photos counts elsewhere too."""
        while not isinstance(answer, WorkerDiedError):
            outside = self._counted_elsewhere(row, answer.entries)
            if not outside:
                self._add(partition, answer, epoch, rooms)
                return
            partition = replace(partition, left_out=partition.left_out | outside)
            answer = self.workers.one(fold_partition, partition)
        if len(partition.photos) == 1:
            entry = Entry(partition.photos[0], "refused", f"killed-the-decoder: {answer}")
            self._count(epoch, [entry])
            return
        middle = len(partition.photos) // 2
        for photos in (partition.photos[:middle], partition.photos[middle:]):
            half = replace(partition, photos=photos)
            again = self.workers.one(fold_partition, half)
            self._settle(row, half, again, epoch, rooms)

    def _counted_elsewhere(self, row: SensorRow, entries: Sequence[Entry]) -> dict[str, str]:
        """Return the photos that must not be folded, by path, with state and reason."""
        outside = {}
        for entry in entries:
            if entry.statistics != "folded":
                continue
            path = entry.surveyed.path
            counted = self.ledger.counted(entry.digest)
            first = str(counted.path) if counted else self._taken.get(entry.digest)
            if first is not None:
                outside[path] = f"duplicate: same image as {first}"
            elif self.ledger.is_own_image(entry.digest):
                outside[path] = "own-copy: written by hotpixeld"
            elif self._is_similar(row, entry):
                outside[path] = "similar: same scene as an earlier photo"
        return outside

    def _is_similar(self, row: SensorRow, entry: Entry) -> bool:
        if not self.rules.skip_similar:
            return False
        if find_similar(entry.signature, self._signatures) is not None:
            return True
        return bool(self.state.detection.similar_photo(row, entry.signature))

    def _add(
        self,
        partition: Partition,
        folded: Folded,
        epoch: _Epoch,
        rooms: dict[str, shared_memory.SharedMemory],
    ) -> None:
        moments = folded.moments
        if moments is None:
            assert partition.memory is not None
            moments = moments_in(rooms[partition.memory], partition.sensor, folded.count)
        epoch.moments.merge(moments)
        self._count(epoch, folded.entries)

    def _count(self, epoch: _Epoch, entries: Sequence[Entry]) -> None:
        for entry in entries:
            told = entry
            if entry.statistics in {"folded", "similar"}:
                first = self._taken.setdefault(entry.digest, entry.surveyed.path)
                counted = self.ledger.counted(entry.digest)
                if first != entry.surveyed.path or counted is not None:
                    told = replace(entry, statistics="duplicate", reason=f"same image as {first}")
            if told.statistics == "folded":
                self._signatures.append(told.signature)
                del self._signatures[: -self.config.detection.window]
            epoch.entries.append(told)
        self._done += len(entries)
        self.progress(self._done, self._total)

    # --- what becomes of an epoch

    def _drop(self, row: SensorRow, epoch: _Epoch, before: str) -> None:
        """Rank an old epoch, date its defects, record its photos, and let its moments go."""
        pixels = read_pixels(self.ledger.db, row.id)
        if epoch.moments.count >= self.config.detection.min_photos:
            ranking = rank(
                [epoch.moments],
                false_alarms=self.config.detection.false_alarms,
                spread=self.state.accumulation.spread,  # the workers have nothing to do meanwhile
            )
            pixels = with_old_epoch(pixels, ranking.candidates, Span(before, *epoch.span))
        number = self.ledger.db.execute(
            "SELECT min(coalesce(min(epoch), 0), -1) - 1 FROM photos WHERE sensor_id = ?",
            (row.id,),
        ).fetchone()[0]
        with transaction(self.ledger.db):
            self._record(row, epoch, number, "folded")
            replace_pixels(self.ledger.db, row.id, pixels)

    def _keep(self, row: SensorRow, epochs: list[_Epoch], held: list[int]) -> None:
        """Make the newest epochs the sensor's own: the current one first, for a crash between."""
        top = held[-1] - 1 if held else 0
        for number, epoch in zip(range(top, top - len(epochs), -1), reversed(epochs), strict=True):
            written = self.state.accumulation.stored.write(row.id, number, epoch.moments)
            with transaction(self.ledger.db):
                ids = self._add_rows(epoch.entries, row, "pending")
                self.state.accumulation.stored.record(written, ids)
        if sum(epoch.moments.count for epoch in epochs) >= self.config.detection.min_photos:
            self.state.detection.rank(self.ledger.sensor(row.id))

    def _record(self, row: SensorRow, epoch: _Epoch, number: int | None, state: str) -> None:
        with transaction(self.ledger.db):
            for photo_id in self._add_rows(epoch.entries, row, state):
                self.ledger.update_photo(photo_id, epoch=number)

    def _add_rows(
        self, entries: Sequence[Entry], row: SensorRow | None, folded_as: str = "folded"
    ) -> list[int]:
        """Record photos; return the ids of those that are folded, called ``folded_as`` so far."""
        ids = []
        for entry in entries:
            surveyed, is_folded = entry.surveyed, entry.statistics == "folded"
            tally = self.result.states
            tally[entry.statistics] = tally.get(entry.statistics, 0) + 1
            if entry.statistics == "refused":
                self.result.broken.append((surveyed.path, entry.reason))
            photo_id = self.ledger.add_photo(
                Path(surveyed.path),
                entry.digest or hashlib.sha256(b"").digest(),
                identity="" if entry.may_pass else surveyed.identity,  # the next run tries again
                seen_at=self.state.handling.now(),
                statistics=cast("StatisticsState", folded_as if is_folded else entry.statistics),
                reason=entry.reason,
                sensor_id=row.id if row else None,
                map_revision=_NEVER_REPAIR,
                signature=entry.signature or None,
                captured_at=surveyed.captured_at or None,
                iso=entry.iso,
                exposure_s=entry.exposure_s,
            )
            if is_folded:
                ids.append(photo_id)
        return ids


def _survey(given: tuple[tuple[tuple[str, str], ...], Rules]) -> list[Surveyed]:
    return survey(*given)


def _has_room(room: shared_memory.SharedMemory) -> bool:
    """Take the memory now: a process that finds none when it writes dies of SIGBUS."""
    try:
        with Path("/dev/shm", room.name).open("r+b") as file:  # noqa: S108 (shm_overview(7))
            os.posix_fallocate(file.fileno(), 0, room.size)
    except OSError as error:
        log.warning("%s: %s; it goes slower", room.name, error.strerror)
        return False
    return True


def _give_back(room: shared_memory.SharedMemory) -> None:
    room.close()
    room.unlink()
