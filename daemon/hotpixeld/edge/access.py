"""What to do about a file that may not be read or a folder that may not be written."""

import errno
import os
import sqlite3
from collections.abc import Mapping

from hotpixeld.edge.logs import printable

_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def denied(error: OSError | sqlite3.OperationalError, environ: Mapping[str, str]) -> str | None:
    """Return one line that says what was denied and the next step; None: it is another error.

    Parameters
    ----------
    error : OSError or sqlite3.OperationalError
        As raised.
    environ : mapping
        ``INVOCATION_ID`` tells that systemd started this process (systemd.exec(5)).
    """
    if isinstance(error, sqlite3.OperationalError):
        if "readonly" not in str(error) and "unable to open" not in str(error):
            return None
        return (
            f"the state: {error}. Run it as the user of the service: sudo -u hotpixeld hotpixeld …"
        )
    if error.errno not in _DENIED:
        return None
    what = printable(os.fsdecode(error.filename)) if error.filename else "a folder"
    told = f"{what}: {error.strerror}."
    if "INVOCATION_ID" in environ:
        return (
            f"{told} The service sees and writes only the folders of its drop-in, and its user "
            "needs the rights: hotpixeld systemd-dropin prints the drop-in for this config"
        )
    return f"{told} Is it the right user, and in the group of the photos?"


def full(error: OSError | sqlite3.OperationalError) -> str | None:
    """Return one line that says where there is no room left; None: it is another error."""
    if isinstance(error, sqlite3.OperationalError):
        told = str(error) if "full" in str(error) else None
    elif error.errno in _FULL:
        place = f"{printable(os.fsdecode(error.filename))}: " if error.filename else ""
        told = f"{place}{error.strerror}"
    else:
        told = None
    return told and f"{told}. What was recorded is kept: free some room and run it again"
