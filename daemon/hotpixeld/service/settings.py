"""The settings of a running daemon: the config file's, taken up when it is saved."""

import errno
import logging
import os
import time
from pathlib import Path

from hotpixeld.config import Config, ConfigFile, differs_in, load_config
from hotpixeld.config.reload import RESTART_KEYS
from hotpixeld.edge import notify
from hotpixeld.edge.access import denied
from hotpixeld.edge.atomic import make_folder
from hotpixeld.edge.logs import set_up_logging
from hotpixeld.errors import ConfigError
from hotpixeld.service.problems import Problems

log = logging.getLogger(__name__)


class Settings:
    """The config in force; a bad or unusable file leaves the earlier one so."""

    def __init__(self, path: Path, problems: Problems) -> None:
        self.file = ConfigFile(path)
        self.config = load_config(path)
        self.reload_asked = False
        self._problems = problems

    def changed(self) -> bool:
        """Take up a changed file, or one that was asked for; tell whether anything is new."""
        if not (self.file.changed(time.monotonic()) or self.reload_asked):
            return False
        asked, self.reload_asked = self.reload_asked, False
        notify.reloading()
        try:
            new = load_config(self.file.path)
            _try_folders(new)
        except (ConfigError, OSError) as error:
            told = denied(error, os.environ) if isinstance(error, OSError) else None
            self._problems.say(
                "config-bad",
                f"the config file is bad, the earlier settings stay: {told or error}",
                f"mend {self.file.path}",
            )
            return False
        finally:
            notify.ready()
        self._problems.over("config-bad")
        anything = self._take(new)
        if asked and not anything:
            log.info("config read again as asked: nothing in it is new")
        return anything

    def _take(self, new: Config) -> bool:
        if new.state != self.config.state:
            self._problems.say(
                "restart-needed",
                "`state` has changed in the config file",
                "restart the daemon to use the other state folder",
            )
            new = new.model_copy(update={"state": self.config.state})
        else:
            self._problems.over("restart-needed")
        keys = [key for key in differs_in(self.config, new) if key not in RESTART_KEYS]
        if keys:
            log.info("config reloaded: %s", ", ".join(keys))
        self.config = new
        set_up_logging(new.log.level, new.log.format)
        return bool(keys)


def _try_folders(config: Config) -> None:
    """Raise OSError where the copies could not be written, as in a sandbox that hides them."""
    make_folder(config.output)
    if not os.access(config.output, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(config.output))
    for folder in config.import_folders:
        if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
