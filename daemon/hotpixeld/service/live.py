"""What the running daemon tells `status`: a small file beside the state, written on change."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from hotpixeld import __version__
from hotpixeld.config import Config
from hotpixeld.edge import notify
from hotpixeld.edge.atomic import write_atomically
from hotpixeld.edge.folder import FolderStatus
from hotpixeld.edge.logs import printable
from hotpixeld.edge.watch import Watcher
from hotpixeld.service.problems import Problem, Problems
from hotpixeld.service.quiet import QuietWork
from hotpixeld.service.state import State
from hotpixeld.service.times import rfc3339

FILE_NAME = "status.json"
LEAST_INTERVAL_S = 1.0


class LiveStatus:
    """The problems and counters of one run of the daemon, which began at ``since``."""

    def __init__(
        self, config: Config, state: State, watcher: Watcher, problems: Problems, since: str
    ) -> None:
        self.path = config.state / FILE_NAME
        self.state = state
        self.watcher = watcher
        self.problems = problems
        self.since = since
        self._written: str = ""
        self._codes: set[str] = set()
        self._written_s = -LEAST_INTERVAL_S

    def write(self, work: QuietWork) -> bool:
        """Write the status file where it would say something else, once a second at most.

        Returns
        -------
        bool
            True where the problems are others than those last written.
        """
        now_s = time.monotonic()
        if now_s - self._written_s < LEAST_INTERVAL_S:
            return False
        found = self._found()
        codes = {problem["code"] for problem in found["problems"]}
        # the time of the last scan alone is not worth a write: an idle daemon leaves disks asleep
        told = json.dumps(found | {"folders": [f | {"last_scan": ""} for f in found["folders"]]})
        if told != self._written:
            self._write(found, running=True)
            self._written, self._written_s = told, now_s
            notify.status(f"{found['queue']} photos wait, {work.pending_text()}")
        others, self._codes = codes != self._codes, codes
        return others

    def write_last(self) -> None:
        """Write the status file for the last time."""
        self._write(self._found(), running=False)

    def _found(self) -> dict[str, Any]:
        health = self.watcher.status()
        problems = [
            *self.problems.now(),
            *(Problem(p.code, rfc3339(p.since), p.what, p.advice) for p in health.problems),
            *(
                Problem("moments-damaged", self.since, what, "run hotpixeld rebuild")
                for what in self.state.accumulation.damaged.values()
            ),
            *self._kept_damage(),
        ]
        return {
            "pid": os.getpid(),
            "since": self.since,
            "version": __version__,
            "folders": [_folder(folder) for folder in health.folders],
            "queue": health.queue,
            "overflows": health.overflows,
            "watcher_restarts": health.watcher_restarts,
            "problems": [asdict(problem) for problem in problems],
        }

    def _kept_damage(self) -> Iterator[Problem]:
        files = [f for f in self.state.accumulation.stored.kept_damage if f.exists()]
        if files:
            yield Problem(
                "damage-kept",
                self.since,
                f"{len(files)} damaged generation(s) of the sums were replaced and are kept: "
                f"{', '.join(map(str, files))}",
                "look at the disk and its cable, then remove them",
            )

    def _write(self, found: dict[str, Any], *, running: bool) -> None:
        text = json.dumps(found | {"running": running}, default=os.fspath)
        try:
            write_atomically(self.path, text.encode(), sync=False)
        except OSError as error:
            self.problems.say("status-file", f"{self.path}: {error}", "free space there")


def _folder(folder: FolderStatus) -> dict[str, Any]:
    last_scan = rfc3339(folder.last_scan) if folder.last_scan is not None else None
    return asdict(folder) | {"path": printable(folder.path), "last_scan": last_scan}
