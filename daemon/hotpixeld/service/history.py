"""What each photo shows at a sensor's best sites, kept to date defects and to see them heal."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hotpixeld.core.dating import MOST_PHOTOS, Dating, date
from hotpixeld.core.observe import (
    Frame,
    Light,
    Observations,
    Observed,
    observe,
    signed,
    surroundings,
)
from hotpixeld.core.prediction import Prediction, predict
from hotpixeld.core.sensor import Sensor
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.photo import Photo
from hotpixeld.edge.pixels import PixelRow
from hotpixeld.edge.rows import SensorRow

MOST_SITES = 300
_HEAD = struct.Struct("<IB")  # sites, values a site: its residuals, then its surroundings


@dataclass(frozen=True)
class Shown:
    """What one photo shows at some sites, as stored, and how it was taken."""

    observations: bytes
    at: str
    iso: float | None
    exposure_s: float | None


@dataclass(frozen=True)
class History:
    """The observations of one sensor in order of capture, and when each photo was taken.

    Attributes
    ----------
    observations : Observations
    times : list of str
    surroundings : (photos, sites, channels + 1) int16
        As `hotpixeld.core.observe.surroundings`; 0 where they were not observed.
    iso, exposure_s : (photos,) float64
        nan where the photo does not say.
    depth_bits : int
    """

    observations: Observations
    times: list[str]
    surroundings: Observed
    iso: npt.NDArray[np.float64]
    exposure_s: npt.NDArray[np.float64]
    depth_bits: int

    def of(self, row: int, column: int) -> tuple[Dating, list[str]] | None:
        """Date what is at a place; with it come the times of the photos that it counts."""
        site = self.observations.site_of(row, column)
        if site is None or not self.observations.known[:, site].any():
            return None
        known = self.observations.known[:, site]
        times = [time for time, seen in zip(self.times, known, strict=True) if seen]
        light = Light(self.surroundings[:, site], self.iso, self.exposure_s, self.depth_bits)
        return date(self.observations.values[known, site], light.of(known)), times

    def prediction(self, row: int, column: int) -> Prediction:
        """Return how exposure and ISO tell what a photo shows at a place."""
        site = self.observations.site_of(row, column)
        if site is None or not self.observations.known[:, site].any():
            return Prediction()
        known = self.observations.known[:, site]
        series = signed(self.observations.values[known, site])
        return predict(series, (self.iso * self.exposure_s)[known])

    def is_gone(self, row: int, column: int) -> bool:
        """Tell whether enough later photos would show it and do not."""
        found = self.of(row, column)
        return found is not None and found[0].gone


def dated(pixel: PixelRow, history: History | None) -> PixelRow:
    """Return the pixel with the times that its observations tell, where they tell any.

    What is older than all observations stays as old as it is.
    """
    found = history.of(pixel.row, pixel.column) if history else None
    if found is None:
        return pixel
    dating, times = found
    if dating.last_seen is not None:
        pixel = replace(pixel, last_seen=times[dating.last_seen])
    if dating.by is None:
        return pixel
    by = times[dating.by]
    if dating.after is not None:
        return replace(pixel, since_after=times[dating.after], since_by=by)
    return replace(pixel, since_by=min(by, pixel.since_by or by))


def chosen_sites(pixels: Sequence[PixelRow]) -> bytes:
    """Return the sites to observe from now on: the defects, then the best candidates, as stored."""
    order = sorted(pixels, key=lambda p: (p.state != "confirmed", -p.candidate.score))
    peaks = [(pixel.row, pixel.column) for pixel in order[:MOST_SITES]]
    return np.array(peaks, "<i4").reshape(-1, 2).tobytes()


def observed_bytes(sensor: SensorRow, photo: Photo) -> bytes | None:
    """Return what a photo shows at its sensor's sites, as stored; None before any ranking."""
    return observed_at(photo.frame, sensor.sites) if sensor.sites else None


def observed_at(frame: Frame, stored_sites: bytes) -> bytes:
    """Return what a frame shows at sites, both as stored."""
    places = _places(stored_sites)
    values = np.hstack([observe(frame, places), surroundings(frame, places)])
    head = _HEAD.pack(len(places), values.shape[1])
    return head + stored_sites + values.astype("<i2").tobytes()


def read_history(ledger: Ledger, sensor: SensorRow) -> History | None:
    """Return what the ledger has of a sensor's newest photos at its present sites."""
    if not sensor.sites:
        return None
    rows = ledger.db.execute(
        "SELECT observations, coalesce(captured_at, seen_at) AS at, iso, exposure_s FROM photos "
        "WHERE sensor_id = ? AND observations IS NOT NULL AND statistics IN "
        "('waiting', 'pending', 'folded') ORDER BY at DESC, digest DESC LIMIT ?",
        (sensor.id, MOST_PHOTOS),
    ).fetchall()[::-1]
    return history_of([Shown(*row) for row in rows], sensor.sites, sensor.sensor)


def history_of(shown: Sequence[Shown], stored_sites: bytes, sensor: Sensor) -> History:
    """Return what photos, in order of capture, show at sites, as stored."""
    sites = _places(stored_sites)
    place = {(int(row), int(column)): n for n, (row, column) in enumerate(sites)}
    channels = sensor.channels
    values = np.zeros((len(shown), len(sites), 2 * channels + 1), np.int16)
    known = np.zeros((len(shown), len(sites)), bool)
    places: dict[bytes, tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]] = {}
    for number, photo in enumerate(shown):
        there, found = _unpacked(photo.observations)
        key = there.tobytes()  # most photos were observed at the sites of one ranking
        if key not in places:
            pairs = [
                (place[site], at)
                for at, site in enumerate(map(tuple, there.tolist()))
                if site in place
            ]
            now, then = np.array(pairs, np.intp).reshape(-1, 2).T
            places[key] = now, then
        now, then = places[key]
        values[number, now, : found.shape[1]] = found[then]
        known[number, now] = True
    return History(
        Observations(sites, values[..., :channels], known),
        [photo.at for photo in shown],
        values[..., channels:],
        np.array([photo.iso for photo in shown], np.float64),
        np.array([photo.exposure_s for photo in shown], np.float64),
        sensor.depth_bits,
    )


def _places(stored_sites: bytes) -> npt.NDArray[np.intp]:
    return np.frombuffer(stored_sites, "<i4").reshape(-1, 2).astype(np.intp)


def _unpacked(stored: bytes) -> tuple[npt.NDArray[np.int32], Observed]:
    count, width = _HEAD.unpack_from(stored)
    sites = np.frombuffer(stored, "<i4", 2 * count, _HEAD.size).reshape(count, 2)
    start = _HEAD.size + sites.nbytes
    return sites, np.frombuffer(stored, "<i2", count * width, start).reshape(count, width)
