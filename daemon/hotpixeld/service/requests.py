"""What commands ask of the running daemon, taken up within seconds."""

import logging
import os
from pathlib import Path

from hotpixeld.edge.watch import Watcher
from hotpixeld.service.state import State

log = logging.getLogger(__name__)


def take_requests(state: State, watcher: Watcher | None) -> bool:
    """Do what commands have asked for; tell whether a defect map may have changed.

    A request is removed once it is done: what a crash or a full disk breaks off is done again,
    and nothing is another thing for being done twice.

    Parameters
    ----------
    watcher
        Offers photos again; None in a single pass, which looks at every file anyway.

    Raises
    ------
    OSError, sqlite3.OperationalError
        The state's disk is full or fails; the request and those behind it wait.
    """
    requests = state.ledger.requests()
    for request_id, what, argument in requests:
        _do(state, watcher, what, argument)
        state.ledger.close_request(request_id)
    return bool(requests)


def _do(state: State, watcher: Watcher | None, what: str, argument: bytes | None) -> None:
    match what:
        case "reconsider" | "forget-sensor":
            sensor = state.ledger.sensor_by_key((argument or b"").decode())
            if sensor is not None and what == "reconsider":
                state.detection.reconsider(sensor)
            elif sensor is not None:
                state.detection.forget(sensor)
        case "retry":
            path = Path(os.fsdecode(argument)) if argument else None
            state.handling.retry(path)
            if watcher is not None:
                watcher.forget(path)
        case "scan":
            if watcher is not None:
                watcher.forget()
        case _:  # it must not end each start anew
            log.error("no command asks for %r", what)
