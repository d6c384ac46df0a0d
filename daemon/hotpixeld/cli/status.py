"""`status`: what the daemon is doing, or was when it last ran."""

import argparse
import os
import shlex
from pathlib import Path
from typing import Any

from hotpixeld.cli.terminal import heading, print_json, print_table, say
from hotpixeld.config import SYSTEM_CONFIG, find_config, state_folder
from hotpixeld.core.reasons import FOR_PEOPLE
from hotpixeld.service.health import gather

NOT_RUNNING = 3


def execute(options: argparse.Namespace) -> int:
    """Print the status; return 3 where the daemon is not running."""
    config_path = find_config(options.config, os.environ)
    folder = state_folder(config_path)
    document = gather(folder)
    if options.json:
        print_json(document)
    else:
        _print(document, config_path)
    return 0 if document["running"] else NOT_RUNNING


def _print(document: dict[str, Any], config_path: Path) -> None:
    """Print what needs a person first, then what is, each with its next step."""
    for problem in document["problems"]:
        since = f", since {_shown(problem['since'])}" if problem["since"] else ""
        heading(f"PROBLEM {problem['what']} ({problem['code']}{since})", "bold red")
        say(f"  what to do: {problem['advice']}")
    for camera in document["sensors"]:
        if camera["held_reason"]:
            why = FOR_PEOPLE.get(camera["held_reason"], camera["held_reason"])
            heading(f"HELD BACK {camera['sensor']['key']}: {why}", "bold yellow")
        if waiting := camera["waiting_for_yes"]:
            key = camera["sensor"]["key"]
            heading(f"WAITS FOR YOU {key}: {waiting} new defects are held back", "bold yellow")
            say(f"  to see them: hotpixeld pixels list --sensor {key}")
            say(f"  to accept them: hotpixeld pixels confirm --held --sensor {key}")
    if not document["running"]:
        never = not (document["since"] or document["last_photo_at"] or document["problems"])
        what = "not running, and never was with this state" if never else "not running"
        heading(f"{what} ({config_path})", "bold yellow")
        say(f"  to start it: {_starting(config_path)}")
    else:
        since = _shown(document["since"] or "just now")
        heading(f"running since {since}, process {document['pid']} ({config_path})", "bold green")
    for folder in document["folders"] if document["running"] else ():
        say(f"  {folder['state']}: {folder['path']} ({folder['mode']})")
    photos, queue = _counted(document["photos"]), document["queue"]
    say(f"photos: {photos or 'none yet'}" + (f"; {queue} wait to be taken" if queue else ""))
    say(f"copies: {_counted(document['copies']) or 'none yet'}")
    if document["last_photo_at"]:
        say(f"last photo: {_shown(document['last_photo_at'])}")
    if document["sensors"]:
        print_table(
            ("camera", "photos", "confirmed", "candidates", "last judged"),
            [
                (
                    camera["sensor"]["key"],
                    camera["photos"],
                    camera["confirmed"],
                    camera["candidates"],
                    _shown(camera["ranked_at"]) if camera["ranked_at"] else "too few photos yet",
                )
                for camera in document["sensors"]
            ],
        )


def _starting(config: Path) -> str:
    if config == SYSTEM_CONFIG:
        return "sudo systemctl start hotpixeld"
    return f"hotpixeld run -c {shlex.quote(str(config))}"


def _counted(tally: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', '-')}" for name, count in tally.items() if count)


def _shown(time: str) -> str:
    """Return an RFC 3339 time as a person reads it, to the minute."""
    return f"{time[:16].replace('T', ' ')} UTC" if time.endswith("Z") else time
