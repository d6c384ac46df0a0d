"""Errors, by who must act on them."""

from dataclasses import dataclass


class HotpixeldError(Exception):
    """Any error that is told to a person in one line, without a traceback.

    Attributes
    ----------
    exit_code : int
        The process's exit code when the error ends it.
    """

    exit_code = 1


class UsageError(HotpixeldError):
    """The command line asks for something that cannot be: the user mends the command."""

    exit_code = 2


class StateError(HotpixeldError):
    """The state is damaged or of a newer version: the operator decides; nothing was overwritten."""

    exit_code = 65


class NoStateError(StateError):
    """There is no state yet: nothing is damaged, the daemon has only never run."""

    exit_code = 1


class NewerStateError(StateError):
    """The state was written by a newer program; it is not damaged."""


class LockedError(HotpixeldError):
    """Another process holds the state folder."""

    exit_code = 75


@dataclass(frozen=True)
class ConfigProblem:
    """One mistake in a config file, at ``line`` and ``column`` (1-based), under ``key``."""

    line: int
    column: int
    key: str
    message: str


class ConfigError(HotpixeldError):
    """The config file is bad: the user mends it. ``problems`` lists every mistake at once."""

    exit_code = 78

    def __init__(self, source: str, problems: tuple[ConfigProblem, ...]) -> None:
        self.source = source
        self.problems = problems
        super().__init__(
            "\n".join(
                f"{source}:{p.line}:{p.column}: {p.key + ': ' if p.key else ''}{p.message}"
                for p in problems
            )
        )


class PhotoError(HotpixeldError):
    """One photo cannot be used: nobody need act; it is recorded and tried again when it changes.

    Attributes
    ----------
    reason : str
        Fixed and short, for the ledger and for tests: ``"truncated"``, ``"too-large"``, ...
    detail : str
        What exactly was found, for people.
    may_pass : bool
        True where the machine was at fault, so that the same file may be read later.
    """

    def __init__(self, reason: str, detail: str = "", *, may_pass: bool = False) -> None:
        self.reason = reason
        self.detail = detail
        self.may_pass = may_pass
        super().__init__(f"{reason}: {detail}" if detail else reason)
