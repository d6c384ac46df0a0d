"""From a file to a Config, or to every problem that it has."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hotpixeld.config.folders import folder_problems
from hotpixeld.config.locate import folder_of, read_text
from hotpixeld.config.schema import Config
from hotpixeld.config.yamltext import KeyPath, YamlTree, key_text, read_yaml
from hotpixeld.errors import ConfigError, ConfigProblem

_MESSAGES = {
    "missing": "is missing",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "model_type": "must hold keys and values",
    "model_attributes_type": "must hold keys and values",
    "dict_type": "must hold keys and values",
    "too_long": "has too many items",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must not be empty",
    "finite_number": "must be a finite number",
}


def load_config(path: Path) -> Config:
    """Read, check and return the config at ``path``.

    Raises
    ------
    ConfigError
        With every problem at once, in the order of the file.
    """
    return parse_config(read_text(path), folder_of(path), str(path))


def parse_config(text: str, folder: Path, source: str = "config") -> Config:
    """Check the config ``text``, whose paths are relative to ``folder``; see `load_config`."""
    tree = read_yaml(text)
    config, problems = _validated(tree, folder)
    problems += [
        ConfigProblem(*tree.position(key), key_text(key), message)
        for key, message in folder_problems(tree.value, folder)
    ]
    problems = sorted({*tree.problems, *problems}, key=lambda p: (p.line, p.column, p.key))
    if problems or config is None:
        raise ConfigError(source, tuple(problems))
    return config


def _validated(tree: YamlTree, folder: Path) -> tuple[Config | None, list[ConfigProblem]]:
    """Return the config of ``tree``, or None, and what is wrong with its keys and values."""
    if tree.value is None and tree.is_whole:
        tree.value = {}
    try:
        return Config.model_validate(tree.value, context={"folder": folder}), []
    except ValidationError as error:
        noted = {(problem.line, problem.column) for problem in tree.problems}
        # What stands beyond a syntax error was not read, so it may well be there.
        problems = [
            _problem(details, tree)
            for details in error.errors(include_url=False)
            if tree.is_whole or details["type"] != "missing"
        ]
        return None, [p for p in problems if (p.line, p.column) not in noted]


def _problem(details: ErrorDetails, tree: YamlTree) -> ConfigProblem:
    path, kind = details["loc"], details["type"]
    if kind == "extra_forbidden":
        return ConfigProblem(*tree.position(path, of_key=True), key_text(path), _unknown(path))
    if kind != "missing":
        while path and path not in tree.values:  # one folder stands for a list of one
            path = path[:-1]
    context = details.get("ctx", {})
    if kind == "value_error":
        message = str(context["error"])
    elif kind == "literal_error":
        message = _not_one_of(details["input"], context["expected"])
    elif kind == "missing" and path and isinstance(path[-1], int):
        message = "is missing: a pixel is [x, y]"
    else:
        message = _MESSAGES.get(kind, details["msg"]).format(**context)
    if details["input"] is None and kind != "missing":
        message = f"has no value: it {message}"
    return ConfigProblem(*tree.position(path), key_text(path), message)


def _not_one_of(value: object, expected: str) -> str:
    """Say what may stand there; ``expected`` is pydantic's ``'auto', 'inotify' or 'poll'``."""
    message = f"must be {expected.replace(chr(39), '')}"
    words = expected.replace(" or ", ", ").replace("'", "").split(", ")
    near = difflib.get_close_matches(str(value), words, n=1)
    return f"{message}; did you mean {near[0]}?" if near else message


def _unknown(path: KeyPath) -> str:
    """Name the nearest key in the same section, else the same name elsewhere."""
    name = str(path[-1])
    siblings = _keys_of(_section_at(path[:-1]))
    everywhere = dict(_all_keys(Config, ()))
    if name in everywhere:
        return f'unknown key here, did you mean "{everywhere[name]}"?'
    if near := difflib.get_close_matches(name, siblings, n=1):
        return f'unknown key, did you mean "{near[0]}"?'
    return f"unknown key; there are {', '.join(siblings)}"


def _keys_of(section: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in section.model_fields.items()]


def _section_at(path: KeyPath) -> type[BaseModel]:
    section: type[BaseModel] = Config
    for part in path:
        for name, field in section.model_fields.items():
            if part == (field.alias or name):
                section = _section_of(field.annotation) or section
    return section


def _section_of(annotation: object) -> type[BaseModel] | None:
    """Return the section class that a field holds, itself or as items of a tuple."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and kind is not NoneType and issubclass(kind, BaseModel):
            return kind
    return None


def _all_keys(section: type[BaseModel], path: KeyPath) -> Iterator[tuple[str, str]]:
    for name, field in section.model_fields.items():
        here = (*path, field.alias or name)
        yield str(here[-1]), key_text(here)
        if inner := _section_of(field.annotation):
            yield from _all_keys(inner, here)
