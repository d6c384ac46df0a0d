"""Packages that only some installations have: ``pip install hotpixeld[deep,heif,raw]``."""

import importlib
from types import ModuleType

from hotpixeld.errors import PhotoError


def module(name: str, extra: str, reason: str) -> ModuleType:
    """Import a package of an extra.

    Raises
    ------
    PhotoError
        With ``reason`` and the command that installs it, where it is missing.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise PhotoError(reason, f"pip install 'hotpixeld[{extra}]'") from error
