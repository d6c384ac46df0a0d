"""Room on the state's disk: what `copies.min_free` keeps, asked before anything is written."""

import errno
import os

from hotpixeld.config import Config


def check_state_space(config: Config, size_bytes: int) -> None:
    """Raise OSError where ``size_bytes`` more would leave less than ``copies.min_free``.

    What is kept is room for the sums of what was taken already, and for the machine's others.
    """
    usage = os.statvfs(config.state)
    free_bytes = usage.f_bavail * usage.f_frsize
    least_bytes = config.copies.min_free_bytes
    if least_bytes and free_bytes - size_bytes < least_bytes:
        what = f"{free_bytes >> 20} MiB free, copies.min_free keeps {least_bytes >> 20} MiB"
        raise OSError(errno.ENOSPC, what, str(config.state))
