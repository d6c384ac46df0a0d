"""Which config file, and which folders it means; without the validator, which is slow to import."""

import os
from collections.abc import Mapping
from pathlib import Path

from hotpixeld.config.yamltext import key_text, read_yaml
from hotpixeld.errors import ConfigError, ConfigProblem, UsageError

SYSTEM_CONFIG = Path("/etc/hotpixeld/hotpixeld.yaml")
MAX_BYTES = 4 * 1024**2


def find_config(explicit: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the config file to use; it exists, unless it was named by hand.

    Parameters
    ----------
    explicit : Path or None
        What ``-c`` says.
    environ : mapping
        The environment: ``HOTPIXELD_CONFIG`` and ``HOME`` are looked at.

    Raises
    ------
    UsageError
        No file is named and none stands in the usual places.
    """
    if explicit is not None:
        return explicit
    if named := environ.get("HOTPIXELD_CONFIG"):
        return Path(named)
    places = [SYSTEM_CONFIG]
    if home := environ.get("HOME"):
        places.insert(0, Path(home, ".config/hotpixeld/hotpixeld.yaml"))
    for place in places:
        if place.is_file():
            return place
    raise UsageError(
        "no config file: name one with -c or in $HOTPIXELD_CONFIG, or write "
        + " or ".join(str(place) for place in places)
        + " (three keys are enough: import, output, state)"
    )


def state_folder(path: Path) -> Path:
    """Return the state folder that the config at ``path`` names, whatever else is wrong there.

    For commands that must be quick and must speak when the config is bad, such as ``status``.

    Raises
    ------
    ConfigError
        The file cannot be read, or names no state folder.
    """
    tree = read_yaml(read_text(path))
    try:
        value = tree.value.get("state") if isinstance(tree.value, dict) else None
        return absolute_path(value, folder_of(path))
    except ValueError as error:
        where = tree.position(("state",))
        problem = ConfigProblem(*where, key_text(("state",)), str(error))
        raise ConfigError(str(path), (*tree.problems, problem)) from error


def read_text(path: Path) -> str:
    """Return the text of the config at ``path``; ConfigError if there is none."""
    try:
        with path.open("rb") as file:
            return decoded(file.read(MAX_BYTES + 1), str(path))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        problem = ConfigProblem(1, 1, "", f"cannot be read: {reason}")
        raise ConfigError(str(path), (problem,)) from error


def decoded(data: bytes, source: str) -> str:
    """Return ``data`` as text; ConfigError if it is none or too much."""
    if len(data) > MAX_BYTES:
        problem = ConfigProblem(1, 1, "", f"is larger than {MAX_BYTES // 1024**2} MiB")
        raise ConfigError(source, (problem,))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        problem = ConfigProblem(line, column, "", "is not UTF-8 text")
        raise ConfigError(source, (problem,)) from error


def folder_of(path: Path) -> Path:
    """Return the absolute folder that the paths in the config at ``path`` are relative to."""
    # A symlinked config stays relative to where it is named; resolve() would follow the link.
    return Path(os.path.abspath(path.parent))  # noqa: PTH100


def absolute_path(value: object, folder: Path) -> Path:
    """Return the path that ``value`` says, relative to ``folder``; else ValueError."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("must be a path as text (in quotes if it looks like a number)")
    path = Path(value)
    if value == "~" or value.startswith("~/"):
        try:
            path = path.expanduser()
        except RuntimeError:
            raise ValueError("~ means no folder here: write the whole path") from None
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ValueError("must be a path that the file system can hold") from None
    path = folder / path
    return real_path(path) if ".." in path.parts else path


def real_path(path: Path) -> Path:
    """Return ``path`` without symlinks, as far as it exists."""
    return Path(os.path.realpath(path))  # Path.resolve() raises on a loop of symlinks
