"""Which of the config's folders must not be, or hold, one another.

A repaired copy in the import folder would be taken for a photo, and the daemon must never write
there. So import, output and state are apart from each other, however they are named: by symlink,
by another spelling on a file system that ignores case, or by a bind mount.
"""

import contextlib
import os
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from hotpixeld.config.locate import absolute_path, real_path
from hotpixeld.config.yamltext import KeyPath


class _Folder(NamedTuple):
    key: KeyPath
    what: str
    path: Path


def folder_problems(value: object, base: Path) -> Iterator[tuple[KeyPath, str]]:
    """Yield (key, message) for each folder that is not a folder or is not apart from another.

    Parameters
    ----------
    value : object
        The whole config as it stands in the file, valid or not: the folders are judged even
        where other keys are wrong, so that every problem is told at once.
    base : Path
        What relative paths are relative to.
    """
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes().decode(errors="surrogateescape")
    except OSError:
        mounts = ""
    folders = list(_folders(value, base))
    for folder in folders:
        if _identity(folder.path) and not os.path.isdir(folder.path):  # noqa: PTH112  # is_dir() raises on EACCES
            yield folder.key, f"{folder.path} is not a folder"
    for first, second in combinations(folders, 2):
        if relation := _relation(second.path, first.path, mounts):
            yield second.key, f"{relation} {first.what} {first.path}"
    for key in ("report", "metrics"):
        for file in _named(value, (key,), f"the {key}", base):
            yield from _file_problems(file, folders, mounts)


def _file_problems(
    file: _Folder, folders: list[_Folder], mounts: str
) -> Iterator[tuple[KeyPath, str]]:
    for folder in folders:
        if folder.key[0] == "import" and _is_within(file.path, folder.path, mounts):
            yield file.key, f"is inside {folder.what} {folder.path}, which is never written"
    if os.path.isdir(file.path):  # noqa: PTH112  # as above
        yield file.key, f"{file.path} is a folder: name a file"


def _folders(value: object, base: Path) -> Iterator[_Folder]:
    imports = value.get("import") if isinstance(value, dict) else None
    if isinstance(imports, list):
        for number in range(len(imports)):
            yield from _named(value, ("import", number), "an import folder", base)
    else:
        yield from _named(value, ("import",), "the import folder", base)
    yield from _named(value, ("output",), "the output folder", base)
    yield from _named(value, ("state",), "the state folder", base)


def _named(value: object, key: KeyPath, what: str, base: Path) -> Iterator[_Folder]:
    """Yield the folder at ``key``, if a path stands there."""
    for part in key:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
    if isinstance(value, str) and value != "auto":
        with contextlib.suppress(ValueError):  # told where the keys are checked
            yield _Folder(key, what, absolute_path(value, base))


def _relation(path: Path, other: Path, mounts: str) -> str:
    """Say how ``path`` lies to ``other``; empty: apart."""
    if _is_within(path, other, mounts):
        return "is the same as" if _is_within(other, path, mounts) else "is inside"
    return "holds" if _is_within(other, path, mounts) else ""


def _is_within(path: Path, folder: Path, mounts: str) -> bool:
    """Say whether ``path`` is ``folder`` or below it; neither needs to exist."""
    real, real_folder = real_path(path), real_path(folder)
    if real.is_relative_to(real_folder):
        return True
    identity = _identity(real_folder)
    if identity and any(_identity(above) == identity for above in (real, *real.parents)):
        return True
    device, inside = place_on_device(real, mounts)
    other_device, other_inside = place_on_device(real_folder, mounts)
    return device == other_device and inside.is_relative_to(other_inside)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def place_on_device(real: Path, mounts: str) -> tuple[str, Path]:
    """Return the device and the path inside its file system, so that bind mounts coincide.

    Parameters
    ----------
    real : Path
        Absolute, symlinks resolved.
    mounts : str
        The text of ``/proc/self/mountinfo`` (man 5 proc); where it says nothing of ``real``, the
        device is empty and the path ``real`` itself.
    """
    device, inside, depth = "", real, -1
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 5:
            continue
        root, mount_point = Path(_unescaped(fields[3])), Path(_unescaped(fields[4]))
        # A later mount on the same point hides the earlier one.
        if real.is_relative_to(mount_point) and len(mount_point.parts) >= depth:
            depth = len(mount_point.parts)
            device, inside = fields[2], root / real.relative_to(mount_point)
    return device, inside


def _unescaped(field: str) -> str:
    r"""Undo the kernel's spelling of space, tab, newline and backslash: ``\040`` and so on."""
    if "\\" not in field:
        return field
    raw = os.fsencode(field)
    for octal, byte in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        raw = raw.replace(octal, byte)
    return os.fsdecode(raw)
