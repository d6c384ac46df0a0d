"""`backfill`: an archive into the state."""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hotpixeld.cli.terminal import say
from hotpixeld.config import absolute_path, find_config, load_config
from hotpixeld.edge.logs import set_up_logging
from hotpixeld.errors import UsageError
from hotpixeld.service.backfill import Backfilled, backfill
from hotpixeld.service.cores import usable_cores
from hotpixeld.service.state import open_state
from hotpixeld.service.workers import workers

TELL_S = 30.0


def execute(options: argparse.Namespace) -> int:
    """Fold the archive; return 1 where no photo below the folders was usable."""
    if options.jobs is not None and options.jobs < 1:
        raise UsageError("--jobs must be at least 1")
    for folder in options.folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder")
    config = load_config(find_config(options.config, os.environ))
    set_up_logging(config.log.level, config.log.format)
    jobs = options.jobs or usable_cores()
    folders = [absolute_path(str(folder), Path.cwd()) for folder in options.folders]
    with (
        open_state(config) as state,
        workers(jobs, options.scheduler) as held,
        _progress() as progress,
    ):
        done = backfill(state, folders, held, progress)
    _tell(done)
    usable = done.already_known + sum(done.states.values()) - done.states.get("refused", 0)
    return 0 if usable else 1


def _tell(done: Backfilled) -> None:
    for path, reason in done.broken:
        say(f"refused {path}: {reason}")
    counts = ", ".join(f"{count} {state}" for state, count in sorted(done.states.items()))
    say(f"{counts or 'nothing new'}; {done.already_known} were known")


def plain_progress(
    clock_s: Callable[[], float], write: Callable[[str], object]
) -> Callable[[int, int], None]:
    """Return what tells of photos done, of how many, by a line every `TELL_S` seconds at most."""
    start_s = told_s = clock_s()

    def show(done: int, total: int) -> None:
        nonlocal told_s
        now_s = clock_s()
        if done and now_s - told_s >= TELL_S:
            told_s = now_s
            rate = done / (now_s - start_s)
            left_s = int((total - done) / rate)
            left = f"{left_s // 3600}:{left_s // 60 % 60:02}:{left_s % 60:02}"
            write(f"{done} of {total} photos, {rate:.1f}/s, {left} left\n")

    return show


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Draw a bar with rate and time left on a terminal; elsewhere say a line now and then."""
    if not sys.stderr.isatty():
        yield plain_progress(time.monotonic, sys.stderr.write)
        return
    from rich.console import Console  # noqa: PLC0415 (only a terminal waits for it)
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("photos"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("photos", total=None, rate="")

        def show(done: int, total: int) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:.1f}/s" if speed else "")

        yield show
