"""The watcher: hands over photos that are whole, one by one, new ones before old ones.

All work is done in the thread that calls `Watcher.next_photo`; the threads of watchdog only put
hints into a queue.
"""

import contextlib
import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal

from hotpixeld.edge.bell import Bell
from hotpixeld.edge.events import overflows_told
from hotpixeld.edge.folder import Folder, FolderStatus
from hotpixeld.edge.found import FoundFile, Identity, identity_at
from hotpixeld.edge.logs import printable
from hotpixeld.edge.names import PHOTO_SUFFIXES, Names
from hotpixeld.edge.problems import Problem, Problems
from hotpixeld.edge.room import How, Room
from hotpixeld.edge.watching import Mode
from hotpixeld.edge.whole import NotYet, WholeFile, look, read_whole

_SLICE = 500  # photos of a scan between two looks at what arrives
_HINTS_BOUND = 50_000
_BURST = 4_000  # so many events at once may be more than the kernel kept
_CALM_S = 1.0
_HELD_S = 600.0  # a writer that takes longer is worth a word
_STOPPED_S = 2.0  # a wait that lasted so much longer means that the process stood still


@dataclass(frozen=True)
class _Hint:
    folder: Folder | None
    path: str
    how: How | Literal["folder", "overflow", "wake"]


@dataclass(frozen=True)
class WatchStatus:
    """What the watcher does.

    Attributes
    ----------
    folders : tuple of FolderStatus
    queue : int
        Photos that wait to be handed over.
    overflows : int
        How often the system said that events were lost.
    watcher_restarts : int
        How often event watching was set up anew.
    problems : tuple of Problem
        What a person should know, the oldest first.
    """

    folders: tuple[FolderStatus, ...]
    queue: int
    overflows: int
    watcher_restarts: int
    problems: tuple[Problem, ...]


