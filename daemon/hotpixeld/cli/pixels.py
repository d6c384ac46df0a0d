"""`pixels`: what was found, and a person's word on it."""

import argparse
from collections.abc import Sequence
from typing import Any

from hotpixeld.cli.lists import export_list, import_list
from hotpixeld.cli.pixeltext import parse_pixels, print_pixels
from hotpixeld.cli.records import chosen_sensors, records, the_sensor
from hotpixeld.cli.terminal import print_json, say
from hotpixeld.cli.words import note_words
from hotpixeld.core.reasons import ACCEPTABLE
from hotpixeld.core.verdicts import Word
from hotpixeld.edge.database import transaction
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.pixels import pixel_document, read_pixels
from hotpixeld.edge.rows import SensorRow
from hotpixeld.errors import UsageError
from hotpixeld.service.health import sensor_document
from hotpixeld.service.times import rfc3339_now

_WORDS: dict[str, Word | None] = {
    "confirm": "confirm",
    "reject": "reject",
    "add": "add",
    "forget": None,
}


def execute(options: argparse.Namespace) -> int:
    """Run the chosen command."""
    with records(options) as ledger:
        if options.action == "list":
            _list(ledger, options.sensor, as_json=options.json)
        elif options.action == "confirm" and options.held:
            _accept_held(ledger, options)
        elif options.action == "export":
            export_list(ledger, options)
        elif options.action == "import":
            import_list(ledger, options)
        else:
            _say(ledger, options)
    return 0


def _list(ledger: Ledger, key: str | None, *, as_json: bool) -> None:
    sensors = chosen_sensors(ledger, key)
    documents: list[dict[str, Any]] = [
        {
            "sensor": sensor_document(row),
            "photos": ledger.count(row.id, "folded", "pending"),
            "held_reason": row.held_reason or None,
            "pixels": [pixel_document(pixel) for pixel in read_pixels(ledger.db, row.id)],
        }
        for row in sensors
    ]
    if as_json:
        print_json({"sensors": documents})
        return
    for document in documents:
        say(f"{document['sensor']['key']}: {document['photos']} photos")
        if document["held_reason"]:
            say(f"  held back: {document['held_reason']}")
        print_pixels(document["pixels"])


def check_inside(sensor: SensorRow, pixels: Sequence[tuple[int, int]]) -> None:
    """Raise `UsageError` where a pixel is outside the sensor's frame."""
    width, height = sensor.sensor.width, sensor.sensor.height
    for x, y in pixels:
        if x >= width or y >= height:
            raise UsageError(f"{x},{y} is outside {sensor.key}, which has {width}x{height} pixels")


def _say(ledger: Ledger, options: argparse.Namespace) -> None:
    pixels = parse_pixels(options.pixels)
    if not pixels:
        raise UsageError("which pixels? Write X,Y as in 411,236, or --held")
    sensor = the_sensor(ledger, options.sensor)
    check_inside(sensor, pixels)
    note_words(ledger, sensor, pixels, _WORDS[options.action])


def _accept_held(ledger: Ledger, options: argparse.Namespace) -> None:
    sensor = the_sensor(ledger, options.sensor)
    held = [
        pixel
        for pixel in read_pixels(ledger.db, sensor.id)
        if pixel.state == "held" and pixel.reason in ACCEPTABLE
    ]
    now = rfc3339_now()
    with transaction(ledger.db):
        for pixel in held:
            ledger.say(sensor.id, pixel.row, pixel.column, "confirm", now)
        ledger.ask("reconsider", sensor.key.encode(), now)
    say(f"{sensor.key}: {len(held)} held pixel(s) confirmed")
