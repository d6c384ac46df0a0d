"""The config file: where it is, what it says, and every mistake in it at once.

What needs the validator is imported at first use: `hotpixeld status` only needs the state folder.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from hotpixeld.config.locate import SYSTEM_CONFIG, absolute_path, find_config, state_folder

if TYPE_CHECKING:
    from hotpixeld.config.load import load_config, parse_config
    from hotpixeld.config.reload import RESTART_KEYS, ConfigFile, differs_in
    from hotpixeld.config.schema import (
        Config,
        Confirmation,
        Copies,
        Detection,
        KnownPixels,
        Limits,
        Log,
        Repair,
        Watch,
        json_schema,
    )

__all__ = [
    "RESTART_KEYS",
    "SYSTEM_CONFIG",
    "Config",
    "ConfigFile",
    "Confirmation",
    "Copies",
    "Detection",
    "KnownPixels",
    "Limits",
    "Log",
    "Repair",
    "Watch",
    "absolute_path",
    "differs_in",
    "find_config",
    "json_schema",
    "load_config",
    "parse_config",
    "state_folder",
]

_HOMES = {
    "load_config": "load",
    "parse_config": "load",
    "RESTART_KEYS": "reload",
    "ConfigFile": "reload",
    "differs_in": "reload",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'schema')}"), name)
