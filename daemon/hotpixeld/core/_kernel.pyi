from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

_Bytes: TypeAlias = npt.NDArray[np.uint8]
_Frame: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
_Room: TypeAlias = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]

def fold(
    frames: Sequence[_Frame],
    sum_dn: npt.NDArray[np.unsignedinteger],
    sum_squares_dn2: npt.NDArray[np.unsignedinteger[Any]],
    top: int,
    bottom: int,
    /,
) -> None: ...
def grey_sums(
    frame: _Frame, out: npt.NDArray[np.uint32], top: int, bottom: int, step: int, /
) -> None: ...
def add_residuals(
    frames: Sequence[_Frame],
    total: npt.NDArray[np.signedinteger],
    top: int,
    bottom: int,
    /,
) -> None: ...
def residual_at(
    frames: Sequence[_Frame],
    sites: npt.NDArray[np.int64],
    out: npt.NDArray[np.int32],
    /,
) -> None: ...
def walk(
    stream: _Bytes,
    tables: npt.NDArray[np.uint16],
    dc: bytes,
    ac: bytes,
    owners: bytes,
    mcus: int,
    wanted: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    values: npt.NDArray[np.int64],
    /,
) -> int: ...
def read_blocks(
    stream: _Bytes,
    tables: npt.NDArray[np.uint16],
    dc: bytes,
    ac: bytes,
    positions: npt.NDArray[np.int64],
    blocks: npt.NDArray[np.int64],
    after_dc: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    /,
) -> bool: ...
def copy_bits(source: _Bytes, at: int, count: int, out: _Bytes, out_at: int, /) -> None: ...
def same_bits(one: _Bytes, one_at: int, other: _Bytes, other_at: int, count: int, /) -> bool: ...
def unstuff(data: bytes, start: int, end: int, out: _Bytes, /) -> int: ...
def stuff(data: _Bytes, out: _Bytes, /) -> int: ...
def find_marker(data: bytes, start: int, /) -> int: ...
def steadiness(
    sums: tuple[npt.NDArray[np.unsignedinteger[Any]], npt.NDArray[np.unsignedinteger[Any]]],
    count_and_unit: tuple[int, float],
    logarithms: npt.NDArray[np.int32],
    first: int,
    out: tuple[npt.NDArray[np.int16], npt.NDArray[np.uint64]],
    /,
) -> tuple[int, int, int]: ...
def block_sums(
    values: npt.NDArray[np.signedinteger[Any]],
    limits: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
    /,
) -> None: ...
def phase_sums(
    values: npt.NDArray[np.signedinteger[Any]],
    inverse: npt.NDArray[np.float32],
    scale: float,
    total: npt.NDArray[np.int64],
    size: npt.NDArray[np.int64],
    /,
) -> None: ...
def screen(
    fields: tuple[npt.NDArray[np.int32], npt.NDArray[np.int16]],
    inverses: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    phases: npt.NDArray[np.float32],
    screen: tuple[float, float, float],
    out: tuple[_Room, _Room],
    /,
) -> tuple[int, int]: ...
