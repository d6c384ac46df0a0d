"""`doctor`: what on this machine would keep the daemon from its work, and what to do about it.

Nothing is written, not even to try whether it could be.
"""

import contextlib
import os
import platform
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from hotpixeld import __version__
from hotpixeld.config import Config
from hotpixeld.edge.database import FILE_NAME, open_database, verify
from hotpixeld.edge.filesystem import mount_of
from hotpixeld.edge.lock import holder_pid
from hotpixeld.edge.logs import printable
from hotpixeld.edge.problems import raise_inotify
from hotpixeld.errors import StateError

INOTIFY = Path("/proc/sys/fs/inotify")
MOST_FOLDERS = 200_000
LEAST_INSTANCES = 16
# No clock that is right says less than this file's own time.
_CLOCK_SLACK_S = 86_400.0
_BLIND_TO_MAPPED_FILES = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "davfs"})


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    advice : str
        What to do; empty where all is well.
    """

    what: str
    advice: str = ""

    @property
    def is_fine(self) -> bool:
        """True if there is nothing to do."""
        return not self.advice


def examine(config: Config | None, *, now_s: float | None = None) -> Iterator[Check]:
    """Yield every check, in a fixed order.

    Parameters
    ----------
    config
        None where it is bad: only the machine is looked at then.
    now_s
        Seconds since the epoch; None: what the clock says.
    """
    now_s = time.time() if now_s is None else now_s
    yield from _versions()
    yield from _clock(now_s)
    if config is None:
        yield from inotify(())
        return
    for folder in config.import_folders:
        yield from _readable(folder)
        yield _noticed(folder, config.watch.mode)
    for key, folder in (("output", config.output), ("state", config.state)):
        yield _writable(key, folder)
        yield _space(key, folder, config.copies.min_free_bytes)
    for key, file in (("report", config.report_path), ("metrics", config.metrics or None)):
        if file is not None and file.parent != config.state:
            yield _writable(key, file.parent)
    yield from _state(config.state)
    yield from _files_of_the_future(config.import_folders, now_s)
    yield from inotify(config.import_folders if config.watch.mode != "poll" else ())


def _versions() -> Iterator[Check]:
    packages = ("numpy", "Pillow", "watchdog", "pydantic", "PyYAML", "Jinja2", "rich")
    found = ", ".join(f"{package} {version(package)}" for package in packages)
    yield Check(f"hotpixeld {__version__}, Python {platform.python_version()}, {found}")
    lite = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < (3, 37):
        yield Check(
            f"SQLite {lite} has no STRICT tables", "install Python with SQLite 3.37 or newer"
        )
    else:
        yield Check(f"SQLite {lite}")
    yield Check(f"{platform.system()} {platform.release()}, {os.cpu_count() or 1} cores")


def _clock(now_s: float) -> Iterator[Check]:
    built_s = Path(__file__).stat().st_mtime
    told = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now_s))
    if now_s < built_s - _CLOCK_SLACK_S:
        yield Check(
            f"the clock says {told}, which is before this program was installed",
            "set the clock, as with: sudo timedatectl set-ntp true",
        )
    else:
        yield Check(f"the clock says {told}")


def _readable(folder: Path) -> Iterator[Check]:
    name = f"import {printable(str(folder))}"
    if not folder.exists():
        yield Check(f"{name} is not there", "make the folder, or mount what holds it")
    elif not os.access(folder, os.R_OK | os.X_OK):
        yield Check(
            f"{name} cannot be read by {_who()}",
            f"let {_who()} read it: chmod o+rx, or a common group",
        )
    else:
        with os.scandir(folder) as entries:
            hidden = [
                entry.name
                for entry in islice(entries, 1000)
                if not os.access(entry.path, os.R_OK, follow_symlinks=False)
                and not entry.is_symlink()
            ]
        if hidden:
            what = f"{name}: {len(hidden)} entries cannot be read, such as {printable(hidden[0])}"
            yield Check(what, f"let {_who()} read them")
        else:
            yield Check(f"{name} can be read")


def _noticed(folder: Path, mode: str) -> Check:
    mount = mount_of(folder)
    if mount is None:
        return Check(f"{printable(str(folder))}: nothing tells which file system holds it")
    name = f"{printable(str(folder))} is on {mount.fstype}"
    if mount.tells_events:
        return Check(f"{name}, which tells of new files")
    if mode == "inotify":
        return Check(
            f"{name}, which does not tell of files that other machines write",
            "set watch.mode to auto or poll",
        )
    return Check(f"{name}, which is looked through every watch.rescan")


def _writable(key: str, folder: Path) -> Check:
    name = f"{key} {printable(str(folder))}"
    there = next(above for above in (folder, *folder.parents) if above.exists())
    if not there.is_dir():
        return Check(f"{name}: {printable(str(there))} is not a folder", "name another folder")
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        return Check(
            f"{name} is read-only here",
            "mount it writable; under systemd: hotpixeld systemd-dropin opens the sandbox",
        )
    if not os.access(there, os.W_OK | os.X_OK):
        return Check(
            f"{name} cannot be written by {_who()}",
            f"give it to {_who()}: sudo chown {_who()} {printable(str(there))}",
        )
    if key == "state" and (mount := mount_of(there)) and mount.fstype in _BLIND_TO_MAPPED_FILES:
        return Check(
            f"{name} is on {mount.fstype}, on which SQLite cannot keep its promises",
            "put the state on a local disk; import and output may stay where they are",
        )
    return Check(f"{name} can be written" + ("" if there == folder else " once it is made"))


def _space(key: str, folder: Path, least_bytes: int) -> Check:
    there = next(above for above in (folder, *folder.parents) if above.exists())
    usage = os.statvfs(there)
    free_bytes = usage.f_bavail * usage.f_frsize
    name = f"{key}: {free_bytes >> 20} MiB free"
    if free_bytes < least_bytes:
        return Check(
            f"{name}, and copies.min_free keeps {least_bytes >> 20} MiB", "free some space there"
        )
    if usage.f_files and usage.f_favail < 1000:
        return Check(f"{name}, but only {usage.f_favail} inodes", "remove some files there")
    return Check(name)


def _state(folder: Path) -> Iterator[Check]:
    if not (folder / FILE_NAME).exists():
        yield Check("there is no state yet; `hotpixeld run` or `scan` makes it")
        return
    try:
        verify(folder)
        with contextlib.closing(open_database(folder)) as db:
            newest = db.execute("SELECT max(seen_at) FROM photos").fetchone()[0]
        yield Check("the state's records are whole")
    except (StateError, OSError) as error:
        yield Check(
            str(error), "hotpixeld rebuild makes the state anew, if it is not a newer version's"
        )
        return
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + _CLOCK_SLACK_S))
    if newest and newest > now:
        yield Check(f"the last photo came at {newest}, says the state", "set the clock")
    pid = holder_pid(folder / "lock")
    yield Check(
        "no daemon runs on this state" if pid is None else f"the daemon runs, process {pid}"
    )


def _files_of_the_future(folders: tuple[Path, ...], now_s: float) -> Iterator[Check]:
    for folder in folders:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            late = [
                entry.name
                for entry in islice(entries, 1000)
                if entry.stat(follow_symlinks=False).st_mtime > now_s + _CLOCK_SLACK_S
            ]
            if late:
                yield Check(
                    f"{printable(str(folder))}: {len(late)} files are of the future, such as "
                    f"{printable(late[0])}",
                    "compare the clocks of this machine and of the one that wrote them",
                )


def inotify(folders: tuple[Path, ...], limits: Path = INOTIFY) -> Iterator[Check]:
    """Yield whether the kernel has watches enough for all folders below ``folders``."""
    try:
        watches = int((limits / "max_user_watches").read_text(encoding="ascii"))
        instances = int((limits / "max_user_instances").read_text(encoding="ascii"))
    except (OSError, ValueError):  # hidden by systemd's ProcSubset=pid
        yield Check("the inotify limits are hidden here; `status` tells when one is reached")
        return
    needed = _count_folders(folders)
    what = f"{needed} folders to watch, fs.inotify.max_user_watches is {watches}"
    advice = raise_inotify("max_user_watches", 2 * needed) if needed > watches else ""
    yield Check(what, advice)
    few = instances < LEAST_INSTANCES
    advice = raise_inotify("max_user_instances", 256) if few else ""
    yield Check(f"fs.inotify.max_user_instances is {instances}", advice)


def _count_folders(folders: tuple[Path, ...]) -> int:
    walked = (entry for folder in folders for entry in os.walk(folder))
    return sum(1 for _ in islice(walked, MOST_FOLDERS))


def _who() -> str:
    import pwd  # noqa: PLC0415 (only for an advice)

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
