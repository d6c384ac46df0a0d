"""One body at several geometries: its maps inform each other. Two that claim to be one: told."""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from hotpixeld.core import reasons
from hotpixeld.core.defects import Candidate
from hotpixeld.core.linking import Link, Site, Size, carried, link, visibly_two
from hotpixeld.core.observe import signed
from hotpixeld.edge.database import transaction
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.pixels import PixelRow, read_pixels
from hotpixeld.edge.rows import SensorRow
from hotpixeld.service.history import History

log = logging.getLogger(__name__)

# A defect known from the other geometry has one place to be in, not millions: a candidate there
# need not stand out of all the frame's good pixels.
_REACH_PX = 2


@dataclass(frozen=True)
class Kin:
    """Another geometry of a sensor's body, and how its frame lies on this one's."""

    sensor: SensorRow
    link: Link


def kin_of(ledger: Ledger, sensor: SensorRow) -> list[Kin]:
    """Return the sensors whose maps lie on this one's, as they were found last."""
    rows = ledger.db.execute(
        "SELECT other_id, link FROM kinships WHERE sensor_id = ? ORDER BY other_id", (sensor.id,)
    )
    return [Kin(ledger.sensor(row[0]), _read(row[1])) for row in rows.fetchall()]


def find_kin(ledger: Ledger, sensor: SensorRow) -> None:
    """Compare a sensor's defects with those of the same body's other geometries."""
    mine = _defects(read_pixels(ledger.db, sensor.id))
    found = {}
    for other in ledger.sensors():
        if other.id != sensor.id and _same_body(sensor, other):
            theirs = _defects(read_pixels(ledger.db, other.id))
            found[other.id] = (
                link(theirs, _size(other), mine, _size(sensor)),
                link(mine, _size(sensor), theirs, _size(other)),
            )
    known = {kin.sensor.id for kin in kin_of(ledger, sensor)}
    with transaction(ledger.db):
        for other_id, (onto_mine, onto_theirs) in found.items():
            _store(ledger, sensor.id, other_id, onto_mine)
            _store(ledger, other_id, sensor.id, onto_theirs)
    for other_id, (onto_mine, _) in found.items():
        if onto_mine is not None and other_id not in known:
            log.info("%s: one body with %s", sensor.key, ledger.sensor(other_id).key)


def informed(
    candidates: Iterable[Candidate], kin: Sequence[Kin], ledger: Ledger
) -> list[Candidate]:
    """Return the candidates, those confirmed that stand where a linked sensor has a defect."""
    places = [
        carried(site, _size(one.sensor), one.link)
        for one in kin
        for site in _defects(read_pixels(ledger.db, one.sensor.id))
    ]
    return [
        replace(candidate, state="confirmed", reason=reasons.LINKED)
        if candidate.reason == reasons.NOT_SURE
        and any(
            max(abs(candidate.row - row), abs(candidate.column - column)) <= _REACH_PX
            for row, column in places
        )
        else candidate
        for candidate in candidates
    ]


def shows_two_cameras(history: History | None, pixels: Sequence[PixelRow]) -> bool:
    """Tell whether the photos of one sensor show the defects of two bodies in turns."""
    if history is None:
        return False
    series = [history.observations.at(p.row, p.column) for p in pixels if p.state == "confirmed"]
    whole = [signed(s) for s in series if s is not None and len(s) == len(history.times)]
    return len(whole) >= 4 and visibly_two(np.stack(whole, axis=1).astype(np.int16))


def _same_body(one: SensorRow, other: SensorRow) -> bool:
    a, b = one.sensor, other.sensor
    return bool(a.make or a.model) and (a.make, a.model, a.serial, a.kind) == (
        b.make,
        b.model,
        b.serial,
        b.kind,
    )


def _defects(pixels: Iterable[PixelRow]) -> list[Site]:
    return [(p.row, p.column) for p in pixels if p.state == "confirmed"]


def _size(sensor: SensorRow) -> Size:
    return sensor.sensor.height, sensor.sensor.width


def _store(ledger: Ledger, sensor_id: int, other_id: int, found: Link | None) -> None:
    ledger.db.execute(
        "DELETE FROM kinships WHERE sensor_id = ? AND other_id = ?", (sensor_id, other_id)
    )
    if found is not None:
        ledger.db.execute(
            "INSERT INTO kinships (sensor_id, other_id, link) VALUES (?, ?, ?)",
            (sensor_id, other_id, json.dumps(asdict(found))),
        )


def _read(stored: str) -> Link:
    fields = json.loads(stored)
    pairs = tuple((pair[0], pair[1]) for pair in fields["pairs"])
    return Link(fields["turn"], fields["scale"], pairs, fields["by_chance"])
