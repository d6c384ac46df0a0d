"""What real photos show at a sensor's defects: crops of the original and of the copy, strengths.

One photo is decoded at a time, and each step is about as long as one photo takes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from hotpixeld.core.observe import SHOWN, Frame, Observed, observe, signed
from hotpixeld.core.residual import RESIDUAL_LIMIT, RESIDUAL_UNIT
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.photo import Photo
from hotpixeld.edge.pictures import photo_picture
from hotpixeld.edge.pixels import PixelRow
from hotpixeld.edge.plots import Strength
from hotpixeld.edge.rows import PhotoRow, SensorRow
from hotpixeld.edge.whole import NotYet, read_whole
from hotpixeld.errors import PhotoError
from hotpixeld.service.copying import is_as_written
from hotpixeld.service.history import History, read_history

Read = Callable[[PhotoRow, bytes], Photo]

MOST_PHOTOS = 12  # decoded a sensor
MOST_SHOTS = 4  # crops a defect
MOST_OBSERVED = 400  # dots in a plot
CROP_PX = 33
SHOWN_SPREADS = SHOWN / RESIDUAL_UNIT
LIMIT_SPREADS = RESIDUAL_LIMIT / RESIDUAL_UNIT


@dataclass(frozen=True)
class Shot:
    """One defect in one photo: as it was taken, and as it was repaired.

    Attributes
    ----------
    after
        Picture of the copy; empty where there is none, and ``copy_state`` says why.
    """

    name: str
    when: str
    before: str
    after: str
    copy_state: str
    spreads: float


@dataclass
class Showing:
    """What photos show of one defect, in order of capture."""

    shots: list[Shot] = field(default_factory=list)
    observed: list[tuple[str, Observed]] = field(default_factory=list)

    def strengths(self) -> list[Strength]:
        """Return the strength in each photo, positive as the defect shows."""
        if not self.observed:
            return []
        values = signed(np.stack([values for _, values in self.observed])) / RESIDUAL_UNIT
        return [
            Strength(when, float(value))
            for (when, _), value in zip(self.observed, values, strict=True)
        ]

    def best_shots(self) -> list[Shot]:
        """Return the shots to show: of each stretch of time the one in which it shows most."""
        if not self.shots:
            return []
        stretches = np.array_split(np.arange(len(self.shots)), min(MOST_SHOTS, len(self.shots)))
        chosen = []
        for numbers in stretches:
            shots = [self.shots[number] for number in numbers]
            chosen.append(max(shots, key=lambda shot: (bool(shot.after), shot.spreads)))
        return chosen


def look(
    ledger: Ledger, sensor: SensorRow, pixels: Sequence[PixelRow], read: Read
) -> Iterator[list[Showing]]:
    """Look at photos of a sensor one by one; each step yields what was seen up to then.

    Parameters
    ----------
    read
        Decodes a photo that the ledger has; raises `PhotoError`.
    """
    seen = [Showing() for _ in pixels]
    for row in _chosen(ledger, sensor):
        photo = _read(row, read)
        if photo is not None and photo.frame.shape[:2] == _shape(sensor):
            copy = _copy_frame(ledger, row, photo.frame, read)
            _take(row, photo.frame, copy, list(zip(pixels, seen, strict=True)))
        yield seen
    history = read_history(ledger, sensor)
    for pixel, showing in zip(pixels, seen, strict=True):
        recorded = _recorded(history, pixel)
        if len(recorded) >= len(showing.observed):
            showing.observed = recorded
    yield seen


def cut_around(row: int, column: int, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of a crop with the pixel in it, moved inside the frame."""
    spans = []
    for place, length in zip((row, column), shape, strict=True):
        start = max(0, min(place - CROP_PX // 2, length - CROP_PX))
        spans.append(slice(start, min(length, start + CROP_PX)))
    return spans[0], spans[1]


def _shape(sensor: SensorRow) -> tuple[int, int]:
    return sensor.sensor.height, sensor.sensor.width


def _chosen(ledger: Ledger, sensor: SensorRow) -> list[PhotoRow]:
    """Return photos spread over the time that the sensor is known, those with a copy first."""
    ids = ledger.db.execute(
        "SELECT id, copy = 'written' FROM photos WHERE sensor_id = ? AND statistics IN "
        "('waiting', 'pending', 'folded', 'similar', 'lost') "
        "ORDER BY coalesce(captured_at, seen_at), id",
        (sensor.id,),
    ).fetchall()
    if not ids:
        return []
    parts = np.array_split(np.arange(len(ids)), min(MOST_PHOTOS, len(ids)))
    best = (
        max((ids[n] for n in part), key=lambda found: int(found[1])) for part in parts if part.size
    )
    return [ledger.photo(found[0]) for found in best]


def _take(
    row: PhotoRow, frame: Frame, copy: Frame | None, seen: Sequence[tuple[PixelRow, Showing]]
) -> None:
    """Add what one photo shows at each pixel."""
    sites = np.array([(pixel.row, pixel.column) for pixel, _ in seen], np.intp)
    when = row.captured_at or row.seen_at
    for (pixel, showing), values in zip(seen, observe(frame, sites), strict=True):
        rows, columns = cut_around(pixel.row, pixel.column, frame.shape[:2])
        crop = frame[rows, columns]
        after = photo_picture(copy[rows, columns], crop) if copy is not None else ""
        showing.observed.append((when, values))
        showing.shots.append(
            Shot(
                name=row.path.name,
                when=when,
                before=photo_picture(crop, crop),
                after=after,
                copy_state=row.copy,
                spreads=float(np.abs(values).max()) / RESIDUAL_UNIT,
            )
        )


def _read(row: PhotoRow, read: Read) -> Photo | None:
    found = read_whole(row.path)
    if isinstance(found, NotYet):
        return None
    try:
        photo = read(row, found.data)
    except PhotoError:
        return None
    return photo if photo.digest == row.digest else None


def _copy_frame(ledger: Ledger, row: PhotoRow, frame: Frame, read: Read) -> Frame | None:
    copy = ledger.copy_of(row.id)
    try:
        if copy is None or not is_as_written(copy):
            return None
        found = read_whole(copy.path)
        if isinstance(found, NotYet):
            return None
        decoded = read(row, found.data).frame
    except (OSError, PhotoError):
        return None
    return decoded if decoded.shape == frame.shape else None


def _recorded(history: History | None, pixel: PixelRow) -> list[tuple[str, Observed]]:
    """Return what the ledger has observed at a pixel photo by photo, thinned out evenly."""
    if history is None:
        return []
    seen = history.observations
    away = np.abs(seen.sites - np.array([pixel.row, pixel.column])).max(axis=1)
    site = int(np.argmin(away))
    numbers = np.flatnonzero(seen.known[:, site] & (away[site] <= 1))
    kept = np.linspace(0, len(numbers) - 1, min(len(numbers), MOST_OBSERVED)).astype(int)
    return [(history.times[n], seen.values[n, site]) for n in numbers[kept].tolist()]
