"""`check-config`, `config-schema` and `systemd-dropin`."""

import argparse
import os
import sys
from pathlib import Path

from hotpixeld.cli.terminal import print_json, say
from hotpixeld.config import find_config, json_schema, load_config
from hotpixeld.edge.systemd_dropin import drop_in
from hotpixeld.errors import HotpixeldError, UsageError


def execute(options: argparse.Namespace) -> int:
    """Run the chosen command."""
    if options.command == "config-schema":
        print_json(json_schema())
        return 0
    if options.command == "systemd-dropin":
        return _print_drop_in(find_config(options.config, os.environ))
    if options.file and options.config:
        raise UsageError("name the config file once: FILE or -c FILE")
    path = find_config(options.file or options.config, os.environ)
    load_config(path)
    say(f"{path}: good")
    return 0


def _print_drop_in(path: Path) -> int:
    config = load_config(path)
    try:
        text = drop_in(
            imports=config.import_folders,
            output=config.output,
            state=config.state,
            report=config.report_path,
            metrics=config.metrics or None,
            config=path.absolute(),
        )
    except ValueError as error:
        raise HotpixeldError(str(error)) from error
    sys.stdout.write(text)
    return 0
