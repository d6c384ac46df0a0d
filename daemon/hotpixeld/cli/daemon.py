"""`run` and `scan`."""

import argparse
import os
import signal
import sys

from hotpixeld.cli.terminal import say
from hotpixeld.config import find_config, load_config
from hotpixeld.edge.logs import set_up_logging


def execute(options: argparse.Namespace) -> int:
    """Run the chosen command."""
    if options.command == "run":
        signal.signal(signal.SIGTERM, _end)  # nothing is begun yet; the daemon then sets its own
    path = find_config(options.config, os.environ)
    config = load_config(path)
    set_up_logging(config.log.level, config.log.format)
    if options.command == "run":
        from hotpixeld.service.daemon import Daemon  # noqa: PLC0415 (a bad config is told at once)

        Daemon(path).run()
        return 0
    from hotpixeld.service.single_pass import dry_run, single_pass  # noqa: PLC0415

    (dry_run if options.dry_run else single_pass)(config, say)
    return 0


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)
