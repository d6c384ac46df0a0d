"""The commands as plain data, read from the parser: what man pages and completions are made of."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Option:
    """One option or positional argument.

    Attributes
    ----------
    flags : tuple of str
        Empty for a positional.
    value : str
        What stands for its value; empty where it takes none.
    is_file : bool
        True where the value is a path.
    repeats : str
        argparse's ``nargs`` of a positional: empty, ``?``, ``*`` or ``+``.
    """

    flags: tuple[str, ...]
    value: str
    help: str
    choices: tuple[str, ...]
    is_file: bool
    is_required: bool
    repeats: str


@dataclass(frozen=True)
class Command:
    """One command: its words after the program's name, its line of help, its options."""

    words: tuple[str, ...]
    help: str
    options: tuple[Option, ...]
    inner: tuple[str, ...]

    @property
    def name(self) -> str:
        """The words as typed."""
        return " ".join(self.words)

    @property
    def positionals(self) -> tuple[Option, ...]:
        """The arguments without a flag."""
        return tuple(option for option in self.options if not option.flags)

    @property
    def flagged(self) -> tuple[Option, ...]:
        """The arguments with a flag."""
        return tuple(option for option in self.options if option.flags)


def commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[Command]:
    """Yield the program itself, then each command after the one that holds it."""
    inner = _inner(parser)
    options = tuple(
        _option(action)
        for action in parser._actions  # noqa: SLF001 (argparse has no public list of them)
        if not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    )
    yield Command(words, parser.description or "", options, tuple(inner))
    for name, below in inner.items():
        yield from commands(below, (*words, name))


def _inner(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 (as above)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


def _option(action: argparse.Action) -> Option:
    takes_value = action.nargs != 0
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest
    choices = tuple(map(str, action.choices or ()))
    shown = "|".join(choices) if choices else metavar
    named_file = metavar in ("FILE", "PATH", "OUT", "PHOTO", "FOLDER")
    return Option(
        flags=tuple(action.option_strings),
        value=shown if takes_value else "",
        help=action.help or "",
        choices=choices,
        is_file=takes_value and (action.type is Path or named_file),
        is_required=action.required,
        repeats=action.nargs if isinstance(action.nargs, str) else "",
    )
