"""The man pages, made from the commands and from the config's schema, and the file that makes all.

``python -m hotpixeld.cli.manual FOLDER`` writes ``docs/man`` and ``completions`` below FOLDER.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hotpixeld import __version__
from hotpixeld.cli import completions
from hotpixeld.cli.parser import build_parser
from hotpixeld.cli.tree import Command, Option, commands
from hotpixeld.config import Config

_EXIT_CODES = (
    ("0", "fine"),
    ("1", "failed; of doctor: something was found; of find: no photo was usable"),
    ("2", "wrong usage"),
    ("3", "the daemon is not running (status)"),
    ("65", "the state is damaged, or of a newer version"),
    ("75", "another process holds the state"),
    ("78", "the config is bad"),
)
_SIGNALS = (
    ("SIGTERM, SIGINT", "stop within 10 s; a second one stops at once"),
    ("SIGHUP", "read the config again, as a saved file is by itself; on a terminal it stops"),
)
_ENVIRONMENT = (
    ("HOTPIXELD_CONFIG", "the config file, where -c names none"),
    ("NO_COLOR", "no colours on the terminal"),
)
_FILES = (
    ("~/.config/hotpixeld/hotpixeld.yaml", "the config, where nothing else names one"),
    ("/etc/hotpixeld/hotpixeld.yaml", "the config, where that is not there either"),
    ("STATE/report.html", "the report, unless the config says otherwise"),
    ("STATE/pixels/CAMERA.txt", "the confirmed pixels of a camera, in dcraw's syntax"),
)


def made_files() -> dict[str, str]:
    """Return every made file: its path below the project's folder, and its text."""
    tree = list(commands(build_parser()))
    return {
        "docs/man/hotpixeld.1": commands_page(tree),
        "docs/man/hotpixeld.yaml.5": config_page(),
        "completions/hotpixeld.bash": completions.bash(tree),
        "completions/_hotpixeld": completions.zsh(tree),
        "completions/hotpixeld.fish": completions.fish(tree),
    }


def commands_page(tree: list[Command]) -> str:
    """Return hotpixeld(1)."""
    return "\n".join(_commands_page(tree)) + "\n"


def _commands_page(tree: list[Command]) -> Iterator[str]:
    program = tree[0]
    yield from _head("HOTPIXELD", 1, "hotpixeld", "find and repair stuck, hot and dead pixels")
    yield ".SH SYNOPSIS"
    yield ".B hotpixeld"
    yield ".I COMMAND"
    yield "[options]"
    yield ".SH DESCRIPTION"
    yield _text(program.help)
    yield _text(
        "The originals are never changed. Results go to standard output, logs to standard error."
    )
    yield ".SH OPTIONS"
    for option in program.flagged:
        yield from _option(option)
    yield ".SH COMMANDS"
    for command in tree[1:]:
        if not command.inner:
            yield f".SS {_roff(_usage(command))}"
            yield _text(_sentence(command.help))
            for option in command.options:
                if option.flags != ("-h", "--help"):
                    yield from _option(option)
    for title, rows in (
        ("EXIT STATUS", _EXIT_CODES),
        ("SIGNALS", _SIGNALS),
        ("ENVIRONMENT", _ENVIRONMENT),
        ("FILES", _FILES),
    ):
        yield f".SH {title}"
        for term, meaning in rows:
            yield from (".TP", f".B {_roff(term)}", _text(_sentence(meaning)))
    yield from (".SH SEE ALSO", ".BR hotpixeld.yaml (5)")


def config_page() -> str:
    """Return hotpixeld.yaml(5)."""
    return "\n".join(_config_page()) + "\n"


def _config_page() -> Iterator[str]:
    yield from _head("HOTPIXELD.YAML", 5, "hotpixeld.yaml", "the config file of hotpixeld")
    yield ".SH DESCRIPTION"
    yield _text(
        "YAML in UTF-8. Only import, output and state must be given. An unknown or duplicate key "
        "is an error that names the nearest key. Durations and sizes are text with a unit, such "
        "as 2s, 5min, 500MiB. Paths are relative to the file. A running daemon takes up a saved "
        "file by itself; where it is bad, the earlier settings stay and status says so."
    )
    yield ".SH KEYS"
    yield from _keys(Config, "")
    yield ".SH EXAMPLE"
    yield from (".EX", "version: 1", "import: ./photos/import", "output: ./photos/repaired")
    yield from ("state: ./photos/state", ".EE")
    yield from (".SH SEE ALSO", ".BR hotpixeld (1)")


def _keys(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        key = prefix + (field.alias or name)
        inner = _section_of(field.annotation)
        if inner is not None and field.default_factory is not None:
            yield f".SS {_roff(key)}"
            yield _text(_sentence((inner.__doc__ or "").strip().splitlines()[0]))
            yield from _keys(inner, f"{key}.")
            continue
        yield from (".TP", f".B {_roff(key)}", _text(_sentence(field.description or "")))
        yield from (".br", _text(_values(field)))
        if inner is not None:
            yield from (".RS",)
            yield from _keys(inner, f"{key}[].")
            yield from (".RE",)


def _section_of(annotation: object) -> type[BaseModel] | None:
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _values(field: FieldInfo) -> str:
    choices = [
        str(value).lower() if isinstance(value, bool) else str(value)
        for kind in (field.annotation, *get_args(field.annotation))
        if get_origin(kind) is Literal
        for value in get_args(kind)
    ]
    told = [f"One of: {', '.join(choices)}."] if len(choices) > 1 else []
    if field.is_required():
        told.append("Must be given.")
    else:
        told.append(f"Default: {_default(field.get_default())}.")
    return " ".join(told)


def _default(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value in ((), None):
        return "none"
    return str(value)


def _head(title: str, section: int, name: str, text: str) -> Iterator[str]:
    yield '.\\" Made by `make docs` from the commands and the config schema; do not edit.'
    yield f'.TH {title} {section} "" "hotpixeld {__version__}" ""'
    yield from (".SH NAME", f"{name} \\- {_roff(text)}")


def _option(option: Option) -> Iterator[str]:
    shown = ", ".join(option.flags)
    value = option.value if option.flags else f"{option.value}{_dots(option)}"
    yield from (".TP", f".B {_roff(f'{shown} {value}'.strip())}")
    yield _text(_sentence(option.help)) if option.help else "\\&"


def _usage(command: Command) -> str:
    parts = [command.name]
    for option in command.flagged:
        if option.flags != ("-h", "--help"):
            text = f"{option.flags[0]} {option.value}".strip()
            parts.append(text if option.is_required else f"[{text}]")
    for option in command.positionals:
        text = f"{option.value}{_dots(option)}"
        parts.append(f"[{text}]" if option.repeats in ("?", "*") else text)
    return " ".join(parts)


def _dots(option: Option) -> str:
    return " ..." if option.repeats in ("*", "+") else ""


def _sentence(text: str) -> str:
    text = text.strip()
    text = text if text[:1].isupper() or text[:5] == "auto:" else text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _text(text: str) -> str:
    escaped = _roff(text)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _roff(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("%%", "%")


def main(folder: Path) -> None:
    """Write every made file below ``folder``."""
    for name, text in made_files().items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
