"""The report: everything that a person may want to know, gathered as plain data and written.

It is gathered in steps of about a photo's length, so that the daemon can stop between any two
and take the photo that has come.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hotpixeld.core.reasons import ACCEPTABLE, FOR_PEOPLE
from hotpixeld.edge.atomic import write_atomically
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.logs import printable
from hotpixeld.edge.page import render
from hotpixeld.edge.pictures import stretched
from hotpixeld.edge.pixels import PixelRow, pixel_document, read_pixels
from hotpixeld.edge.plots import Mark, Strength, sensor_map, strength_plot
from hotpixeld.edge.rows import SensorRow
from hotpixeld.service.health import health_of, sensor_document
from hotpixeld.service.showing import (
    LIMIT_SPREADS,
    SHOWN_SPREADS,
    Read,
    Shot,
    Showing,
    cut_around,
    look,
)
from hotpixeld.service.times import rfc3339_now
from hotpixeld.service.windows import Resident, window_of

MOST_PICTURED = 30  # of all sensors
MOST_CANDIDATES = 4  # of one sensor, with pictures
MOST_LISTED = 500  # rows of one table
_PICTURED_STATES = ("confirmed", "held", "retired")


@dataclass(frozen=True)
class Neighbourhood:
    """The running mean and the running deviation around a pixel, as pictures.

    Attributes
    ----------
    mean_dn, deviation_dn
        What black and what white stand for, in DN.
    """

    mean: str
    mean_dn: tuple[float, float]
    deviation: str
    deviation_dn: tuple[float, float]


@dataclass(frozen=True)
class Defect:
    """One pixel with its pictures."""

    anchor: str
    pixel: dict[str, Any]
    why: str
    sure: str
    neighbourhood: Neighbourhood | None
    shots: list[Shot]
    strengths: list[Strength]
    shown: int
    plot: str
    confirm: str
    reject: str
    forget: str


@dataclass(frozen=True)
class SensorPart:
    """One camera: its counts, its map, its defects with pictures, and all its other pixels."""

    anchor: str
    camera: str
    sensor: dict[str, Any]
    photos: dict[str, int]
    ranked_at: str | None
    held: str
    acceptable: int
    accept_held: str
    tally: dict[str, int]
    map: str
    defects: list[Defect]
    others: list[dict[str, Any]]
    others_left_out: int


@dataclass(frozen=True)
class ReportSource:
    """Where a report comes from.

    Attributes
    ----------
    state, config_path
        The state folder, and the config file that the printed commands name.
    min_photos
        So many photos are needed before the first ranking.
    resident
        What memory holds of a sensor's moments; see `hotpixeld.service.windows`.
    """

    ledger: Ledger
    state: Path
    config_path: Path
    min_photos: int
    read: Read
    resident: Resident


def write_report(source: ReportSource, target: Path) -> Iterator[None]:
    """Gather the report in steps, and at the last one write it whole under ``target``.

    Raises
    ------
    OSError
        It cannot be written; an earlier report stays.
    """
    sensors: list[SensorPart] = []
    left = MOST_PICTURED
    rows = sorted(source.ledger.sensors(), key=lambda row: -row.ranked_photos)
    for row in rows:
        pixels = read_pixels(source.ledger.db, row.id)
        pictured = [p for state in _PICTURED_STATES for p in pixels if p.state == state][:left]
        pictured += [p for p in pixels if p.state == "candidate"][: min(left, MOST_CANDIDATES)]
        pictured = pictured[:left]
        left -= len(pictured)
        seen: list[Showing] = [Showing() for _ in pictured]
        if pictured:
            for seen in look(source.ledger, row, pictured, source.read):  # noqa: B007 (the last one counts)
                yield
        sensors.append(_sensor_part(source, row, pixels, list(zip(pictured, seen, strict=True))))
        yield
    page = render(
        {
            "written_at": rfc3339_now(),
            "config_path": printable(str(source.config_path.absolute())),
            "health": health_of(source.state, source.ledger),
            "min_photos": source.min_photos,
            "sensors": sensors,
            "troubled": _troubled(source.ledger),
            "events": _events(source.ledger),
            "shown": SHOWN_SPREADS,
            "limit": LIMIT_SPREADS,
        }
    )
    write_atomically(target, page.encode("utf-8", "backslashreplace"), sync=False)


def _sensor_part(
    source: ReportSource,
    row: SensorRow,
    pixels: Sequence[PixelRow],
    pictured: Sequence[tuple[PixelRow, Showing]],
) -> SensorPart:
    defects = [_defect(source, row, pixel, showing) for pixel, showing in pictured]
    with_card = {(pixel.row, pixel.column) for pixel, _ in pictured}
    others = [p for p in pixels if (p.row, p.column) not in with_card]
    marks = [
        Mark(
            p.column,
            p.row,
            p.state,
            f"{p.column},{p.row}: {p.candidate.kind}, {p.state}",
            _anchor(row, p) if (p.row, p.column) in with_card else "",
        )
        for p in pixels[:MOST_LISTED]
        if p.state in ("confirmed", "held", "candidate")
    ]
    states = ("folded", "pending", "waiting", "similar", "duplicate", "lost")
    tally = dict.fromkeys(("confirmed", "held", "candidate", "rejected", "retired"), 0)
    for pixel in pixels:
        tally[pixel.state] += 1
    return SensorPart(
        anchor=f"camera-{row.id}",
        camera=_camera(row),
        sensor=sensor_document(row),
        photos={state: source.ledger.count(row.id, state) for state in states},  # type: ignore[arg-type]
        ranked_at=row.ranked_at,
        held=FOR_PEOPLE.get(row.held_reason, row.held_reason),
        acceptable=sum(p.state == "held" and p.reason in ACCEPTABLE for p in pixels),
        accept_held=_command(source, row, "confirm", "--held"),
        tally=tally,
        map=sensor_map(
            row.sensor.width, row.sensor.height, marks, name=f"Map of {len(marks)} pixels"
        ),
        defects=defects,
        others=[_listed(source, row, pixel) for pixel in others[:MOST_LISTED]],
        others_left_out=max(0, len(others) - MOST_LISTED),
    )


def _defect(source: ReportSource, row: SensorRow, pixel: PixelRow, showing: Showing) -> Defect:
    where = f"{pixel.column},{pixel.row}"
    strengths = showing.strengths()
    return Defect(
        anchor=_anchor(row, pixel),
        pixel=pixel_document(pixel),
        why=FOR_PEOPLE.get(pixel.reason, pixel.reason),
        sure=_sure(pixel.candidate.score, pixel.candidate.photos),
        neighbourhood=_neighbourhood(source, row, pixel),
        shots=showing.best_shots(),
        strengths=strengths,
        shown=sum(strength.spreads >= SHOWN_SPREADS for strength in strengths),
        plot=strength_plot(
            strengths,
            shown=SHOWN_SPREADS,
            limit=LIMIT_SPREADS,
            name=f"Strength of {where} in {len(strengths)} photos",
        ),
        confirm=_command(source, row, "confirm", where),
        reject=_command(source, row, "reject", where),
        forget=_command(source, row, "forget", where),
    )


def _listed(source: ReportSource, row: SensorRow, pixel: PixelRow) -> dict[str, Any]:
    return pixel_document(pixel) | {
        "why": FOR_PEOPLE.get(pixel.reason, pixel.reason),
        "confirm": _command(source, row, "confirm", f"{pixel.column},{pixel.row}"),
    }


def _neighbourhood(source: ReportSource, row: SensorRow, pixel: PixelRow) -> Neighbourhood | None:
    shape = row.sensor.height, row.sensor.width
    place = cut_around(pixel.row, pixel.column, shape)
    moments = window_of(source.ledger, source.state / "moments", source.resident, row.id, place)
    if moments is None:
        return None
    mean, *mean_dn = stretched(moments.mean())
    deviation, *deviation_dn = stretched(np.sqrt(moments.variance().mean(axis=2, keepdims=True)))
    return Neighbourhood(
        mean, (mean_dn[0], mean_dn[1]), deviation, (deviation_dn[0], deviation_dn[1])
    )


def _sure(score: float, photos: int) -> str:
    """Say in words how many good pixels would look so by chance."""
    if not photos:
        return "not judged: named by hand"
    odds = f"expected number of good pixels that look so: {10.0 ** -min(score, 300.0):.2g}"
    if score >= 10:
        return f"practically certain ({odds})"
    if score >= 4:
        return f"very sure ({odds})"
    return f"sure ({odds})" if score >= 2 else f"not sure ({odds})"


def _camera(row: SensorRow) -> str:
    """Return make and model, the make once: many cameras say it in both."""
    make, model = row.sensor.make, row.sensor.model
    name = model if model.lower().startswith(make.lower()) else f"{make} {model}"
    return printable(name.strip() or f"Unknown camera ({row.key})")


def _anchor(row: SensorRow, pixel: PixelRow) -> str:
    return f"pixel-{row.id}-{pixel.column}-{pixel.row}"


def _command(source: ReportSource, row: SensorRow, *words: str) -> str:
    config = printable(shlex.quote(str(source.config_path.absolute())))
    action, *rest = words
    return f"hotpixeld pixels {action} -c {config} --sensor {row.key} {' '.join(rest)}"


def _troubled(ledger: Ledger) -> dict[str, Any]:
    """Return the photos that were refused, lost, or whose copy failed: the newest, and how many."""
    rows = [*ledger.photos(states=("refused", "lost", "failed"))]
    return {
        "count": len(rows),
        "photos": [
            {
                "path": printable(str(row.path)),
                "what": "copy failed" if row.copy == "failed" else row.statistics,
                "why": printable(row.copy_reason if row.copy == "failed" else row.reason),
                "seen_at": row.seen_at,
            }
            for row in rows[: -MOST_LISTED - 1 : -1]
        ],
    }


def _events(ledger: Ledger) -> list[dict[str, str]]:
    rows = ledger.db.execute("SELECT at, code, what FROM events ORDER BY id DESC LIMIT 50")
    return [{"at": r["at"], "code": r["code"], "what": printable(r["what"])} for r in rows]
