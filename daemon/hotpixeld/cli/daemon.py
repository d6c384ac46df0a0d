"""`run`, `scan` and `rebuild`."""

import argparse
import os
import signal
import sys
from pathlib import Path

from hotpixeld.cli.terminal import say
from hotpixeld.config import Config, find_config, load_config
from hotpixeld.edge.logs import set_up_logging
from hotpixeld.errors import HotpixeldError


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
    if options.command == "rebuild":
        from hotpixeld.service.rebuild import rebuild  # noqa: PLC0415 (as above)

        rebuild(config, options.folders, say)
        return 0
    _scan(config, path, dry_run=options.dry_run)
    return 0


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)


def _scan(config: Config, path: Path, *, dry_run: bool) -> None:
    from hotpixeld.service import reporting, single_pass  # noqa: PLC0415 (as above)

    if dry_run:
        single_pass.dry_run(config, say)
        return
    if single_pass.single_pass(config, say) and config.report_path is not None:
        try:
            reporting.write_report_now(config, path, config.report_path)
        except OSError as error:
            raise HotpixeldError(f"{config.report_path}: {error.strerror or error}") from error
        say(f"report: {config.report_path}")
