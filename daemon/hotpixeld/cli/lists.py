"""`pixels export|import`: lists of other programs."""

import argparse
import sys
from pathlib import Path

from hotpixeld.cli.records import the_sensor
from hotpixeld.cli.terminal import say
from hotpixeld.cli.words import note_words
from hotpixeld.core.lists import rawtherapee_name
from hotpixeld.edge.atomic import write_atomically
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.logs import printable
from hotpixeld.edge.pixels import read_pixels
from hotpixeld.errors import HotpixeldError
from hotpixeld.service.listing import exported, imported

_MOST_BYTES = 256 * 1024**2
_LINES_TOLD = 5


def export_list(ledger: Ledger, options: argparse.Namespace) -> None:
    """Write the confirmed pixels of one sensor as ``--format`` says."""
    row = the_sensor(ledger, options.sensor)
    data = exported(options.format, row.sensor, read_pixels(ledger.db, row.id))
    target: Path | None = options.output
    if target is None:
        sys.stdout.buffer.write(data)
        return
    if options.format == "rawtherapee" and target.is_dir():
        sensor = row.sensor
        target /= rawtherapee_name(sensor.make, sensor.model, sensor.serial)
    try:
        write_atomically(target, data)
    except OSError as error:
        raise HotpixeldError(f"{target}: {error.strerror}") from error
    say(f"{target}: written")


def import_list(ledger: Ledger, options: argparse.Namespace) -> None:
    """Note each pixel of the list as a defect that a person knows."""
    row = the_sensor(ledger, options.sensor)
    try:
        with options.file.open("rb") as file:
            data = file.read(_MOST_BYTES)
        pixels, left_out = imported(options.format, row.sensor, data)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise HotpixeldError(f"{options.file}: {reason}") from error
    for number, line in left_out[:_LINES_TOLD]:
        sys.stderr.write(f"{options.file}:{number}: left out: {printable(line)}\n")
    if len(left_out) > _LINES_TOLD:
        sys.stderr.write(f"{options.file}: {len(left_out) - _LINES_TOLD} more lines left out\n")
    if not pixels:
        raise HotpixeldError(f"{options.file}: no pixels of {row.key} in this list")
    note_words(ledger, row, [(pixel.x, pixel.y) for pixel in pixels], "add")
