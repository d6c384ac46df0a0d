"""One import folder under supervision: whether it is there, and when to scan it.

File events are hints and a scan is the truth: every doubt about the events (a dead thread, another
folder under the same name, watches that the kernel refused) ends in a scan, and a scan that finds
what events should have told makes scans more frequent.
"""

import errno
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hotpixeld.edge.filesystem import mount_of
from hotpixeld.edge.found import FoundFile
from hotpixeld.edge.logs import printable
from hotpixeld.edge.names import Names
from hotpixeld.edge.problems import Problems
from hotpixeld.edge.room import How
from hotpixeld.edge.scan import Scan
from hotpixeld.edge.watching import Mode, Watching

State = Literal["ok", "degraded", "missing", "unreadable"]

_MISSING_AGAIN_S = (5.0, 10.0, 20.0, 40.0, 60.0)
_SUSPICIOUS_S = 30.0
_TRUSTED_AGAIN = 10  # so many scans without a missed photo
_SCAN_SHARE = 100  # polling may take one part in so many of the time
_EVENTS_LATE_S = 5.0  # a file this new may still be told of
_CALM_S = 1.0
_NEW_FOLDER_S = 0.3  # so that a copied tree is listed once, not once per folder
_DEGRADED = ("events-missed", "inotify-limit", "inotify-gaps", "inotify-instances", "import-empty")


@dataclass(frozen=True)
class FolderStatus:
    """An import folder as ``status`` shows it.

    Attributes
    ----------
    path : str
    mode : {"inotify", "poll"}
        What is done, whatever was asked for.
    state : {"ok", "degraded", "missing", "unreadable"}
    last_scan : float or None
        When the last whole scan began, in s since the epoch.
    scan_found : int
        Photos that scans found before any event told of them (the first scan not counted).
    scan_seconds : float
        What the last whole scan took.
    photos_seen : int
        Files with the name of a photo at the last whole scan.
    fstype : str
        The file system; empty where nothing tells.
    """

    path: str
    mode: Literal["inotify", "poll"]
    state: State
    last_scan: float | None
    scan_found: int
    scan_seconds: float
    photos_seen: int
    fstype: str


