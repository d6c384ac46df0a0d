"""The command line: parse, hand on, and turn errors into one line and an exit code."""

import contextlib
import importlib
import os
import sqlite3
import sys
from collections.abc import Sequence

from hotpixeld.cli.parser import build_parser
from hotpixeld.edge.access import denied, full
from hotpixeld.errors import ConfigError, HotpixeldError

# Commands load only what they need: `status` must not wait for numpy.
_ROOMS = {
    "run": "daemon",
    "scan": "daemon",
    "rebuild": "daemon",
    "status": "status",
    "pixels": "pixels",
    "sensors": "ledger",
    "photos": "ledger",
    "find": "find",
    "correct": "correct",
    "backfill": "backfill",
    "report": "report",
    "doctor": "doctor",
    "check-config": "settings",
    "config-schema": "settings",
    "systemd-dropin": "settings",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = build_parser().parse_args(arguments)
    # numpy's linear algebra would spread small systems over all cores, and wait for them in turns
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    room = importlib.import_module(f"hotpixeld.cli.{_ROOMS[options.command]}")
    try:
        code: int = room.execute(options)
        sys.stdout.flush()
    except HotpixeldError as error:
        # editors and scripts read FILE:LINE:COL from the start of each line
        prefix = "" if isinstance(error, ConfigError) else "hotpixeld: "
        sys.stderr.write(f"{prefix}{error}\n".encode("utf-8", "backslashreplace").decode())
        return error.exit_code
    except BrokenPipeError:  # the reader, such as `head`, has enough
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return 0
    except (OSError, sqlite3.OperationalError) as error:
        if (told := denied(error, os.environ) or full(error)) is None:
            raise
        sys.stderr.write(f"hotpixeld: {told}\n")
        return 1
    return code
