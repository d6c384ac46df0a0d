from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

_Frame: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
_Room: TypeAlias = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]

def fold(
    frames: Sequence[_Frame],
    sum_dn: npt.NDArray[np.uint32],
    sum_squares_dn2: npt.NDArray[np.unsignedinteger[Any]],
    top: int,
    bottom: int,
    /,
) -> None: ...
def add_residuals(
    frames: Sequence[_Frame],
    total: npt.NDArray[np.int32],
    top: int,
    bottom: int,
    reciprocals: npt.NDArray[np.uint16],
    /,
) -> None: ...
def residual_at(
    frames: Sequence[_Frame],
    sites: npt.NDArray[np.int64],
    out: npt.NDArray[np.int32],
    reciprocals: npt.NDArray[np.uint16],
    /,
) -> None: ...
def walk(
    stream: npt.NDArray[np.uint8],
    tables: npt.NDArray[np.int32],
    dc: bytes,
    ac: bytes,
    starts: npt.NDArray[np.int64],
    /,
) -> int: ...
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
