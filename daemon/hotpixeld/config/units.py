"""Values with units as people type them: durations, sizes, numbers of pixels."""

import re
from collections.abc import Mapping
from types import MappingProxyType

_SECONDS: Mapping[str, float] = MappingProxyType(
    {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
)
_BYTES: Mapping[str, int] = MappingProxyType(
    {"B": 1}
    | {f"{letter}B": 1000**power for power, letter in enumerate("kMGT", 1)}
    | {f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)}
)
_COUNTS: Mapping[str, int] = MappingProxyType({"": 1, "k": 10**3, "M": 10**6, "G": 10**9})

_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,6})?"
DURATION_PATTERN = rf"^{_NUMBER} ?(?:{'|'.join(_SECONDS)})$"
SIZE_PATTERN = rf"^{_NUMBER} ?(?:{'|'.join(_BYTES)})$"
COUNT_PATTERN = rf"^{_NUMBER} ?[kMG]?$"


def seconds(value: object, *, least: str, most: str) -> float:
    """Return the seconds that ``"2s"``, ``"5min"`` or ``"1.5 h"`` say.

    Raises
    ------
    ValueError
        It is no duration, or less than ``least`` or more than ``most``.
    """
    if not isinstance(value, str) or not re.fullmatch(DURATION_PATTERN, value):
        raise ValueError("must be a duration with its unit: ms, s, min, h or d, as in 2s or 5min")
    duration_s = _seconds(value)
    if not _seconds(least) <= duration_s <= _seconds(most):
        raise ValueError(f"must be {least} to {most}")
    return duration_s


def _seconds(text: str) -> float:
    number, unit = _split(text)
    return float(number) * _SECONDS[unit]


def size_bytes(value: object) -> int:
    """Return the bytes that ``"500MiB"``, ``"1GB"`` or ``"0B"`` say; else ValueError."""
    if isinstance(value, str) and re.fullmatch(SIZE_PATTERN, value):
        number, unit = _split(value)
        return round(float(number) * _BYTES[unit])
    raise ValueError(
        "must be a size with its unit: B, KiB, MiB, GiB, TiB (or kB, MB, GB, TB), as in 500MiB"
    )


def pixel_count(value: object) -> int:
    """Return the count that ``"400M"``, ``"12.5 k"`` or a whole number says; else ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(COUNT_PATTERN, value):
        number, unit = _split(value)
        return round(float(number) * _COUNTS[unit])
    raise ValueError(
        "must be a number of pixels: a whole number, or one with k, M or G, as in 400M"
    )


def _split(value: str) -> tuple[str, str]:
    unit = value.lstrip("0123456789.").strip()
    return value[: len(value) - len(unit)].strip(), unit
