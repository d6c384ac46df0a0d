"""An archive's photos looked at once more, to date to the photo what its rankings have found.

A ranking tells which pixels are defective, not since when. So the workers decode an epoch's photos
again and observe these places in each, as the daemon does with every photo that comes; what was
there from the first photo on is looked for in as many photos before. Nothing is looked at twice:
only defects of which no earlier time is known make it necessary.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hotpixeld.core.sensor import Sensor
from hotpixeld.edge.database import transaction
from hotpixeld.edge.photo import read_photo
from hotpixeld.edge.pixels import PixelRow, read_pixels, replace_pixels
from hotpixeld.edge.rows import SensorRow
from hotpixeld.errors import PhotoError
from hotpixeld.service.history import (
    MOST_SITES,
    History,
    Shown,
    chosen_sites,
    dated,
    history_of,
    observed_at,
)
from hotpixeld.service.olddefects import OldDefects
from hotpixeld.service.partition import Entry
from hotpixeld.service.state import State
from hotpixeld.service.workers import WorkerDiedError, Workers

log = logging.getLogger(__name__)

TASK_PHOTOS = 10


@dataclass(frozen=True)
class Taken:
    """A photo that counts; ``id`` is its row of the ledger, 0 before it is recorded."""

    path: str
    digest: bytes
    at: str
    iso: float | None
    exposure_s: float | None
    id: int = 0
    is_observed: bool = False  # the ledger has what it shows

    @classmethod
    def of(cls, entry: Entry) -> "Taken":
        """Return the photo of an entry."""
        surveyed = entry.surveyed
        at = surveyed.captured_at
        return cls(surveyed.path, entry.digest, at, entry.iso, entry.exposure_s)


@dataclass(frozen=True)
class Look:
    """What a worker is to look at: photos of one sensor at sites, as stored."""

    photos: tuple[Taken, ...]
    sites: bytes
    sensor: Sensor
    max_pixels: int


def look(asked: Look) -> list[bytes | None]:
    """Return what each photo shows, as stored; None where it is not there as it was folded."""
    return [_seen(photo, asked) for photo in asked.photos]


def _seen(taken: Taken, asked: Look) -> bytes | None:
    path = Path(taken.path)
    try:
        photo = read_photo(path.read_bytes(), path.name, max_pixels=asked.max_pixels)
    except (OSError, PhotoError):
        return None
    if photo.digest != taken.digest or photo.sensor != asked.sensor:
        return None
    return observed_at(photo.frame, asked.sites)


class Lookback:
    """Dates the defects of an archive to the photo.

    Parameters
    ----------
    reach
        How many photos before an epoch are looked at, where a defect is older than the epoch.
    """

    def __init__(self, state: State, workers: Workers, reach: int) -> None:
        self._state = state
        self._workers = workers
        self._reach = reach
        self._give = partial(workers.give, look)

    def last_before(self, row: SensorRow, at: str) -> str:
        """Return when the last photo that counts was taken before a time; empty: there is none."""
        before = self._before(row, at, 1)
        return before[0].at if before else ""

    def date_epoch(
        self, row: SensorRow, found: OldDefects, entries: Sequence[Entry]
    ) -> tuple[PixelRow, ...]:
        """Return the pixels with the dates that an epoch's photos, not yet recorded, tell."""
        pixels = list(found.pixels)
        asked = (*found.new, *found.vanished)
        photos = [Taken.of(entry) for entry in entries if entry.statistics == "folded"]
        if not asked or not photos:
            return found.pixels
        sites = chosen_sites([pixels[at] for at in asked])
        shown = self._shown(row, photos, sites)
        history = history_of(shown, sites, row.sensor)
        if found.vanished or not all(_sets_in(pixels[at], history) for at in found.new):
            first = min((photo.at for photo in photos if photo.at), default="")
            earlier = self._shown(row, self._before(row, first, self._reach), sites)
            history = history_of(earlier + shown, sites, row.sensor)
        last = max(photo.at for photo in photos)
        for at in found.new:
            pixels[at] = _dated_anew(pixels[at], history, last)
        for at in found.vanished:
            pixels[at] = _last_shown(pixels[at], history)
        return tuple(pixels)

    def date_vanished(self, row: SensorRow) -> None:
        """Tell when defects were last seen that the last old epoch has and the newest have not."""
        newest = self._newest(row)
        first = newest[0].at if newest else ""
        last_before = self.last_before(row, first)
        pixels = read_pixels(self._state.ledger.db, row.id)
        vanished = [p for p in pixels if p.state == "retired" and p.last_seen == last_before]
        if not vanished:
            return
        sites = chosen_sites(vanished)
        photos = [*self._before(row, first, self._reach), *newest]
        history = history_of(self._shown(row, photos, sites), sites, row.sensor)
        dated_pixels = [_last_shown(p, history) if p in vanished else p for p in pixels]
        replace_pixels(self._state.ledger.db, row.id, dated_pixels)

    def date_newest(self, row: SensorRow) -> None:
        """Observe the photos of the sensor's own epochs where a defect has no date, and date it.

        What the photos show is recorded with them, as if the daemon had seen it; a run that was
        stopped goes on here.
        """
        if all(pixel.since_by for pixel in self._confirmed(row)):
            return
        newest = self._newest(row)
        self._observe(row, newest)
        first = newest[0].at if newest else ""
        if any(_is_as_old_as(pixel, first) for pixel in self._confirmed(row)):
            self._observe(row, self._before(row, first, self._reach))

    def _confirmed(self, row: SensorRow) -> list[PixelRow]:
        pixels = read_pixels(self._state.ledger.db, row.id)[:MOST_SITES]
        return [pixel for pixel in pixels if pixel.state == "confirmed"]

    def _observe(self, row: SensorRow, photos: Sequence[Taken]) -> None:
        """Record what the photos show of which that is not known, and rank with it."""
        unknown = [photo for photo in photos if not photo.is_observed]
        if not row.sites or not unknown:
            return
        looked = list(self._looked(row, unknown, row.sites))
        with transaction(self._state.ledger.db):
            for photo, seen in looked:
                self._state.ledger.update_photo(photo.id, observations=seen)
            self._state.detection.rank(row)

    def _before(self, row: SensorRow, at: str, limit: int) -> list[Taken]:
        """Return the last photos that were taken before a time, in order of capture."""
        return self._taken(
            "SELECT path, digest, captured_at AS at, iso, exposure_s, id, "
            "observations IS NOT NULL FROM photos "
            "WHERE sensor_id = ? AND statistics = 'folded' AND captured_at < ? "
            "ORDER BY at DESC, digest DESC LIMIT ?",
            (row.id, at, limit),
        )

    def _newest(self, row: SensorRow) -> list[Taken]:
        """Return the photos of the epochs that have moments, in order of capture."""
        epochs = self._state.accumulation.epochs(row.id)
        if not epochs:
            return []
        return self._taken(
            "SELECT path, digest, coalesce(captured_at, '') AS at, iso, exposure_s, id, "
            "observations IS NOT NULL FROM photos "
            "WHERE sensor_id = ? AND statistics = 'folded' AND epoch >= ? "
            "ORDER BY at DESC, digest DESC",
            (row.id, epochs[0]),
        )

    def _taken(self, query: str, values: tuple[object, ...]) -> list[Taken]:
        rows = self._state.ledger.db.execute(query, values).fetchall()[::-1]
        return [Taken(os.fsdecode(row["path"]), *tuple(row)[1:]) for row in rows]

    def _shown(self, row: SensorRow, photos: Sequence[Taken], sites: bytes) -> list[Shown]:
        return [
            Shown(seen, photo.at, photo.iso, photo.exposure_s)
            for photo, seen in self._looked(row, photos, sites)
        ]

    def _looked(
        self, row: SensorRow, photos: Sequence[Taken], sites: bytes
    ) -> Iterator[tuple[Taken, bytes]]:
        """Yield the photos that are still there, each with what it shows."""
        log.info("%s: looking again at %d photos, to date defects", row.key, len(photos))
        max_pixels = self._state.config.limits.max_pixels
        tasks = (
            Look(tuple(photos[start : start + TASK_PHOTOS]), sites, row.sensor, max_pixels)
            for start in range(0, len(photos), TASK_PHOTOS)
        )
        for task, answer in self._workers.in_order(self._give, tasks):
            if isinstance(answer, WorkerDiedError):
                log.warning("%s and %d more: %s", task.photos[0].path, len(task.photos) - 1, answer)
                continue
            for photo, seen in zip(task.photos, answer, strict=True):
                if seen is not None:
                    yield photo, seen


def _sets_in(pixel: PixelRow, history: History) -> bool:
    found = history.of(pixel.row, pixel.column)
    return found is not None and found[0].after is not None


def _dated_anew(pixel: PixelRow, history: History, last: str) -> PixelRow:
    """Return the pixel with its dates; it may have been seen after the last of these photos."""
    told = dated(replace(pixel, since_after=None, since_by=None), history)
    if not told.since_by:
        return pixel
    was_seen_later = pixel.last_seen is not None and pixel.last_seen > last
    last_seen = pixel.last_seen if was_seen_later else told.last_seen
    return replace(told, since_after=told.since_after or None, last_seen=last_seen)


def _last_shown(pixel: PixelRow, history: History) -> PixelRow:
    """Return the pixel with the time when it was last seen, where the history shows it healed."""
    found = history.of(pixel.row, pixel.column)
    if found is None or not found[0].gone or found[0].last_seen is None:
        return pixel
    return replace(pixel, last_seen=found[1][found[0].last_seen] or pixel.last_seen)


def _is_as_old_as(pixel: PixelRow, at: str) -> bool:
    return not pixel.since_after and (pixel.since_by or "") >= at
