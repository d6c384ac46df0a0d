"""YAML as a config needs it: a tree of plain values, and where each of them stands.

Of YAML 1.1 as PyYAML reads it, the traps are left out: only ``true`` and ``false`` are booleans,
``0644`` and ``12:30`` are text, a key is text and stands once, and there are no aliases (an alias
bomb is a few lines long), tags or second documents. Every such mistake is a problem, not an
exception, so that all are told at once.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import yaml

from hotpixeld.errors import ConfigProblem

KeyPath = tuple[str | int, ...]
MAX_DEPTH = 20  # the config's own depth is 5

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?[0-9]{1,18}(?:\.[0-9]{0,18})?(?:[eE][-+]?[0-9]{1,3})?")


@dataclass
class YamlTree:
    """What a text says.

    Attributes
    ----------
    value : object
        dict, list, str, int, float, bool or None; None also for an empty text.
    keys, values : dict
        Where each key and each value stands: (line, column), 1-based, by its path.
    problems : list of ConfigProblem
        In the order of the text. After a syntax error nothing more is read.
    """

    value: object = None
    keys: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    values: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    problems: list[ConfigProblem] = field(default_factory=list)
    is_whole: bool = True

    def position(self, path: KeyPath, *, of_key: bool = False) -> tuple[int, int]:
        """Return (line, column) of the value at ``path``, or of the nearest thing around it."""
        if of_key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, (1, 1))


def key_text(path: KeyPath) -> str:
    """Return ``sensors[0].pixels`` for ``("sensors", 0, "pixels")``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def read_yaml(text: str) -> YamlTree:
    """Read ``text``; mistakes are in the result's ``problems``, none is raised."""
    tree = YamlTree()
    try:
        _Reader(yaml.parse(text, Loader=yaml.SafeLoader), tree).read()
    except yaml.MarkedYAMLError as error:
        tree.is_whole = False
        mark = error.problem_mark or error.context_mark
        where = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = " ".join(part for part in (error.context, error.problem) if part)
        tree.problems.append(ConfigProblem(*where, "", f"not YAML: {message}"))
    except yaml.reader.ReaderError as error:
        tree.is_whole = False
        before = text[: error.position]
        where = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        problem = f"not YAML: character #x{ord(text[error.position]):04x} is not allowed"
        tree.problems.append(ConfigProblem(*where, "", problem))
    except _TooDeepError:
        tree.is_whole = False
    return tree


class _TooDeepError(Exception):
    """Nesting beyond MAX_DEPTH; the problem is already noted."""


class _Reader:
    """Builds the tree from the parser's events."""

    def __init__(self, events: Iterator[yaml.Event], tree: YamlTree) -> None:
        self._events = events
        self._tree = tree

    def read(self) -> None:
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._problem(event, (), "a config is one document: a second one starts here")
                    return
            elif not isinstance(
                event, yaml.StreamStartEvent | yaml.StreamEndEvent | yaml.DocumentEndEvent
            ):
                self._value(event, (), partial(setattr, self._tree, "value"))

    def _value(self, event: yaml.Event, path: KeyPath, put: Callable[[object], None]) -> None:
        """Hand the value to ``put`` as soon as it exists: an error later leaves it there."""
        self._tree.values.setdefault(path, _position(event))
        if len(path) > MAX_DEPTH:
            self._problem(event, path, "is nested too deeply")
            raise _TooDeepError
        if isinstance(event, yaml.AliasEvent):
            self._problem(event, path, "aliases (*name) are not read here: write the value out")
            put(None)
            return
        if (tag := getattr(event, "tag", None)) not in (None, "!"):
            self._problem(event, path, f"tags are not read here: {tag}")
        if isinstance(event, yaml.MappingStartEvent):
            mapping: dict[str, object] = {}
            put(mapping)
            self._mapping(mapping, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            items: list[object] = []
            put(items)
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                self._value(event, (*path, len(items)), items.append)
        else:
            assert isinstance(event, yaml.ScalarEvent)
            put(plain_value(event.value) if event.style is None else event.value)

    def _mapping(self, mapping: dict[str, object], path: KeyPath) -> None:
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._problem(event, path, "a key must be text")
                self._skip(event)
                self._skip(next(self._events))
                continue
            key, here = str(event.value), (*path, str(event.value))
            if key in mapping:
                first_line = self._tree.keys[here][0]
                self._problem(event, here, f"is given twice, first in line {first_line}")
                self._skip(next(self._events))
                continue
            self._tree.keys[here] = _position(event)
            self._value(next(self._events), here, partial(mapping.__setitem__, key))

    def _skip(self, event: yaml.Event) -> None:
        depth = 0
        while True:
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth == 0:
                return
            event = next(self._events)

    def _problem(self, event: yaml.Event, path: KeyPath, message: str) -> None:
        self._tree.problems.append(ConfigProblem(*_position(event), key_text(path), message))


def plain_value(text: str) -> str | int | float | bool | None:
    """Return what an unquoted scalar means."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and (text.lstrip("-+")[:1] != "0" or "." in text or "e" in text):
        return float(text)
    return text


def _position(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    assert mark is not None
    return mark.line + 1, mark.column + 1
