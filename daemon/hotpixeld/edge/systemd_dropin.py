"""The drop-in that opens the sandbox of `systemd/hotpixeld.service` for a config's folders."""

from collections.abc import Sequence
from pathlib import Path

UNIT_CONFIG = Path("/etc/hotpixeld/hotpixeld.yaml")
UNIT_STATE = Path("/var/lib/hotpixeld")
UNIT_START = "/opt/hotpixeld/venv/bin/python -m hotpixeld run -c"
DROP_IN = Path("/etc/systemd/system/hotpixeld.service.d/folders.conf")

# What ProtectHome= and PrivateTmp= put out of sight, and only a bind mount brings back.
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_PRIVATE = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  # nothing is written there


def drop_in(
    *,
    imports: Sequence[Path],
    output: Path,
    state: Path,
    report: Path | None = None,
    metrics: Path | None = None,
    config: Path = UNIT_CONFIG,
) -> str:
    """Return the text of the drop-in for these folders; paths are absolute.

    Parameters
    ----------
    imports : sequence of Path
        Become visible, read-only.
    output, state : Path
        Become visible and writable.
    report, metrics : Path, optional
        A file whose folder becomes writable too, where it is not in the state folder.
    config : Path
        The config file that the service is to use.

    Raises
    ------
    ValueError
        A path cannot stand in a unit file: it holds a control character or is no UTF-8.
    """
    written = [output] if state.is_relative_to(UNIT_STATE) else [output, state]
    for file in (report, metrics):
        if file is not None and not file.is_relative_to(state) and file.parent not in written:
            written.append(file.parent)
    read = [*imports, *([] if config == UNIT_CONFIG else [config])]
    lines = [
        "# Written by `hotpixeld systemd-dropin`: opens the sandbox for the folders of the config.",
        f"# Goes to {DROP_IN}; then: systemctl daemon-reload; systemctl restart hotpixeld",
        "# The user hotpixeld also needs the rights: to read the photos (and enter their folders)",
        "# and to write the copies, for instance by the group photos or by setfacl.",
        "[Unit]",
        *(f"RequiresMountsFor={_quoted(path)}" for path in written),
        "# Not so for photos on a disk that comes and goes: the service would go with it. For one",
        "# that stays, these lines make sure that it is mounted, and so read-only, at the start:",
        *(f"# RequiresMountsFor={_quoted(path)}" for path in imports),
        "",
        "[Service]",
    ]
    if config != UNIT_CONFIG:
        lines += ["ExecStart=", f"ExecStart={UNIT_START} {_quoted(config, in_command=True)}"]
    if any(_is_below(path, _HOMES) for path in (*read, *written)):
        lines += ["# Homes stay empty but for these folders.", "ProtectHome=tmpfs"]
    lines += [_opened(path, "BindReadOnlyPaths", "ReadOnlyPaths") for path in read]
    lines += [_opened(path, "BindPaths", "ReadWritePaths") for path in written]
    return "".join(f"{line}\n" for line in lines)


def _opened(path: Path, bind: str, restrict: str) -> str:
    # The leading - lets the daemon start and name what is missing, instead of failing in systemd.
    return f"{bind if _is_below(path, (*_HOMES, *_PRIVATE)) else restrict}={_quoted(path, '-')}"


def _is_below(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _quoted(path: Path, prefix: str = "", *, in_command: bool = False) -> str:
    """Write ``path`` as one word of a unit file, as systemd.syntax(7) has it."""
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"a unit file cannot name a path that is no UTF-8: {path!r}") from None
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError(f"a unit file cannot name a path with control characters: {path!r}")
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if in_command:
        text = text.replace("$", "$$")
    return f'"{prefix}{text}"'
