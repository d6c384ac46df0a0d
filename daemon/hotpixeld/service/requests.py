"""What commands ask of the running daemon, taken up within seconds."""

import os
from pathlib import Path

from hotpixeld.edge.watch import Watcher
from hotpixeld.service.state import State


def take_requests(state: State, watcher: Watcher | None) -> bool:
    """Do what commands have asked for; tell whether a defect map may have changed.

    Parameters
    ----------
    watcher
        Offers photos again; None in a single pass, which looks at every file anyway.
    """
    requests = state.ledger.take_requests()
    for what, argument in requests:
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
            case _:
                raise AssertionError(f"no command asks for {what!r}")
    return bool(requests)