class Folder:
    """One import folder. All times ``now_s`` are passed in, of one monotonic clock.

    Parameters
    ----------
    path : str
        Absolute; may be a symbolic link.
    names : Names
        Which names are photos.
    mode : {"auto", "inotify", "poll"}
        ``"auto"`` polls where the file system does not tell events.
    rescan_s : float
        Time between two scans while all is well.
    check_s : float
        Time between two looks at folder and watcher, and between two scans where it is polled.
    expects_photos : bool
        That an empty folder means a missing disk, already at the first scan.
    put : callable
        Called in threads of watchdog with this folder, a path and what happened.
    clock, wall : callable
        Seconds: monotonic, to time the scans; and since the epoch, as file times are.

    Attributes
    ----------
    restarts : int
        How often the event watcher was set up anew.
    lease : bool
        True if the refusal of a lease here means that a writer has the file open.
    problems : Problems
    """

    def __init__(
        self,
        path: str,
        names: Names,
        *,
        mode: Mode,
        rescan_s: float,
        check_s: float,
        expects_photos: bool,
        put: Callable[["Folder", str, How | Literal["folder"]], None],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.path = path
        self.restarts = 0
        self.lease = True
        self.problems = Problems(path, wall)
        self._names, self._rescan_s, self._check_s = names, rescan_s, check_s
        self._clock, self._wall = clock, wall
        self._watching = Watching(
            path,
            mode,
            lambda told, how: put(self, told, how),
            lambda told: put(self, told, "folder"),
            self.problems,
        )
        # the folder itself
        self._real = path
        self._identity: tuple[int, int] | None = None  # device and inode
        self._state: State = "missing"
        self._fstype = ""
        self._check_at_s = 0.0
        self._misses = 0
        self._expects_photos = expects_photos
        self._photos_on: int | None = None  # the device on which photos were last seen
        # its scans
        self._scan: Scan | None = None
        self._scan_at_s = 0.0
        self._new_folders: dict[str, float] = {}
        self._excused = self._scan_excused = True  # what it finds proves nothing about events
        self._scan_began = self._scan_took_s = self._last_scan_took_s = 0.0
        self._last_scan: float | None = None
        self._scan_found = self._missed = self._clean_scans = self._photos_seen = 0
        # what has been dealt with: times of the last change by hash of the rest, small enough
        self._handled: dict[int, int] = {}
        self._met: dict[int, int] = {}

    @property
    def scanned(self) -> bool:
        """True if nothing remains to be scanned now, or nothing can be."""
        if self._state != "ok":
            return True
        return self._scan is None and not self._new_folders and self._last_scan is not None

    def status(self) -> FolderStatus:
        """Return the folder's state as of now; may be called from any thread."""
        degraded = self._state == "ok" and any(code in self.problems for code in _DEGRADED)
        return FolderStatus(
            path=self.path,
            mode="poll" if self._watching.polled else "inotify",
            state="degraded" if degraded else self._state,
            last_scan=self._last_scan,
            scan_found=self._scan_found,
            scan_seconds=self._last_scan_took_s,
            photos_seen=self._photos_seen,
            fstype=self._fstype,
        )

    def due_s(self) -> float:
        """Return when `supervise` or `advance` has something to do next."""
        if self._scan is not None:
            return 0.0
        if self._state != "ok":
            return self._check_at_s
        return min([self._check_at_s, self._scan_at_s, *self._new_folders.values()])

    def local_path(self, told: str) -> str | None:
        """Return an event's path below the folder's own name; None where it is not below it."""
        if told == self._real:
            return self.path
        prefix = self._real.rstrip("/") + "/"
        if not told.startswith(prefix):
            return None
        return self.path.rstrip("/") + "/" + told[len(prefix) :]

    def relative(self, path: str) -> str:
        """Return the part of a path of this folder that is below it."""
        return path[len(self.path.rstrip("/")) + 1 :]

    def remembers(self, found: FoundFile) -> bool:
        """Return True if this very content at this place has been dealt with or handed over."""
        mark = _mark(found)
        if self._handled.get(mark) != found.identity.ctime_ns:
            return False
        self._met[mark] = found.identity.ctime_ns
        return True

    def remember(self, found: FoundFile) -> None:
        """Take note that this content has been dealt with; each scan drops what is gone."""
        self._handled[_mark(found)] = self._met[_mark(found)] = found.identity.ctime_ns

    def forget(self, found: FoundFile) -> None:
        """Take note that this content is to be dealt with again."""
        self._handled.pop(_mark(found), None)
        self._met.pop(_mark(found), None)

    def forget_all(self, now_s: float) -> None:
        """Remember nothing, and scan."""
        self._handled.clear()
        self._met.clear()
        self.scan_soon(now_s)

    def scan_soon(self, at_s: float) -> None:
        """Scan all of the folder from ``at_s`` on; what it finds is no proof against events."""
        self._scan_at_s = min(self._scan_at_s, at_s)
        self._excused = True

    def doubt_path(self, path: str, now_s: float) -> None:
        """Scan soon, because an event told of ``path`` and nothing is there.

        It may be gone; or it is elsewhere, because folders were renamed meanwhile.
        """
        if not Path(path).is_symlink():
            self.scan_soon(now_s + max(_CALM_S, self._last_scan_took_s * _SCAN_SHARE))

    def new_folder(self, path: str, now_s: float) -> None:
        """List a folder that was made or moved in, and what is below it, in a moment."""
        self._new_folders[path] = now_s + _NEW_FOLDER_S

    def stop(self) -> None:
        """End the event watcher."""
        self._watching.stop()

    # the folder itself

    def supervise(self, now_s: float) -> None:
        """Look whether folder and watcher are what they were, and mend what is not."""
        if now_s < self._check_at_s:
            return
        self._check_at_s = now_s + self._check_s
        try:
            status = Path(self.path).stat()
            os.scandir(self.path).close()
        except OSError as error:
            self._lost(error, now_s)
            return
        identity = (status.st_dev, status.st_ino)
        if identity != self._identity:
            self._arrived(identity, now_s)
            return
        fault = self._watching.fault(now_s)
        if fault is not None:
            self.problems.log("watching-anew", f"watching {printable(self.path)} anew: {fault}")
            self._watch_anew(now_s)
        elif self._watching.polled and self._scan is None:
            self._scan_at_s = min(self._scan_at_s, now_s + self._interval_s())

    def _lost(self, error: OSError, now_s: float) -> None:
        self._check_at_s = now_s + _MISSING_AGAIN_S[min(self._misses, len(_MISSING_AGAIN_S) - 1)]
        self._misses += 1
        barred = error.errno in {errno.EACCES, errno.EPERM}
        self._state = "unreadable" if barred else "missing"
        self._identity = None
        self._scan = None
        self._new_folders.clear()
        self._watching.stop()
        self.problems.over("import-missing" if barred else "import-unreadable")
        self.problems.say(
            f"import-{self._state}",
            f"the import folder {printable(self.path)} cannot be read: {error.strerror}",
            "let the daemon's user read it"
            if barred
            else "is its disk mounted? It is looked for every minute; nothing counts as deleted",
        )

    def _arrived(self, identity: tuple[int, int], now_s: float) -> None:
        if self._identity is not None:
            self.problems.log("other-folder", f"{printable(self.path)} is another folder now")
        self._identity = identity
        self._misses = 0
        self._state = "ok"
        self.problems.over("import-missing", "import-unreadable")
        self._watch_anew(now_s)

    def _watch_anew(self, now_s: float) -> None:
        self.restarts += self._last_scan is not None
        self._real = os.path.realpath(self.path)
        mount = mount_of(Path(self._real))
        self._fstype = mount.fstype if mount is not None else ""
        self.lease = mount is None or mount.tells_events
        self._watching.set_up(self._real, now_s, tells_events=self.lease)
        self._scan = None
        self.scan_soon(now_s)

    # its scans

    def advance(self, now_s: float, count: int) -> Iterator[FoundFile]:
        """Go on with the scan, by at most ``count`` photos; begin one if it is due."""
        if self._scan is None and self._state == "ok":
            self._begin(now_s)
        began_s = self._clock()
        for _ in range(count):
            found = next(self._scan, None) if self._scan is not None else None
            if found is None:
                break
            yield found
        else:
            self._scan_took_s += self._clock() - began_s
            return
        if self._scan is not None:
            self._scan_took_s += self._clock() - began_s
            self._finish(self._scan, now_s)

    def untold(self, found: FoundFile) -> None:
        """Take note that the running scan found what no event had told."""
        if self._scan is None or self._scan.top != self.path or self._last_scan is None:
            return
        if _mark(found) in self._handled:  # other rights or one more name: no event tells of that
            return
        self._scan_found += 1
        changed = found.identity.ctime_ns / 1e9
        if self._last_scan < changed < self._wall() - _EVENTS_LATE_S:
            self._missed += 1

    def _begin(self, now_s: float) -> None:
        if now_s >= self._scan_at_s:
            self._scan = Scan(self.path, self._names)
            self._scan_at_s = math.inf
            self._new_folders.clear()
            self._scan_excused, self._excused = self._excused, False
            self._scan_began = self._wall()
            self._scan_took_s = 0.0
            self._missed = 0
            self._met.clear()
            return
        due = [path for path, due_s in self._new_folders.items() if due_s <= now_s]
        if due:
            top = min(due, key=len)
            for path in due:
                if path == top or path.startswith(top.rstrip("/") + "/"):
                    del self._new_folders[path]
            self._scan = Scan(self.path, self._names, top)
            if not Path(top).is_dir():
                self.doubt_path(top, now_s)

    def _finish(self, scan: Scan, now_s: float) -> None:
        self._scan = None
        complete = scan.top == self.path
        device, inode = self._identity or (0, 0)
        self._watching.compare(scan.folders, inode, now_s, complete=complete)
        if not complete:
            return
        self._last_scan = self._scan_began
        self._last_scan_took_s = self._scan_took_s
        self._photos_seen = scan.files
        self._handled = dict(self._met)
        if not self._scan_excused and not self._watching.polled:
            self._judge_events()
        self._judge_emptiness(scan, device)
        self._judge_unreadable(scan)
        self._scan_at_s = min(self._scan_at_s, now_s + self._interval_s())

    def _interval_s(self) -> float:
        wanted = self._rescan_s
        if self._watching.polled:
            wanted = self._check_s
        elif "events-missed" in self.problems:
            wanted = _SUSPICIOUS_S
        return min(max(wanted, self._last_scan_took_s * _SCAN_SHARE), self._rescan_s)

    def _judge_events(self) -> None:
        if self._missed:
            self._clean_scans = 0
            self.problems.say(
                "events-missed",
                f"{self._missed} photos came into {printable(self.path)} without a file event,"
                " so it is scanned more often",
                "if this comes again, set watch.mode to poll",
            )
            self._watching.doubt("photos came without an event")
        else:
            self._clean_scans += 1
            if self._clean_scans >= _TRUSTED_AGAIN:
                self.problems.over("events-missed")

    def _judge_emptiness(self, scan: Scan, device: int) -> None:
        if scan.files:
            self._photos_on = device
            self._expects_photos = False
            self.problems.over("import-empty")
        elif self._expects_photos or self._photos_on not in {None, device}:
            self.problems.say(
                "import-empty",
                f"the import folder {printable(self.path)} held photos and is empty now",
                "is its disk mounted? Nothing counts as deleted, and watching goes on",
            )

    def _judge_unreadable(self, scan: Scan) -> None:
        if not scan.unreadable:
            self.problems.over("unreadable-folders")
            return
        path, reason = min(scan.unreadable.items())
        self.problems.say(
            "unreadable-folders",
            f"{len(scan.unreadable)} places in {printable(self.path)} cannot be read,"
            f" {printable(path)} among them: {reason}",
            "let the daemon's user read them; each scan tries again",
        )


def _mark(found: FoundFile) -> int:
    return hash((found.path, found.identity[:4]))
