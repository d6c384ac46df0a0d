"""Opening the state's records for a command, beside a daemon that may be running."""

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from hotpixeld.config import find_config, state_folder
from hotpixeld.edge.database import open_database
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.rows import SensorRow
from hotpixeld.errors import UsageError


@contextlib.contextmanager
def records(options: argparse.Namespace) -> Iterator[Ledger]:
    """Open the ledger of the config that ``-c`` or its defaults name.

    Raises
    ------
    StateError
        There is no state, or it is damaged or newer.
    """
    folder: Path = state_folder(find_config(options.config, os.environ))
    with contextlib.closing(open_database(folder)) as db:
        yield Ledger(db)


def chosen_sensors(ledger: Ledger, key: str | None) -> list[SensorRow]:
    """Return the sensor with this key, or all where no key was given.

    Raises
    ------
    UsageError
        There is no such sensor.
    """
    sensors = ledger.sensors()
    if key is None:
        return sensors
    found = [row for row in sensors if row.key == key]
    if not found:
        known = ", ".join(row.key for row in sensors) or "none yet"
        raise UsageError(f"there is no camera {key!r}; known: {known}")
    return found


def the_sensor(ledger: Ledger, key: str | None) -> SensorRow:
    """Return the one sensor meant; with several, ``--sensor`` must tell.

    Raises
    ------
    UsageError
        There is none, or more than one, or no such sensor.
    """
    found = chosen_sensors(ledger, key)
    if not found:
        raise UsageError("no camera is known yet: each is from its first photo on")
    if len(found) != 1:
        known = ", ".join(row.key for row in found)
        raise UsageError(f"which camera? Say --sensor KEY; known: {known}")
    return found[0]
