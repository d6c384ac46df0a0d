"""What each photo shows at a sensor's best sites, kept to date defects and to see them heal."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hotpixeld.core.dating import Dating, date
from hotpixeld.core.observe import Observations, Observed, observe, signed
from hotpixeld.core.prediction import Prediction, predict
from hotpixeld.edge.ledger import Ledger, SensorRow
from hotpixeld.edge.photo import Photo
from hotpixeld.edge.pixels import PixelRow

MOST_SITES = 300
_HEAD = struct.Struct("<IB")  # sites, channels


@dataclass(frozen=True)
class History:
    """The observations of one sensor in order of capture.

    Attributes
    ----------
    times : list of str
        When each photo was taken.
    doses : (photos,) float64
        ISO times exposure in seconds; not a number where a photo does not say.
    """

    observations: Observations
    times: list[str]
    doses: npt.NDArray[np.float64]

    def of(self, row: int, column: int) -> tuple[Dating, list[str]] | None:
        """Date what is at a place; with it come the times of the photos that it counts."""
        observed = self.observations.at(row, column)
        if observed is None or not len(observed):
            return None
        known = self._known_at(row, column)
        times = [time for time, seen in zip(self.times, known, strict=True) if seen]
        return date(signed(observed)), times

    def prediction(self, row: int, column: int) -> Prediction:
        """Return how exposure and ISO tell what a photo shows at a place."""
        observed = self.observations.at(row, column)
        if observed is None or not len(observed):
            return Prediction()
        return predict(signed(observed), self.doses[self._known_at(row, column)])

    def _known_at(self, row: int, column: int) -> npt.NDArray[np.bool_]:
        away = np.abs(self.observations.sites - np.array([row, column])).max(axis=1)
        known: npt.NDArray[np.bool_] = self.observations.known[:, int(np.argmin(away))]
        return known

    def is_gone(self, row: int, column: int) -> bool:
        """Tell whether enough later photos would show it and do not."""
        found = self.of(row, column)
        return found is not None and found[0].gone


def dated(pixel: PixelRow, history: History | None) -> PixelRow:
    """Return the pixel with the times that its observations tell, where they tell any."""
    found = history.of(pixel.row, pixel.column) if history else None
    if found is None:
        return pixel
    dating, times = found
    return replace(
        pixel,
        since_after=times[dating.after] if dating.after is not None else pixel.since_after,
        since_by=times[dating.by] if dating.by is not None else pixel.since_by,
        last_seen=times[dating.last_seen] if dating.last_seen is not None else pixel.last_seen,
    )


def chosen_sites(pixels: Sequence[PixelRow]) -> bytes:
    """Return the sites to observe from now on: the defects, then the best candidates, as stored."""
    order = sorted(pixels, key=lambda p: (p.state != "confirmed", -p.candidate.score))
    peaks = [(pixel.row, pixel.column) for pixel in order[:MOST_SITES]]
    return np.array(peaks, "<i4").reshape(-1, 2).tobytes()


def observed_bytes(sensor: SensorRow, photo: Photo) -> bytes | None:
    """Return a photo's residuals at its sensor's sites, as stored; None before any ranking."""
    if not sensor.sites:
        return None
    sites = np.frombuffer(sensor.sites, "<i4").reshape(-1, 2)
    values = observe(photo.frame, sites.astype(np.intp))
    return _HEAD.pack(len(sites), values.shape[1]) + sensor.sites + values.astype("<i2").tobytes()


def read_history(ledger: Ledger, sensor: SensorRow) -> History | None:
    """Return what the ledger has of a sensor's photos at its present sites."""
    if not sensor.sites:
        return None
    sites = np.frombuffer(sensor.sites, "<i4").reshape(-1, 2)
    place = {(int(row), int(column)): n for n, (row, column) in enumerate(sites)}
    rows = ledger.db.execute(
        "SELECT observations, coalesce(captured_at, seen_at) AS at, iso * exposure_s AS dose "
        "FROM photos WHERE sensor_id = ? AND observations IS NOT NULL AND statistics IN "
        "('waiting', 'pending', 'folded') ORDER BY at, digest",
        (sensor.id,),
    ).fetchall()
    values = np.zeros((len(rows), len(sites), sensor.sensor.channels), np.int16)
    known = np.zeros((len(rows), len(sites)), bool)
    for number, row in enumerate(rows):
        for there, found in zip(*_unpacked(row["observations"]), strict=True):
            if (site := place.get((int(there[0]), int(there[1])))) is not None:
                values[number, site] = found
                known[number, site] = True
    observations = Observations(sites.astype(np.intp), values, known)
    doses = np.array([np.nan if row["dose"] is None else row["dose"] for row in rows], np.float64)
    return History(observations, [row["at"] for row in rows], doses)


def _unpacked(stored: bytes) -> tuple[npt.NDArray[np.int32], Observed]:
    count, channels = _HEAD.unpack_from(stored)
    sites = np.frombuffer(stored, "<i4", 2 * count, _HEAD.size).reshape(count, 2)
    start = _HEAD.size + sites.nbytes
    return sites, np.frombuffer(stored, "<i2", count * channels, start).reshape(count, channels)
