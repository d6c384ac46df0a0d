"""A person's word on pixels, for the whole defects that they belong to."""

from collections.abc import Sequence

from hotpixeld.cli.terminal import say
from hotpixeld.core.verdicts import Word
from hotpixeld.edge.database import transaction
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.pixels import read_pixels
from hotpixeld.edge.rows import SensorRow
from hotpixeld.service.times import rfc3339_now

_TOLD = 5


def note_words(
    ledger: Ledger, sensor: SensorRow, pixels: Sequence[tuple[int, int]], word: Word | None
) -> None:
    """Note a word on ``pixels``, (x, y) each; None takes it back.

    A pixel in the footprint of a defect stands for that defect; the surest where there are more.
    """
    known = read_pixels(ledger.db, sensor.id)
    spots = ledger.words(sensor.id).keys() | {(pixel.row, pixel.column) for pixel in known}
    peaks = {
        (part.row, part.column): (pixel.row, pixel.column)
        for pixel in reversed(known)  # the surest comes last, and stays
        for part in pixel.candidate.footprint
    }
    places = {(y, x): (y, x) if (y, x) in spots else peaks.get((y, x), (y, x)) for x, y in pixels}
    moved = [(place, peak) for place, peak in places.items() if place != peak]
    said = dict.fromkeys(places.values())
    now = rfc3339_now()
    with transaction(ledger.db):
        for row, column in said:
            ledger.say(sensor.id, row, column, word, now)
        ledger.ask("reconsider", sensor.key.encode(), now)
    for (y, x), (row, column) in moved[:_TOLD]:
        say(f"{x},{y} belongs to the defect {column},{row}")
    if len(moved) > _TOLD:
        say(f"{len(moved) - _TOLD} more belong to known defects")
    say(
        f"{sensor.key}: noted {len(said)} pixel(s); the daemon takes it up within seconds, "
        "or when it next starts"
    )
