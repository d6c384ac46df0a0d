"""`scan`: one pass over the import folders as the daemon would do it, or only what it would do."""

import contextlib
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hotpixeld.config import Config
from hotpixeld.edge.database import FILE_NAME, open_database
from hotpixeld.edge.found import stored
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.names import Names
from hotpixeld.edge.photo import read_photo
from hotpixeld.edge.scan import Scan
from hotpixeld.edge.whole import NotYet, read_whole
from hotpixeld.errors import LockedError, PhotoError
from hotpixeld.service.arrivals import arriving, take
from hotpixeld.service.quiet import QuietWork
from hotpixeld.service.requests import take_requests
from hotpixeld.service.state import open_state
from hotpixeld.service.times import rfc3339_now

LOOK_S = 0.2


def single_pass(config: Config, tell: Callable[[str], None]) -> bool:
    """Take every new photo, do all the work that waits, save the state.

    Returns
    -------
    bool
        False where a daemon holds the state: it was asked to scan instead.
    """
    try:
        _pass(config, tell)
    except LockedError as error:
        with contextlib.closing(open_database(config.state)) as db:
            Ledger(db).ask("scan", None, rfc3339_now())
        tell(f"{error}: asked it to scan now")
        return False
    return True


def _pass(config: Config, tell: Callable[[str], None]) -> None:
    with open_state(config) as state, arriving(state) as arrivals:
        work = QuietWork(state, time.monotonic)
        take_requests(state, None)
        taken = 0
        with _progress() as show:
            watcher = arrivals.watcher
            while (path := arrivals.next_photo(LOOK_S)) is not None or not watcher.caught_up:
                if path is not None:
                    take(state, arrivals, path)
                    work.after_photo()
                    taken += 1
                    show(taken, watcher.status().queue)
            while work.step():
                pass
            for sensor_id in state.accumulation.uncommitted(due=False):
                state.accumulation.commit(sensor_id)
        tell(f"{taken} photos taken; {work.pending_text()}")


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Draw a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _done, _waiting: None
        return
    from rich.console import Console  # noqa: PLC0415 (only a terminal waits for it)
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("photos", total=None)
        yield lambda done, waiting: bar.update(task, completed=done, total=done + waiting)


def dry_run(config: Config, tell: Callable[[str], None]) -> None:
    """Say of every photo that is not known what would be done with it; write nothing at all."""
    names = Names(config.watch.ignore)
    with contextlib.ExitStack() as closing:
        ledger = _read_only_ledger(config.state)
        if ledger is not None:
            closing.callback(ledger.db.close)
        seen: dict[bytes, Path] = {}
        for root in config.import_folders:
            for found in Scan(str(root), names):
                path = found.as_path()
                if ledger is None or not ledger.is_known(path, stored(found.identity)):
                    tell(f"{path}: {_would(path, config, ledger, seen)}")


def _read_only_ledger(folder: Path) -> Ledger | None:
    file = folder / FILE_NAME
    if not file.exists():
        return None
    # immutable: SQLite makes no file beside it; what a running daemon commits meanwhile is missed
    db = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    db.row_factory = sqlite3.Row
    return Ledger(db)


def _would(path: Path, config: Config, ledger: Ledger | None, seen: dict[bytes, Path]) -> str:
    whole = read_whole(path)
    if isinstance(whole, NotYet):
        return f"would wait: {whole.reason} {whole.detail}".rstrip()
    try:
        photo = read_photo(whole.data, path.name, max_pixels=config.limits.max_pixels)
    except PhotoError as error:
        return f"would be refused: {error}"
    counted = ledger.counted(photo.digest) if ledger else None
    first = counted.path if counted else seen.setdefault(photo.digest, path)
    if first != path:
        return f"would be a duplicate of {first}"
    if photo.own_mark or (ledger is not None and ledger.is_own_image(photo.digest)):
        return "would be passed over: our own copy"
    return f"would be repaired where needed and folded ({photo.sensor.key})"
