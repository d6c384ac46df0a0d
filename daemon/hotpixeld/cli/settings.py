"""`check-config` and `config-schema`."""

import argparse
import os

from hotpixeld.cli.terminal import print_json, say
from hotpixeld.config import find_config, json_schema, load_config


def execute(options: argparse.Namespace) -> int:
    """Run the chosen command."""
    if options.command == "config-schema":
        print_json(json_schema())
        return 0
    path = find_config(options.file, os.environ)
    load_config(path)
    say(f"{path}: good")
    return 0
