"""Live reload: when the config file has changed, and what in it has."""

from pathlib import Path

from pydantic import BaseModel

from hotpixeld.config.schema import Config

QUIET_S = 2.0
RESTART_KEYS = frozenset({"state"})

_Stamp = tuple[int, int, int, int, int] | None


class ConfigFile:
    """Watches one config file by what stands under its path.

    Saving in place, renaming a new file over it and swapping a symlink anywhere on the path are
    all seen, since every look goes through the path anew. Make it before reading the file, so
    that a change while it is being read is not lost.
    """

    def __init__(self, path: Path, quiet_s: float = QUIET_S) -> None:
        self.path = path
        self._quiet_s = quiet_s
        self._taken = self._pending = _stamp(path)
        self._pending_since_s = 0.0

    def changed(self, now_s: float) -> bool:
        """Say, once per change, that the file has changed and has then been unchanged for a while.

        Parameters
        ----------
        now_s : float
            Of any clock that only goes forward.
        """
        stamp = _stamp(self.path)
        if stamp is None or stamp == self._taken:  # gone: an editor may be about to rename over it
            self._pending = stamp
            return False
        if stamp != self._pending:
            self._pending, self._pending_since_s = stamp, now_s
        if now_s - self._pending_since_s < self._quiet_s:
            return False
        self._taken = stamp
        return True


def differs_in(old: Config, new: Config) -> tuple[str, ...]:
    """Return the keys whose values differ, as ``watch.settle``, in the order of the file."""
    return tuple(_differences(old, new, ""))


def _differences(old: BaseModel, new: BaseModel, prefix: str) -> list[str]:
    keys: list[str] = []
    for name, field in type(old).model_fields.items():
        key, before, after = prefix + (field.alias or name), getattr(old, name), getattr(new, name)
        if isinstance(before, BaseModel):
            keys += _differences(before, after, f"{key}.")
        elif before != after:
            keys.append(key)
    return keys


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    # ctime_ns: some tools keep the mtime when they copy over a file.
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
