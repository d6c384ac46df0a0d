"""One process per state folder.

The lock is an open-file-description lock: it dies with the process, so a crash leaves nothing to
clean up, and asking who holds it takes nothing away from anyone. The file itself stays: removing
it would let two processes hold two files of the same name.
"""

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from hotpixeld.errors import LockedError

_FLOCK = "hhqqi"  # struct flock of fcntl(2): type, whence, start, length, pid


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, made if need be, for the length of the block.

    Raises
    ------
    LockedError
        Another process holds it; its id is named, and nothing was changed.
    OSError
        The lock file cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o644)  # 0o644: `status` of another user reads it
    try:
        try:
            fcntl.fcntl(
                descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, 0, 0, 0, 0)
            )
        except (BlockingIOError, PermissionError):
            held_by = f"process {pid}" if (pid := _pid(descriptor)) else "another process"
            raise LockedError(f"{path.parent} is held by {held_by}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def holder_pid(path: Path) -> int | None:
    """Return the id of the process that holds the lock file ``path``.

    None means nobody, 0 one that has not yet written its id.

    Raises
    ------
    PermissionError
        The lock file may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        asked = struct.pack(_FLOCK, fcntl.F_RDLCK, 0, 0, 0, 0)
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked)
        if struct.unpack(_FLOCK, answer)[0] == fcntl.F_UNLCK:
            return None
        return _pid(descriptor)
    finally:
        os.close(descriptor)


def _pid(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0
