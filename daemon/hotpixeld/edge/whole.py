"""Is this file whole, and its bytes if it is: nothing is written, nothing waited for.

A size that stays the same proves nothing (a preallocated photo decodes without an error, with
wrong pixels), so three more things are asked: has a writer the file open (a read lease tells, for
files of our own), has it a hole where data is still to come, and is it unchanged after the reading.
"""

import contextlib
import errno
import fcntl
import os
import signal
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hotpixeld.edge.found import Identity, identity_of

Reason = Literal[
    "gone",
    "not-a-file",
    "unreadable",
    "open-for-writing",
    "empty",
    "too-large",
    "hole",
    "changed",
    "read-error",
]

Writer = Literal["none", "open", "unknown"]


@dataclass(frozen=True)
class NotYet:
    """Why a file's bytes cannot be had now; ``detail`` is for people."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True)
class Look:
    """A file's state without its bytes.

    Attributes
    ----------
    identity : Identity
    writer : {"none", "open", "unknown"}
        Whether a process has the file open for writing; ``"unknown"`` where no lease can tell.
    links : int
        Number of names the file has: more than one means that it was linked into place.
    """

    identity: Identity
    writer: Writer
    links: int


@dataclass(frozen=True)
class WholeFile:
    """All bytes of a file that was whole and did not change while they were read."""

    data: bytes
    identity: Identity


def look(path: str | Path, *, lease: bool = True) -> Look | NotYet:
    """Return what can be known of a file without reading it.

    Parameters
    ----------
    path : path
        A symbolic link is not followed; a fifo is not waited for.
    lease : bool
        Whether a lease may be asked for. On network file systems its refusal means nothing.
    """
    descriptor = _open(path)
    if isinstance(descriptor, NotYet):
        return descriptor
    try:
        status = os.fstat(descriptor)
        writer = _writer(descriptor) if lease else "unknown"
        return Look(identity_of(status), writer, status.st_nlink)
    except OSError as error:
        return NotYet("read-error", error.strerror or "")
    finally:
        os.close(descriptor)


def read_whole(
    path: str | Path, *, max_bytes: int = 1 << 32, lease: bool = True
) -> WholeFile | NotYet:
    """Return the bytes of the file at ``path``, or a fixed reason why they cannot be had yet.

    One descriptor serves all: what is judged is what is read, whatever happens to the name.

    Parameters
    ----------
    path : path
        As for `look`.
    max_bytes : int
        A larger file is ``"too-large"`` and not read.
    lease : bool
        As for `look`.
    """
    descriptor = _open(path)
    if isinstance(descriptor, NotYet):
        return descriptor
    try:
        return _read_opened(descriptor, max_bytes, lease=lease)
    except OSError as error:
        return NotYet("read-error", error.strerror or "")
    finally:
        os.close(descriptor)


def _read_opened(descriptor: int, max_bytes: int, *, lease: bool) -> WholeFile | NotYet:
    before = identity_of(os.fstat(descriptor))
    doubt = _doubt(descriptor, before, max_bytes, lease=lease)
    if doubt is not None:
        return doubt
    data = _bytes(descriptor, before.size)
    after = identity_of(os.fstat(descriptor))
    if after != before or len(data) != before.size:
        return NotYet("changed", "while it was read")
    # a writer may have opened it meanwhile and not have written before the second look
    if lease and _writer(descriptor) == "open":
        return NotYet("open-for-writing")
    return WholeFile(data, after)


def _doubt(descriptor: int, identity: Identity, max_bytes: int, *, lease: bool) -> NotYet | None:
    if identity.size > max_bytes:
        return NotYet("too-large", f"{identity.size} bytes")
    if lease and _writer(descriptor) == "open":
        return NotYet("open-for-writing")
    if identity.size == 0:
        return NotYet("empty")
    hole = _first_hole(descriptor)
    if hole is not None and hole < identity.size:
        return NotYet("hole", f"at byte {hole} of {identity.size}")
    return None


def _open(path: str | Path) -> int | NotYet:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        # asked before opening, because opening a device may do something
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return NotYet("not-a-file")
        try:
            descriptor = os.open(path, flags | os.O_NOATIME)
        except PermissionError:  # only a file's owner may leave its access time alone
            descriptor = os.open(path, flags)
    except OSError as error:
        return _not_opened(error)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return NotYet("not-a-file")
    return descriptor


def _not_opened(error: OSError) -> NotYet:
    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}:
        return NotYet("gone")
    if error.errno == errno.ELOOP:
        return NotYet("not-a-file", "a symbolic link")
    return NotYet("unreadable", error.strerror or "")


def _writer(descriptor: int) -> Writer:
    """Ask for a read lease and give it back: it is refused while anyone may write to the file.

    A writer that comes in between waits for the microseconds until it is given back; the signal
    that tells the holder of it is set to one that is ignored, because SIGIO ends a process.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return "open" if error.errno == errno.EAGAIN else "unknown"
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return "none"


def _first_hole(descriptor: int) -> int | None:
    try:
        hole = os.lseek(descriptor, 0, os.SEEK_HOLE)
        os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        return None
    return hole


def _bytes(descriptor: int, size: int) -> bytes:
    """Return what the file holds, but at most one byte more than ``size``."""
    pieces = []
    wanted = size + 1
    while wanted and (piece := os.read(descriptor, wanted)):
        pieces.append(piece)
        wanted -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
