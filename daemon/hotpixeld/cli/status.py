"""`status`: what the daemon is doing, or was when it last ran."""

import argparse
import os
from pathlib import Path
from typing import Any

from hotpixeld.cli.terminal import print_json, print_table, say
from hotpixeld.config import find_config, state_folder
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
    for problem in document["problems"]:
        say(f"PROBLEM ({problem['code']}) {problem['what']}")
        say(f"  what to do: {problem['advice']}")
    if document["running"]:
        say(f"running since {document['since']}, pid {document['pid']} ({config_path})")
    else:
        say(f"not running ({config_path})")
    for folder in document["folders"]:
        say(f"{folder['state']}: {folder['path']} ({folder['mode']})")
    photos = document["photos"]
    counted = ", ".join(f"{count} {name}" for name, count in photos.items() if count)
    say(f"photos: {counted or 'none yet'}; {document['queue']} in the queue")
    copies = ", ".join(f"{count} {name}" for name, count in document["copies"].items() if count)
    say(f"copies: {copies or 'none yet'}")
    if document["sensors"]:
        print_table(
            ("camera", "photos", "confirmed", "candidates", "held back"),
            [
                (
                    s["sensor"]["key"],
                    s["photos"],
                    s["confirmed"],
                    s["candidates"],
                    s["held_reason"] or "",
                )
                for s in document["sensors"]
            ],
        )
