"""`report`: write the HTML report now, whether the daemon runs or not."""

import argparse
import os
from pathlib import Path

from hotpixeld.cli.terminal import say
from hotpixeld.config import find_config, load_config
from hotpixeld.errors import HotpixeldError
from hotpixeld.service.reporting import write_report_now


def execute(options: argparse.Namespace) -> int:
    """Write the report and say where."""
    config_path = find_config(options.config, os.environ)
    config = load_config(config_path)
    target: Path = options.output or config.report_path or Path("report.html")
    try:
        write_report_now(config, config_path, target.absolute())
    except OSError as error:
        raise HotpixeldError(f"{target}: {error.strerror or error}") from error
    say(str(target))
    return 0
