"""The file events of one import folder, supervised: whether they come, and from all its folders."""

import errno
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from hotpixeld.edge.events import EventTap, can_watch
from hotpixeld.edge.logs import printable
from hotpixeld.edge.problems import Problems, raise_inotify
from hotpixeld.edge.room import How

Mode = Literal["auto", "inotify", "poll"]

_AGAIN_S = (60.0, 300.0, 3600.0)
_GAPS = ("inotify-limit", "inotify-gaps")
_LATE_S = 2.0  # a watch may still be on its way when a new folder is found without one


class Watching:
    """File events of one tree, with what is wrong about them.

    Parameters
    ----------
    path : str
        The import folder, for people.
    mode : {"auto", "inotify", "poll"}
    put_file, put_folder : callable
        As for `EventTap`.
    problems : Problems
        Where ``inotify-limit``, ``inotify-gaps`` and ``inotify-instances`` are said.
    """

    def __init__(
        self,
        path: str,
        mode: Mode,
        put_file: Callable[[str, How], None],
        put_folder: Callable[[str], None],
        problems: Problems,
    ) -> None:
        self._path, self._mode = path, mode
        self._put_file, self._put_folder = put_file, put_folder
        self._problems = problems
        self._tap: EventTap | None = None
        self._wanted = False
        self._doubt: str | None = None
        self._start_failures = 0
        self._start_at_s = 0.0
        self._unwatched: Mapping[int, str] = {}
        self._tried: set[int] = set()
        self._recheck_at_s = 0.0

    @property
    def polled(self) -> bool:
        """True if scans, not events, have to bring the photos of some folders at least."""
        return self._tap is None or any(code in self._problems for code in _GAPS)

    def set_up(self, real_path: str, now_s: float, *, tells_events: bool) -> None:
        """Watch what stands at ``real_path`` now, and nothing else any more."""
        self.stop()
        self._wanted = self._mode == "inotify" or (self._mode == "auto" and tells_events)
        if not self._wanted or now_s < self._start_at_s:
            return
        try:
            self._tap = EventTap(real_path, self._put_file, self._put_folder)
        except OSError as error:
            self._start_at_s = now_s + _again(self._start_failures)
            self._start_failures += 1
            self._say_no_start(error)
            return
        self._start_failures = 0
        self._problems.over("inotify-instances")

    def doubt(self, why: str) -> None:
        """Let `fault` answer so once."""
        self._doubt = why

    def fault(self, now_s: float) -> str | None:
        """Return why the events have to be set up anew; None: they need not. Ask every few s."""
        doubt, self._doubt = self._doubt, None
        if self._tap is None:
            again = self._wanted and now_s >= self._start_at_s
            return "inotify is tried again" if again else None
        return doubt or self._tap.fault() or self._uncovered(now_s)

    def compare(
        self, folders: Mapping[int, str], root_inode: int, now_s: float, *, complete: bool
    ) -> None:
        """Compare folders that a scan read (path by inode) with the watches really held.

        Both versions of watchdog are silent when the kernel refuses a watch later than at the
        start, and 7.1.0 at the start too.
        """
        if self._tap is None:
            return
        inodes, count = self._tap.watched_inodes()
        if not count:  # /proc does not tell
            return
        if root_inode in inodes:
            unwatched = {ino: path for ino, path in folders.items() if ino not in inodes}
        else:  # this file system has other numbers there: only the counts can be compared
            unwatched = dict(folders) if complete and count < len(folders) else {}
        if unwatched:
            self._unwatched, self._recheck_at_s = unwatched, now_s + _LATE_S
        elif complete:
            self._tried.clear()
            self._problems.over(*_GAPS)

    def stop(self) -> None:
        """End the events."""
        tap, self._tap = self._tap, None
        self._unwatched = {}
        if tap is not None:
            tap.stop()

    def _uncovered(self, now_s: float) -> str | None:
        if not self._unwatched or now_s < self._recheck_at_s or self._tap is None:
            return None
        unwatched, self._unwatched = self._unwatched, {}
        inodes, _ = self._tap.watched_inodes()
        still = {
            ino: path
            for ino, path in unwatched.items()
            if ino not in inodes and _inode(path) == ino
        }
        if not still:
            return None
        which = f"{len(still)} folders, {printable(min(still.values()))} among them,"
        if not can_watch(min(still.values())):
            self._say_limit(which)
            return None
        if still.keys() <= self._tried:
            self._problems.say(
                "inotify-gaps",
                f"{which} get no watch although there are watches left, so all is polled",
                "set watch.mode to poll",
            )
            return None
        self._tried |= still.keys()
        return f"{which} had no watch"

    def _say_no_start(self, error: OSError) -> None:
        if error.errno == errno.ENOSPC:
            self._say_limit("its folders")
        else:
            self._problems.say(
                "inotify-instances",
                f"inotify gives no events for {printable(self._path)} ({error.strerror or error}),"
                " so it is polled",
                raise_inotify("max_user_instances", 256)
                if error.errno == errno.EMFILE
                else "set watch.mode to poll if this stays so",
            )

    def _say_limit(self, which: str) -> None:
        self._problems.say(
            "inotify-limit",
            f"the inotify watch limit is reached: {which} in {printable(self._path)}"
            " cannot all be watched, so they are polled",
            raise_inotify("max_user_watches", 65536),
        )


def _again(failures: int) -> float:
    return _AGAIN_S[min(failures, len(_AGAIN_S) - 1)]


def _inode(path: str) -> int | None:
    try:
        return Path(path).stat().st_ino
    except OSError:
        return None
