"""The state folder, opened: the lock, the ledger and the rooms that work on them."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hotpixeld.config import Config
from hotpixeld.edge.atomic import make_folder, sweep_temporaries
from hotpixeld.edge.database import open_database, verify
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.lock import hold
from hotpixeld.errors import StateError
from hotpixeld.service.accumulation import Accumulation
from hotpixeld.service.copying import Copies
from hotpixeld.service.cores import cores, usable_cores
from hotpixeld.service.decoding import Decoding
from hotpixeld.service.detection import Detection
from hotpixeld.service.handling import Handling
from hotpixeld.service.times import rfc3339_now

_MOST_MEMORY_BYTES = 2 << 30
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


# What a rebuild carries over, in one file; while it is there the rebuild is not through.
CARRIED = "rebuilding.json"


@dataclass(frozen=True)
class State:
    """One opened state folder; nobody else has it open for folding."""

    config: Config
    ledger: Ledger
    accumulation: Accumulation
    copies: Copies
    detection: Detection
    handling: Handling


@contextlib.contextmanager
def open_state(
    config: Config,
    *,
    now: Callable[[], str] = rfc3339_now,
    on_progress: Callable[[], None] = lambda: None,
    rebuilding: bool = False,
) -> Iterator[State]:
    """Open, or make, the state of ``config`` and sweep what a crash left in it.

    Raises
    ------
    LockedError
        Another process holds it.
    StateError
        It is damaged or of a newer version; nothing was changed.
    """
    folder = config.state
    make_folder(folder)
    with hold(folder / "lock"), contextlib.ExitStack() as closing:
        if (folder / CARRIED).exists() and not rebuilding:
            raise StateError(
                f"{folder}: a rebuild was broken off; run `hotpixeld rebuild` again. The old "
                "state is kept, and nothing was changed now"
            )
        sweep_temporaries(folder)
        verify(folder)
        db = open_database(folder, create=True)
        closing.callback(db.close)
        ledger = Ledger(db)
        decoding = Decoding(ledger, config)
        accumulation = Accumulation(
            ledger,
            folder,
            read=lambda row, data: handling.read_again(row, data),  # noqa: PLW0108 (made below)
            window_photos=config.detection.window,
            memory_bytes=config.limits.memory_bytes or allowed_memory_bytes(),
            now=now,
            clock_s=time.monotonic,
            on_progress=on_progress,
            spread=closing.enter_context(cores(usable_cores())).spread,
        )
        copies = Copies(ledger, config)
        detection = Detection(ledger, config, accumulation, now=now, on_progress=on_progress)
        handling = Handling(
            ledger,
            config,
            decoding=decoding,
            accumulation=accumulation,
            copies=copies,
            detection=detection,
            now=now,
        )
        decoding.blame_last_crash()
        accumulation.open()
        copies.open()
        detection.open()
        yield State(config, ledger, accumulation, copies, detection, handling)


def allowed_memory_bytes() -> int:
    """Return half of what the machine or the cgroup allows, at most 2 GiB."""
    allowed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            allowed = min(allowed, int(file.read_text()))
    return min(allowed // 2, _MOST_MEMORY_BYTES)
