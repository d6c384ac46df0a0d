"""`doctor`: checks the machine; says what it found wrong first, and what to do."""

import argparse
import os

from hotpixeld.cli.terminal import heading, print_json, say
from hotpixeld.config import find_config, load_config
from hotpixeld.errors import ConfigError
from hotpixeld.service.doctor import Check, examine

FOUND = 1


def execute(options: argparse.Namespace) -> int:
    """Print every check; return 1 where something was found."""
    path = find_config(options.config, os.environ)
    found: list[Check] = []
    try:
        config = load_config(path)
    except ConfigError as error:
        config = None
        found.append(Check(str(error), f"mend {path}; hotpixeld check-config {path} tells all"))
    else:
        found.append(Check(f"config {path}"))
    found.extend(examine(config))
    wrong = [check for check in found if not check.is_fine]
    if options.json:
        checks = [{"what": c.what, "fine": c.is_fine, "advice": c.advice or None} for c in found]
        print_json({"fine": not wrong, "config": str(path), "checks": checks})
        return FOUND if wrong else 0
    for check in wrong:
        heading(f"FOUND: {check.what}", "bold red")
        say(f"  what to do: {check.advice}")
    for check in found:
        if check.is_fine:
            say(f"fine: {check.what}")
    return FOUND if wrong else 0
