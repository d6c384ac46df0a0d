"""What stands in SQLite's write-ahead log, read without SQLite and without changing a byte.

SQLite ends its recovery at the first frame whose checksum fails, in silence: after a crash that is
right, since only the transaction that was being written can be torn. A frame that fails while a
later transaction stands behind it was synced once, so it has been damaged since.
The format is that of https://www.sqlite.org/fileformat2.html#walformat.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MAGIC = 0x377F0682  # the lowest bit: checksums are of big-endian words
_HEADER_BYTES = 32
_FRAME_BYTES = 24


@dataclass(frozen=True)
class Log:
    """What a write-ahead log holds.

    Attributes
    ----------
    damaged : bool
        True if a transaction that was committed cannot be read.
    first_page : bytes or None
        The newest committed content of the database's first page, if the log has it.
    """

    damaged: bool
    first_page: bytes | None


@dataclass(frozen=True)
class _Frame:
    page: int
    commits: bool
    is_live: bool
    holds: bool
    data: bytes


def read_log(path: Path) -> Log:
    """Return what the write-ahead log of the database at ``path`` holds.

    Raises
    ------
    OSError
        The log cannot be read.
    """
    try:
        data = path.with_name(path.name + "-wal").read_bytes()
    except FileNotFoundError:
        return Log(damaged=False, first_page=None)
    if len(data) <= _HEADER_BYTES:
        return Log(damaged=False, first_page=None)
    frames = _frames(data)
    if frames is None:  # what follows a torn header was never synced, unless it is whole pages
        return Log(damaged=len(data) > _HEADER_BYTES + _FRAME_BYTES, first_page=None)
    return _read(frames)


def _read(frames: Iterator[_Frame]) -> Log:
    committed = pending = None
    ended = False  # the transaction that does not hold
    for frame in frames:
        if not (frame.is_live and frame.holds):
            ended = frame.commits
            break
        pending = frame.data if frame.page == 1 else pending
        if frame.commits:
            committed, pending = pending or committed, None
    for frame in frames:
        if ended and frame.is_live:
            return Log(damaged=True, first_page=committed)
        ended = ended or (frame.is_live and frame.commits)
    return Log(damaged=False, first_page=committed)


def _frames(data: bytes) -> Iterator[_Frame] | None:
    magic, _, page_bytes, _, salt_1, salt_2, sum_1, sum_2 = struct.unpack(">8I", data[:32])
    order = ">" if magic & 1 else "<"
    if magic & ~1 != _MAGIC or not 512 <= page_bytes <= 65536:
        return None
    sums = _checksum(data[:24], order, (0, 0))
    if sums != (sum_1, sum_2):
        return None
    return _each(data, page_bytes, order, (salt_1, salt_2), sums)


def _each(
    data: bytes, page_bytes: int, order: str, salts: tuple[int, int], sums: tuple[int, int]
) -> Iterator[_Frame]:
    holds = True
    step = _FRAME_BYTES + page_bytes
    for start in range(_HEADER_BYTES, len(data) - step + 1, step):
        head, page_data = data[start : start + _FRAME_BYTES], data[start + 24 : start + step]
        page, size_after, salt_1, salt_2, sum_1, sum_2 = struct.unpack(">6I", head)
        if holds:
            sums = _checksum(head[:8] + page_data, order, sums)
            holds = sums == (sum_1, sum_2)
        yield _Frame(page, size_after > 0, (salt_1, salt_2) == salts, holds, page_data)


def _checksum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    one, two = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + two) & 0xFFFFFFFF
        two = (two + odd + one) & 0xFFFFFFFF
    return one, two
