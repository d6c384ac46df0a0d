"""A process that takes photos from folders, for tests that stop it or fence it in.

Prints a JSON line per photo, ``{"photo": name}``, and ``{"status": …}`` whenever none came for the
time given. It reads every photo, as the daemon does.
"""

import argparse
import contextlib
import json
import os
import resource
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from hotpixeld.edge.watch import Watcher
from hotpixeld.edge.whole import NotYet


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--mode", default="auto")
    arguments.add_argument("--settle", type=float, default=0.5)
    arguments.add_argument("--rescan", type=float, default=300)
    arguments.add_argument("--check", type=float, default=5)
    arguments.add_argument("--every", type=float, default=0.5)
    arguments.add_argument("--user", type=int)
    asked = arguments.parse_args()
    if asked.user is not None:
        os.setgroups([])
        os.setgid(asked.user)
        os.setuid(asked.user)
    watcher = Watcher(
        [asked.folder],
        known=lambda path, identity: False,  # noqa: ARG005 (an empty ledger)
        mode=asked.mode,
        settle_s=asked.settle,
        rescan_s=asked.rescan,
        check_s=asked.check,
    )
    watcher.start()
    threading.Thread(target=_stop_at_end_of_input, args=(watcher,), daemon=True).start()
    _say({"ready": os.getpid()})
    while not watcher.stopped:
        path = watcher.next_photo(asked.every)
        if path is None:
            used = resource.getrusage(resource.RUSAGE_SELF)
            status = asdict(watcher.status())
            status["cpu_s"] = used.ru_utime + used.ru_stime
            status["wakeups"] = used.ru_nvcsw
            status["written_bytes"] = _written_bytes()
            _say({"status": status})
            continue
        content = watcher.read(path)
        reason = content.reason if isinstance(content, NotYet) else ""
        _say({"photo": os.path.relpath(path, asked.folder), "reason": reason})
        if reason:
            watcher.retry_later(path)


def _stop_at_end_of_input(watcher: Watcher) -> None:
    sys.stdin.read()
    watcher.stop()


def _say(what: dict[str, object]) -> None:
    print(json.dumps(what), flush=True)


def _written_bytes() -> int:
    with contextlib.suppress(PermissionError):  # after a change of user it is shut
        for line in Path("/proc/self/io").read_text(encoding="utf-8").splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
    return 0


if __name__ == "__main__":
    main()
