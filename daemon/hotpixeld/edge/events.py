"""File events of one folder tree from watchdog, as hints; nothing is decided here.

What is known to be wrong with watchdog 6.0.0 and 7.1.0 is looked for from outside: by the threads
that are alive, and by the inotify descriptors and watches that the kernel says we hold.
"""

import contextlib
import fcntl
import logging
import os
import struct
import termios
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyObserver
from watchdog.utils import BaseThread

from hotpixeld.edge.room import How

# Fewer lose photos, more let our own reading of photos make events (both measured).
_EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]
_HOW: dict[type[FileSystemEvent], How] = {
    FileClosedEvent: "closed",
    FileCreatedEvent: "created",
    FileMovedEvent: "moved",
}
_STOP_WAIT_S = 2.0
_starting = threading.Lock()


class _Handler(FileSystemEventHandler):
    def __init__(self, tap: "EventTap") -> None:
        self._tap = tap

    def dispatch(self, event: FileSystemEvent) -> None:
        self._tap.told += 1
        path = os.fsdecode(event.dest_path or event.src_path)
        if type(event) in _HOW:
            self._tap.put_file(path, _HOW[type(event)])
        elif isinstance(event, DirCreatedEvent | DirMovedEvent):
            self._tap.put_folder(path)


class EventTap:
    """Events of the tree below ``real_path`` until `stop`; it never starts again.

    Parameters
    ----------
    real_path : str
        The folder, symbolic links resolved (watchdog would watch a link, not what it names).
    put_file : callable
        Called in a thread of watchdog with path and kind of event; it must only keep them.
    put_folder : callable
        The same for a folder that was made or moved in.

    Attributes
    ----------
    told : int
        Events so far.
    """

    def __init__(
        self,
        real_path: str,
        put_file: Callable[[str, How], None],
        put_folder: Callable[[str], None],
    ) -> None:
        self.told = 0
        self.put_file = put_file
        self.put_folder = put_folder
        self._told_before = -1
        self._stuck = 0
        self._observer: InotifyObserver | None = None
        self._threads: list[threading.Thread] = []
        self._descriptors: set[int] = set()
        # each of its lines shows a whole table of watches
        warnings.filterwarnings("ignore", module=r"watchdog\.")
        with _starting:  # what appears meanwhile is this tap's
            self._start(real_path)

    def _start(self, real_path: str) -> None:
        threads, descriptors = set(threading.enumerate()), _inotify_descriptors()
        try:
            self._observer = InotifyObserver()
            self._observer.schedule(_Handler(self), real_path, recursive=True, event_filter=_EVENTS)
            self._observer.start()
        except OSError:
            self.stop()
            for leaked in _inotify_descriptors() - descriptors:
                with contextlib.suppress(OSError):
                    os.close(leaked)
            raise
        self._threads = [
            thread
            for thread in threading.enumerate()
            if thread not in threads and isinstance(thread, BaseThread)
        ]
        self._descriptors = _inotify_descriptors() - descriptors

    def fault(self) -> str | None:
        """Return what is wrong with the watcher, to be asked every few seconds; None: nothing."""
        if not all(thread.is_alive() for thread in self._threads):
            return "a thread of the watcher ended"
        # events wait in the kernel, and for two rounds none came out
        waits = any(_unread_bytes(descriptor) for descriptor in self._descriptors)
        self._stuck = self._stuck + 1 if waits and self.told == self._told_before else 0
        self._told_before = self.told
        return "events are not taken from the kernel" if self._stuck >= 2 else None

    def watched_inodes(self) -> tuple[set[int], int]:
        """Return the inode numbers of the folders that the kernel watches for us, and how many.

        Empty and 0 where ``/proc`` does not tell. Some file systems show other numbers here than
        ``stat`` does.
        """
        inodes: set[int] = set()
        count = 0
        for descriptor in self._descriptors:
            for line in _lines(Path(f"/proc/self/fdinfo/{descriptor}")):
                if line.startswith("inotify wd:"):
                    count += 1
                    inodes.add(int(line.split(" ino:", 1)[1].split(" ", 1)[0], 16))
        return inodes, count

    def stop(self) -> None:
        """End the threads; one that hangs in the file system is left behind."""
        observer, self._observer = self._observer, None
        if observer is None:
            return
        ending = threading.Thread(target=_end, args=(observer,), daemon=True)
        ending.start()
        ending.join(_STOP_WAIT_S)


def can_watch(folder: str) -> bool:
    """Return True if the kernel still grants a watch of this folder."""
    observer = None
    try:
        observer = InotifyObserver()
        observer.schedule(FileSystemEventHandler(), folder, event_filter=_EVENTS)
        observer.start()
    except OSError:
        return False
    finally:
        if observer is not None:
            _end(observer)
    return True


def _end(observer: InotifyObserver) -> None:
    with contextlib.suppress(Exception):  # a broken observer need not end tidily
        observer.stop()
        if observer.is_alive():
            observer.join()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _inotify_descriptors() -> set[int]:
    found = set()
    with contextlib.suppress(OSError):
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(entry.readlink()) == "anon_inode:inotify":
                    found.add(int(entry.name))
    return found


def _unread_bytes(descriptor: int) -> int:
    try:
        answer = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0")
    except OSError:
        return 0
    return int(struct.unpack("i", answer)[0])


class _OverflowRecords(logging.Handler):
    def __init__(self, told: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        if "events were lost" in str(record.msg):
            self._told()


@contextlib.contextmanager
def overflows_told(told: Callable[[], None]) -> Iterator[None]:
    """Call ``told`` when watchdog logs that the kernel's queue overflowed (7.x; 6.0 never does).

    Its own log lines stay out of ours: what they say is said better by the folder's problems.
    """
    logger = logging.getLogger("watchdog")
    handler = _OverflowRecords(told)
    propagate, level = logger.propagate, logger.level
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate, logger.level = propagate, level
