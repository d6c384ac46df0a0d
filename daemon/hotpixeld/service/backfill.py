"""`backfill`: an archive folded into the state, on many cores, in order of capture.

Each sensor's photos are cut into epochs of half a window. An epoch is folded by the workers in
partitions, whose sums are added; then it is recorded in one transaction, so that a run that was
stopped goes on where it was: what is recorded is known, the rest is done again. The newest epochs
become the sensor's current and previous one where it has none; every other one is ranked, its
defects are dated, and its moments are dropped. The photos of the daemon are never displaced.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

from hotpixeld.config import Config
from hotpixeld.core.moments import PHOTOS_BEFORE_MOMENTS, bytes_of
from hotpixeld.core.rank import rank
from hotpixeld.core.sensor import Sensor
from hotpixeld.edge.database import transaction
from hotpixeld.edge.found import stored
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.names import Names
from hotpixeld.edge.pixels import PixelRow, read_pixels, replace_pixels
from hotpixeld.edge.rows import SensorRow, StatisticsState
from hotpixeld.edge.scan import Scan
from hotpixeld.service.lookback import Lookback
from hotpixeld.service.olddefects import Span, with_old_epoch
from hotpixeld.service.partition import Entry, Rules, Surveyed, survey
from hotpixeld.service.settling import Epoch, Settlement
from hotpixeld.service.space import check_state_space
from hotpixeld.service.state import State
from hotpixeld.service.sums import SharedMemorySumming
from hotpixeld.service.tree import TreeSumming
from hotpixeld.service.workers import WorkerDiedError, Workers

log = logging.getLogger(__name__)

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
        self.epoch_photos = max(1, self.config.detection.window // 2)
        self.lookback = Lookback(state, workers, self.epoch_photos)
        self.result = Backfilled()
        self._give_survey = partial(workers.give, _survey)
        self._done = self._total = 0
        self._taken: dict[bytes, str] = {}

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
        for row in self.ledger.sensors():
            self.lookback.date_newest(row)
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
        for (given, _), answer in self.workers.in_order(self._give_survey, chunks):
            if isinstance(answer, WorkerDiedError):
                for path, identity in given:
                    yield from self._survey_alone(path, identity)
            else:
                yield from answer

    def _survey_alone(self, path: str, identity: str) -> Iterator[Surveyed]:
        answer = self.workers.one(self._give_survey, (((path, identity),), self.rules))
        if isinstance(answer, WorkerDiedError):
            yield Surveyed(path, identity, None, "", f"killed-the-decoder: {answer}")
        else:
            yield from answer

    # --- one sensor

    def _fold_sensor(self, sensor: Sensor, photos: list[Surveyed]) -> None:
        row = self.ledger.sensor_of(sensor)
        held = self.state.accumulation.epochs(row.id)
        length = self.epoch_photos
        cuts = [photos[start : start + length] for start in range(0, len(photos), length)]
        kept = max(0, 2 - len(held)) if not held or held[-1] - 1 not in held else 0
        waiting: list[Epoch] = []
        memory_bytes = self.state.accumulation.memory_bytes

        def check_space() -> None:
            check_state_space(self.config, kept * bytes_of(sensor.shape, sensor.depth_bits))

        with _summing(self.workers, sensor, memory_bytes) as sums:
            settlement = Settlement(
                self.state,
                row,
                sums,
                self.rules,
                taken=self._taken,
                on_photos=self._tell_progress,
            )
            for number, epoch in enumerate(settlement.epochs(cuts, check_space)):
                if not held and epoch.moments.count < PHOTOS_BEFORE_MOMENTS and len(cuts) == 1:
                    self._record(row, epoch, None, "waiting")
                elif number >= len(cuts) - kept:
                    waiting.append(epoch)
                else:
                    self._drop(row, epoch)
        if waiting:
            self._keep(row, waiting, held)

    def _tell_progress(self, photos: int) -> None:
        self._done += photos
        self.progress(self._done, self._total)

    # --- what becomes of an epoch

    def _drop(self, row: SensorRow, epoch: Epoch) -> None:
        """Rank an old epoch, date its defects, record its photos, and let its moments go."""
        pixels: Sequence[PixelRow] = read_pixels(self.ledger.db, row.id)
        if epoch.moments.count >= self.config.detection.min_photos:
            ranking = rank(
                [epoch.moments],
                false_alarms=self.config.detection.false_alarms,
                spread=self.state.accumulation.spread,  # the workers have nothing to do meanwhile
            )
            span = Span(self.lookback.last_before(row, epoch.span[0]), *epoch.span)
            found = with_old_epoch(pixels, ranking.candidates, span)
            pixels = self.lookback.date_epoch(row, found, epoch.entries)
        number = self.ledger.db.execute(
            "SELECT min(coalesce(min(epoch), 0), -1) - 1 FROM photos WHERE sensor_id = ?",
            (row.id,),
        ).fetchone()[0]
        with transaction(self.ledger.db):
            self._record(row, epoch, number, "folded")
            replace_pixels(self.ledger.db, row.id, pixels)

    def _keep(self, row: SensorRow, epochs: list[Epoch], held: list[int]) -> None:
        """Make the newest epochs the sensor's own: the current one first, for a crash between."""
        top = held[-1] - 1 if held else 0
        for number, epoch in zip(range(top, top - len(epochs), -1), reversed(epochs), strict=True):
            written = self.state.accumulation.stored.write(row.id, number, epoch.moments)
            with transaction(self.ledger.db):
                ids = self._add_rows(epoch.entries, row, "pending")
                self.state.accumulation.stored.record(written, ids)
        if sum(epoch.moments.count for epoch in epochs) >= self.config.detection.min_photos:
            self.state.detection.rank(self.ledger.sensor(row.id))
            self.lookback.date_vanished(row)

    def _record(self, row: SensorRow, epoch: Epoch, number: int | None, state: str) -> None:
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


def _summing(
    workers: Workers, sensor: Sensor, memory_bytes: int
) -> SharedMemorySumming | TreeSumming:
    """Return how these workers' sums are added."""
    if workers.cluster is None:
        return SharedMemorySumming(workers, sensor, memory_bytes)
    return TreeSumming(workers, workers.cluster, sensor)
