"""The one page that puts files under their final names.

A file under its final name is whole, whatever happens: it is written beside under a dot-name,
synced, renamed or linked into place, and its folder is synced. What a killed process leaves is a
temporary that `sweep_temporaries` removes at the next start. The order of steps is that of restic
and of borg's SaveFile.
"""

import contextlib
import errno
import fcntl
import mmap
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypedDict, Unpack

TEMPORARY = re.compile(r"\.hotpixeld-[0-9a-f]{16}\.tmp")
_FICLONE = 0x40049409  # linux/fs.h
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class Options(TypedDict, total=False):
    """The options of `atomic_file`."""

    below: Path | None
    mode: int
    overwrite: bool
    times_ns: tuple[int, int] | None
    group: int | None
    sync: bool
    size_bytes: int


@contextlib.contextmanager
def atomic_file(
    path: Path,
    *,
    below: Path | None = None,
    mode: int = 0o666,
    overwrite: bool = True,
    times_ns: tuple[int, int] | None = None,
    group: int | None = None,
    sync: bool = True,
    size_bytes: int = 0,
) -> Iterator[BinaryIO]:
    """Open a file that stands under ``path`` only once the block has ended without an error.

    Parameters
    ----------
    path : Path
        The final name. Its folder must exist, unless ``below`` is given.
    below : Path, optional
        A folder, itself there, that ``path`` is in: missing folders between the two are made, and
        a symlink between them is refused, so that nothing is ever written outside ``below``.
    mode : int
        Permission bits, from which the umask takes away.
    overwrite : bool
        False: an existing file stays, and FileExistsError is raised.
    times_ns : (access, modification), optional
        The file's times.
    group : int, optional
        The group that the file gets, where we may give it.
    sync : bool
        False: whole under its name, but after a power loss it may be the old file or none. For
        what is written often and is worth nothing tomorrow.
    size_bytes : int
        As long as the file will be: its room is taken first, so that a full disk is told before
        the block begins and not when most of it is written. Where a file system cannot, nothing
        is taken.

    Raises
    ------
    OSError
        Nothing stands under ``path`` that did not before, and the temporary is gone; only where
        the last step, the sync of the folder, fails, the new file may be there.
    ValueError
        ``path`` is no file name, or not below ``below``; nothing was written.
    """
    with _opened_folder(path, below) as folder:
        temporary = f".hotpixeld-{secrets.token_hex(8)}.tmp"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, mode, dir_fd=folder)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor, not a path
                with contextlib.suppress(OSError):  # not every file system has locks
                    fcntl.flock(
                        descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB
                    )  # seen by `sweep_temporaries`
                if group is not None:
                    with contextlib.suppress(OSError):
                        os.fchown(descriptor, -1, group)
                if size_bytes:
                    _take_room(descriptor, size_bytes, path)
                yield file
                file.flush()
                if times_ns is not None:
                    os.utime(descriptor, ns=times_ns)
                if sync:
                    os.fsync(descriptor)
                _place(temporary, path.name, folder, overwrite=overwrite)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        if sync:
            _sync_folder(folder)


def write_atomically(
    path: Path,
    data: bytes | bytearray | memoryview,
    *,
    same_as: Path | None = None,
    **options: Unpack[Options],
) -> None:
    """Write ``data`` under ``path``; options and errors as in `atomic_file`.

    ``same_as`` is a file that is thought to hold the same: where the file system can, and it does,
    the new one shares its blocks (reflink) and costs no space.
    """
    with atomic_file(path, **options) as file:
        if same_as is None or not _shares_blocks(file, same_as, data):
            file.write(data)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, that are missing; what was made outlasts a power loss.

    Raises
    ------
    OSError
        It cannot be made or its name cannot be synced, or something else has the name.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
        with contextlib.suppress(PermissionError):  # a folder that we may write but not read
            above = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                _sync_folder(above)
            finally:
                os.close(above)
    if missing and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def sweep_temporaries(folder: Path) -> int:
    """Remove the temporaries that killed processes left in ``folder`` and below; return how many.

    What a living process is writing is left alone, and so is what cannot be read or removed.
    """
    removed = 0
    if not folder.is_dir():
        return removed
    for _, _, names, descriptor in os.fwalk(folder):
        for name in filter(TEMPORARY.fullmatch, names):
            with contextlib.suppress(OSError):
                removed += _removed_if_dead(name, descriptor)
    return removed


def _removed_if_dead(name: str, folder: int) -> bool:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(name, flags, dir_fd=folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder)
    finally:
        os.close(descriptor)
    return True


@contextlib.contextmanager
def _opened_folder(path: Path, below: Path | None) -> Iterator[int]:
    """Open the folder of ``path``, made if it is below ``below``, and close it at the end."""
    if path.name in ("", "..") or (below is not None and ".." in path.parts):
        raise ValueError(f"not a file name: {path}")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    folder = os.open(below or path.parent, flags)
    try:
        for part in path.parent.relative_to(below).parts if below else ():
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
                _sync_folder(folder)
            inner = os.open(part, flags | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def _take_room(descriptor: int, size_bytes: int, path: Path) -> None:
    # where a file system cannot take room, the C library writes to every block: first ask
    usage = os.fstatvfs(descriptor)
    free_bytes = usage.f_bavail * usage.f_frsize
    if usage.f_blocks and free_bytes < size_bytes:
        what = f"{size_bytes >> 20} MiB are needed and {free_bytes >> 20} MiB free"
        raise OSError(errno.ENOSPC, what, str(path))
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise OSError(error.errno, error.strerror, str(path)) from error


def _place(temporary: str, name: str, folder: int, *, overwrite: bool) -> None:
    if overwrite:
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        return
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # FAT and some network file systems have no hard links. Only another program that makes
        # the same name between these two lines could lose a file, and we are alone in `below`.
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
    else:
        with contextlib.suppress(
            OSError
        ):  # a second name does no harm; `sweep_temporaries` takes it away
            os.unlink(temporary, dir_fd=folder)


def _sync_folder(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some FUSE and network file systems cannot
            raise


def _shares_blocks(file: BinaryIO, other: Path, data: bytes | bytearray | memoryview) -> bool:
    """Let the empty ``file`` share the blocks of ``other``; False: it is still empty."""
    try:
        descriptor = os.open(other, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.ioctl(file.fileno(), _FICLONE, descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    # Another program may have written to it since it was read.
    if 0 < os.fstat(file.fileno()).st_size == len(data):
        with (
            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as shared,
            memoryview(shared) as found,
        ):
            if found == data:
                return True
    os.ftruncate(file.fileno(), 0)
    return False
