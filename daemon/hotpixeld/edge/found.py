"""A file as it was found: where it is, and what tells it from any other content at that place."""

import os
import stat
from pathlib import Path
from typing import NamedTuple


class Identity(NamedTuple):
    """What changes whenever a file's content or place does; times in nanoseconds.

    ``dev`` may be another number after the disk was unmounted and mounted, so whoever keeps an
    identity for longer than a process lives compares the other four.
    """

    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int


def identity_of(status: os.stat_result) -> Identity:
    """Return the identity that ``status`` shows."""
    return Identity(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def identity_at(path: str | Path) -> Identity | None:
    """Return the identity of the regular file at ``path``; None where there is none to be seen."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return identity_of(status) if stat.S_ISREG(status.st_mode) else None


def stored(identity: Identity) -> str:
    """Return a file's identity as the ledger keeps it: without the device, which a mount renews."""
    return "-".join(str(part) for part in identity[1:])


class FoundFile(NamedTuple):
    """A regular file with the name of a photo; bytes that are not UTF-8 are surrogate-escaped."""

    path: str
    identity: Identity

    def as_path(self) -> Path:
        """Return the place as a ``Path``."""
        return Path(self.path)
