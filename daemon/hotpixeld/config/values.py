"""The kinds of value that config keys have: how each is checked, and told to editors."""

import re
import string
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from hotpixeld.config import units
from hotpixeld.config.locate import absolute_path

LEAST_MEMORY_BYTES = 64 * 1024**2  # the interpreter and numpy take half of it
COPY_NAME_FIELDS = ("name", "stem", "ext", "date", "camera")


def _path(value: object, info: ValidationInfo) -> Path:
    return absolute_path(value, info.context["folder"] if info.context else Path("/"))


def _one_or_many(value: object) -> object:
    if value == []:
        raise ValueError("must name at least one folder")
    return tuple(value) if isinstance(value, list) else (value,)


def _glob(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a glob as text, in quotes, as in '*.bak'")
    if value.startswith("/"):
        raise ValueError("must be relative: it is matched below the import folder")
    if re.search(r"[\x00-\x1f]", value):
        raise ValueError("must not hold control characters")
    if "[" in re.sub(r"\[!?\]?[^\]]*\]", "", value):
        raise ValueError("has a [ without its ]")
    return value


def _copy_name(value: object) -> str:
    if not isinstance(value, str) or not value or re.search(r"[\x00-\x1f]", value):
        raise ValueError("must be a file name as text, as in '{name}'")
    try:
        parts = list(string.Formatter().parse(value))
    except ValueError as error:
        raise ValueError(f"is not a template: {error}; a brace itself is {{{{ or }}}}") from None
    known = ", ".join(f"{{{name}}}" for name in COPY_NAME_FIELDS)
    for _, name, spec, conversion in parts:
        if name is not None and (name not in COPY_NAME_FIELDS or spec or conversion):
            raise ValueError(f"has a field that is not known: {{{name}}}; there are {known}")
    if all(name is None for _, name, _, _ in parts):
        raise ValueError(f"must hold at least one of {known}, or all copies have one name")
    if any(part in ("", ".", "..") for part in value.split("/")):
        raise ValueError("must stay below the output folder: no leading, double or last /, no ..")
    return value


def _memory(value: object) -> int | None:
    if value == "auto":
        return None
    if (size := units.size_bytes(value)) < LEAST_MEMORY_BYTES:
        raise ValueError(f"must be at least {LEAST_MEMORY_BYTES >> 20}MiB, or auto")
    return size


def _report(value: object, info: ValidationInfo) -> Path | Literal["auto", False]:
    if value is False:
        return False
    if value == "auto":
        return "auto"
    return _path(value, info)


def _path_or_false(value: object, info: ValidationInfo) -> Path | Literal[False]:
    return False if value is False else _path(value, info)


def empty_if_none(value: object) -> object:
    """Take a section whose lines are all commented out as one with its defaults."""
    return {} if value is None else value


def no_items_if_none(value: object) -> object:
    """Take a list whose items are all commented out as an empty one."""
    return [] if value is None else value


_DURATION = {"type": "string", "pattern": units.DURATION_PATTERN, "examples": ["2s", "5min"]}
_SIZE = {"type": "string", "pattern": units.SIZE_PATTERN, "examples": ["500MiB", "1GiB"]}
_COUNT = {
    "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": units.COUNT_PATTERN}]
}
_TEXT = {"type": "string", "minLength": 1}

Folder = Annotated[Path, BeforeValidator(_path), WithJsonSchema(_TEXT)]
Folders = Annotated[
    tuple[Folder, ...],
    BeforeValidator(_one_or_many),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}),
]
Settle = Annotated[
    float,
    BeforeValidator(partial(units.seconds, least="50ms", most="1h")),
    WithJsonSchema(_DURATION),
]
Rescan = Annotated[
    float,
    BeforeValidator(partial(units.seconds, least="200ms", most="1d")),
    WithJsonSchema(_DURATION),
]
Bytes = Annotated[int, BeforeValidator(units.size_bytes), WithJsonSchema(_SIZE)]
Memory = Annotated[
    int | None,
    BeforeValidator(_memory),
    WithJsonSchema({"anyOf": [{"const": "auto"}, _SIZE]}),
]
PixelCount = Annotated[int, BeforeValidator(units.pixel_count), WithJsonSchema(_COUNT)]
Globs = Annotated[
    tuple[Annotated[str, BeforeValidator(_glob), WithJsonSchema(_TEXT)], ...],
    BeforeValidator(no_items_if_none),
    Field(strict=False),
]
CopyName = Annotated[str, BeforeValidator(_copy_name), WithJsonSchema(_TEXT)]
ReportPath = Annotated[
    Path | Literal["auto", False],
    BeforeValidator(_report),
    WithJsonSchema({"anyOf": [{"const": "auto"}, {"const": False}, _TEXT]}),
]
MetricsPath = Annotated[
    Path | Literal[False],
    BeforeValidator(_path_or_false),
    WithJsonSchema({"anyOf": [{"const": False}, _TEXT]}),
]
Pixel = Annotated[
    tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]], Field(strict=False)
]