class Watcher:
    """Photos of some import folders, each handed over once it is whole.

    Parameters
    ----------
    roots : sequence of Path
        The import folders; never written to.
    known : callable
        ``known(path, identity)``: True if the ledger has dealt with this very content at this
        place. Asked once per file and content, in the thread of `next_photo`. ``identity.dev`` may
        change from one start to the next.
    mode : {"auto", "inotify", "poll"}
    settle_s : float
        Quiet time that a file being written must show.
    rescan_s : float
        Time between two scans while all is well.
    ignore : iterable of str
        Globs of names or paths below an import folder, in addition to the built-in ones.
    suffixes : iterable of str
        Names of photos end so (lower case, with the dot).
    check_s : float
        Time between two looks at whether folders and event watchers are well.
    not_empty : collection of Path
        Import folders that held photos when the daemon last ran.
    clock, wall : callable
        Seconds: monotonic, and since the epoch.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        *,
        known: Callable[[Path, Identity], bool],
        mode: Mode = "auto",
        settle_s: float = 2.0,
        rescan_s: float = 300.0,
        ignore: Iterable[str] = (),
        suffixes: Iterable[str] = PHOTO_SUFFIXES,
        check_s: float = 5.0,
        not_empty: Collection[Path] = (),
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._known = known
        self._clock, self._wall = clock, wall
        self._names = Names(ignore, suffixes)
        self._room = Room(settle_s)
        self._hints: SimpleQueue[_Hint] = SimpleQueue()
        self._bell = Bell()
        self._hints_lost = False
        self._folders = tuple(
            Folder(
                str(root.absolute()),
                self._names,
                mode=mode,
                rescan_s=rescan_s,
                check_s=check_s,
                expects_photos=root in not_empty,
                put=self._put,
                clock=clock,
                wall=wall,
            )
            for root in roots
        )
        self._problems = Problems("all import folders", wall)
        self._overflows = 0
        self._burst = 0
        self._turned_away = False
        self._began_ns = 0
        self._stopping = False
        self._cleanup = contextlib.ExitStack()

    def start(self) -> None:
        """Set the event watchers up, so that nothing from now on is missed; scans come later."""
        self._began_ns = int(self._wall() * 1e9)
        self._cleanup.enter_context(overflows_told(lambda: self._say(_Hint(None, "", "overflow"))))
        for folder in self._folders:
            self._cleanup.callback(folder.stop)
            folder.supervise(self._clock())

    def stop(self) -> None:
        """End the event watchers; what waits is found again by the scan of the next start."""
        self._stopping = True
        self.wake()
        self._cleanup.close()

    def wake(self) -> None:
        """Let `next_photo` return at once; may be called from a signal handler."""
        self._say(_Hint(None, "", "wake"))

    def next_photo(self, timeout_s: float) -> Path | None:
        """Return the next photo that is whole as far as can be seen without reading it.

        It is not handed over again while its identity stays, unless `retry_later` or `forget` is
        called. One pass is made even with a timeout of 0.

        Returns
        -------
        Path or None
            None after ``timeout_s`` seconds, or after `wake` or `stop`.
        """
        deadline_s = self._clock() + timeout_s
        woken = False
        while not self._stopping:
            woken = self._take_hints() or woken
            path = self._work(self._clock())
            now_s = self._clock()
            if path is not None or woken or now_s >= deadline_s:
                return path
            self._wait(min(deadline_s, self._due_s()), now_s)
        return None

    def read(self, path: Path, max_bytes: int = 1 << 32) -> WholeFile | NotYet:
        """Return the bytes of a photo that was handed over, or why they cannot be had yet."""
        folder = self._folder_of(str(path))
        return read_whole(path, max_bytes=max_bytes, lease=folder is None or folder.lease)

    def retry_later(self, path: Path, *, at_most_s: float = math.inf) -> float | None:
        """Hand this photo over again after a while, for a reason that may pass by itself.

        A change of the file brings it back at once (after its quiet time) in any case, so a photo
        that was refused for its content needs no retry.

        Returns
        -------
        float or None
            Seconds until then: 5, 30, 300, 3600, 21600, 21600, ..., but not more than
            ``at_most_s``; None where it is gone.
        """
        identity = identity_at(path)
        if identity is None:
            return None
        return self._room.retry(str(path), identity, self._clock(), at_most_s)

    def forget(self, path: Path | None = None) -> None:
        """Ask the ledger anew about this photo now (None: about all, by a scan)."""
        now_s = self._clock()
        if path is None:
            self._room.leave_retries()
            for folder in self._folders:
                folder.forget_all(now_s)
            return
        holder, identity = self._folder_of(str(path)), identity_at(path)
        if holder is not None and identity is not None:
            found = FoundFile(str(path), identity)
            holder.forget(found)
            self._room.leave(str(path))
            self._consider(holder, found, "closed", now_s)

    @property
    def stopped(self) -> bool:
        """True once `stop` was called."""
        return self._stopping

    @property
    def caught_up(self) -> bool:
        """True if all that can be seen has been scanned and handed over.

        Photos that wait for another try, or that a writer holds open, are not waited for.
        """
        return (
            all(folder.scanned for folder in self._folders)
            and not self._room.settling
            and not self._turned_away
            and self._hints.empty()
        )

    def status(self) -> WatchStatus:
        """Return a snapshot; may be called from any thread."""
        problems = list(self._problems.now())
        for folder in self._folders:
            problems.extend(folder.problems.now())
        return WatchStatus(
            folders=tuple(folder.status() for folder in self._folders),
            queue=len(self._room),
            overflows=self._overflows,
            watcher_restarts=sum(folder.restarts for folder in self._folders),
            problems=tuple(sorted(problems, key=lambda problem: problem.since)),
        )

    # in threads of watchdog

    def _put(self, folder: Folder, path: str, how: How | Literal["folder"]) -> None:
        if self._hints.qsize() < _HINTS_BOUND:
            self._say(_Hint(folder, path, how))
        else:
            self._hints_lost = True

    def _say(self, hint: _Hint) -> None:
        self._hints.put(hint)
        self._bell.ring()

    # in the caller's thread

    def _due_s(self) -> float:
        due = min(folder.due_s() for folder in self._folders)
        room = self._room.due_s()
        return due if room is None else min(due, room)

    def _wait(self, until_s: float, now_s: float) -> None:
        rung = until_s <= now_s or self._bell.wait(until_s - now_s)
        if not rung and self._clock() - until_s > _STOPPED_S:
            self._scan_all(self._clock())

    def _take_hints(self) -> bool:
        woken = False
        last: dict[tuple[Folder | None, str], _Hint] = {}  # several of one file are one
        for _ in range(self._hints.qsize()):
            with contextlib.suppress(Empty):
                hint = self._hints.get_nowait()
                about = hint.folder, hint.path or hint.how
                if hint.how != "created" or about not in last:
                    last[about] = hint
                self._burst += hint.folder is not None
        for hint in last.values():
            woken = self._take(hint) or woken
        if self._hints_lost:
            self._hints_lost = False
            self._overflows += 1
            self._scan_all(self._clock() + _CALM_S)
        return woken

    def _take(self, hint: _Hint) -> bool:
        now_s = self._clock()
        if hint.how == "wake":
            return True
        if hint.how == "overflow":
            self._overflows += 1
            self._scan_all(now_s + _CALM_S)
        elif hint.folder is not None:
            path = hint.folder.local_path(hint.path)
            if path is not None and hint.how == "folder":
                hint.folder.new_folder(path, now_s)
            elif path is not None and hint.how != "folder":
                self._told(hint.folder, path, hint.how, now_s)
        return False

    def _scan_all(self, at_s: float) -> None:
        for folder in self._folders:
            folder.scan_soon(at_s)

    def _told(self, folder: Folder, path: str, how: How, now_s: float) -> None:
        if not self._names.wants(folder.relative(path)):
            return
        identity = identity_at(path)
        if identity is None:
            self._room.leave(path)
            folder.doubt_path(path, now_s)
        else:
            self._consider(folder, FoundFile(path, identity), how, now_s)

    def _consider(self, folder: Folder, found: FoundFile, how: How, now_s: float) -> None:
        if folder.remembers(found):
            return
        if not self._room.holds(found.path, found.identity):
            try:
                known = self._known(found.as_path(), found.identity)
            except Exception:
                self._scan_all(now_s + _CALM_S)  # so that nothing is lost with the error
                raise
            if known:
                folder.remember(found)
                return
            if how == "found":
                folder.untold(found)
        fresh = how != "found" or found.identity.ctime_ns >= self._began_ns
        if not self._room.tell(found.path, found.identity, how, now_s, fresh=fresh):
            self._turned_away = True

    def _work(self, now_s: float) -> Path | None:
        for folder in self._folders:
            folder.supervise(now_s)
            for found in folder.advance(now_s, _SLICE):
                self._consider(folder, found, "found", now_s)
        if self._burst >= _BURST:
            self._burst = 0
            self._scan_all(now_s + _CALM_S)
        if self._turned_away and self._room.half_empty:
            self._turned_away = False
            self._scan_all(now_s)
        return self._ready(now_s)

    def _ready(self, now_s: float) -> Path | None:
        self._say_held(now_s)
        while (path := self._room.next_due(now_s)) is not None:
            folder = self._folder_of(path)
            assert folder is not None
            seen = look(path, lease=folder.lease)
            if isinstance(seen, NotYet):
                self._room.leave(path)
                if seen.reason == "unreadable":  # handed over, so that the ledger lists it
                    return self._handed_over(folder, path, identity_at(path))
            elif self._room.judge(path, seen, now_s):
                return self._handed_over(folder, path, seen.identity)
        return None

    def _say_held(self, now_s: float) -> None:
        held = self._room.held_for(_HELD_S, now_s)
        if held:
            self._problems.say(
                "held-open",
                f"{len(held)} photos are held open for writing, {printable(held[0])} among them",
                "end the program that writes them; they are taken once they are closed",
            )
        else:
            self._problems.over("held-open")

    def _handed_over(self, folder: Folder, path: str, identity: Identity | None) -> Path | None:
        if identity is None:
            return None
        folder.remember(FoundFile(path, identity))
        return Path(path)

    def _folder_of(self, path: str) -> Folder | None:
        holding = [f for f in self._folders if path.startswith(f.path.rstrip("/") + "/")]
        return max(holding, key=lambda folder: len(folder.path), default=None)
