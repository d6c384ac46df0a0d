from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

_Frame: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

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
    /,
) -> None: ...
def residual_at(
    frames: Sequence[_Frame],
    sites: npt.NDArray[np.int64],
    out: npt.NDArray[np.int32],
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
