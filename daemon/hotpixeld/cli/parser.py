"""Every command, its options and its one-line help: `--help`, man page and completions."""

from __future__ import annotations

import argparse
import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hotpixeld import __version__

if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # no public name

_LIST_FORMATS = (
    "dcraw",
    "rawtherapee",
    "jpegpixi",
    "siril",
    "pixinsight",
    "phd2",
    "mask",
    "json",
)
PHOTO_STATES = (
    "waiting",
    "pending",
    "folded",
    "similar",
    "duplicate",
    "refused",
    "lost",
    "own-copy",
    "none",
    "written",
    "unaffected",
    "failed",
)


class _Parser(argparse.ArgumentParser):
    """Says in an error what was probably meant, and where help is."""

    def error(self, message: str) -> NoReturn:
        if wrong := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            near = difflib.get_close_matches(wrong[1], re.findall(r"[\w-]+", wrong[2]), 1)
            message = message[: wrong.start()] + f"there is no {wrong[1]!r}"
            message += f", did you mean {near[0]}?" if near else f"; there are: {wrong[2]}"
        self.exit(2, f"{self.prog}: {message}\nhelp: {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; a chosen command stands in ``command`` (and ``action``)."""
    parser: argparse.ArgumentParser = _Parser(
        prog="hotpixeld",
        description="Finds a camera's stuck, hot and dead pixels in its ordinary photos and "
        "writes repaired copies.",
        epilog="Without -c: $HOTPIXELD_CONFIG, else ~/.config/hotpixeld/hotpixeld.yaml, else "
        "/etc/hotpixeld/hotpixeld.yaml.",
    )
    parser.add_argument("--version", action="version", version=f"hotpixeld {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_daemon(commands)
    _add_pixels(commands)
    _add_ledger(commands)
    _add_archive(commands)
    _add_one_shot(commands)
    _add_set_up(commands)
    return parser


def _command(commands: _Commands, name: str, text: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=text, description=text)


def _config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="the config file")


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def _sensor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sensor", metavar="KEY", help="which camera, as `sensors list` shows it")


def _add_daemon(commands: _Commands) -> None:
    run = _command(commands, "run", "the daemon in the foreground; what systemd starts")
    _config(run)
    scan = _command(commands, "scan", "one pass over the import folder, then exit")
    _config(scan)
    scan.add_argument("--dry-run", action="store_true", help="say what would be done, do nothing")
    rebuild = _command(commands, "rebuild", "make the state anew from photos; keeps your words")
    _config(rebuild)
    rebuild.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="of photos, besides the import folders",
    )
    status = _command(commands, "status", "what the daemon does, or did when it last ran")
    _config(status)
    _json(status)
    report = _command(commands, "report", "the HTML report: one self-contained file")
    _config(report)
    report.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="else where the config says"
    )


def _add_pixels(commands: _Commands) -> None:
    pixels = _command(commands, "pixels", "candidates and defects, and your word on them")
    actions = pixels.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = _command(actions, "list", "candidates and defects with their evidence")
    _config(listing)
    _json(listing)
    _sensor(listing)
    for action, text in (
        ("confirm", "they are defects, whatever the statistics say"),
        ("reject", "they are good, whatever the statistics say"),
        ("forget", "take your word on them back"),
        ("add", "defects that you know, whether seen in photos or not"),
    ):
        made = _command(actions, action, text)
        _config(made)
        _sensor(made)
        made.add_argument("pixels", nargs="*" if action == "confirm" else "+", metavar="X,Y")
        if action == "confirm":
            made.add_argument(
                "--held", action="store_true", help="say yes to what the brake held back"
            )
    export = _command(actions, "export", "write the confirmed pixels for another program")
    _config(export)
    _sensor(export)
    export.add_argument("--format", choices=_LIST_FORMATS, required=True)
    export.add_argument("-o", "--output", type=Path, metavar="FILE", help="else stdout")
    importing = _command(actions, "import", "add the pixels of another program's list")
    _config(importing)
    _sensor(importing)
    importing.add_argument("--format", choices=_LIST_FORMATS, required=True)
    importing.add_argument("file", type=Path, metavar="FILE")


def _add_ledger(commands: _Commands) -> None:
    sensors = _command(commands, "sensors", "what is known of each camera")
    actions = sensors.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = _command(actions, "list", "cameras, their photos and size on disk")
    _config(listing)
    _json(listing)
    forget = _command(actions, "forget", "drop one camera; its photos are not counted again")
    _config(forget)
    forget.add_argument("key", metavar="KEY")
    photos = _command(commands, "photos", "the ledger of photos")
    actions = photos.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = _command(actions, "list", "photos and their two states")
    _config(listing)
    _json(listing)
    listing.add_argument("--state", choices=PHOTO_STATES, help="of statistics or of the copy")
    retry = _command(actions, "retry", "take photos again: refused ones, failed or moved copies")
    _config(retry)
    retry.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="else all that failed")


def _add_archive(commands: _Commands) -> None:
    filling = _command(commands, "backfill", "fold an archive into the state, on many cores")
    filling.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    _config(filling)
    filling.add_argument("--jobs", type=int, metavar="N", help="processes (one a core)")
    filling.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask cluster, instead of processes here"
    )


def _add_one_shot(commands: _Commands) -> None:
    find = _command(commands, "find", "rank the pixels of these photos; no config, no state")
    find.add_argument("photos", nargs="+", metavar="PHOTO", help="files, folders or globs")
    find.add_argument("--top", type=int, default=10, metavar="N", help="how many to print (10)")
    find.add_argument("--jobs", type=int, default=1, metavar="N", help="how many cores to use (1)")
    _json(find)
    correct = _command(commands, "correct", "repair these pixels in one photo")
    correct.add_argument("photo", type=Path, metavar="PHOTO")
    correct.add_argument("pixels", nargs="+", metavar="X,Y")
    correct.add_argument("-o", "--output", type=Path, metavar="OUT", help="else c_PHOTO beside it")
    correct.add_argument(
        "--displayed", action="store_true", help="coordinates as a viewer shows them"
    )
    correct.add_argument("--reencode", action="store_true", help="JPEG quality 97, all of it")
    correct.add_argument("--force", action="store_true", help="overwrite OUT")


def _add_set_up(commands: _Commands) -> None:
    doctor = _command(
        commands,
        "doctor",
        "checks the machine: folders, rights, inotify limits, file system, space, clock, versions",
    )
    _config(doctor)
    _json(doctor)
    check = _command(commands, "check-config", "say whether the config file is good")
    check.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the same as -c FILE")
    _config(check)
    _command(commands, "config-schema", "the JSON Schema of the config file, for editors")
    drop_in = _command(
        commands, "systemd-dropin", "what opens the service's sandbox for this config's folders"
    )
    _config(drop_in)
