"""Photos are decoded one at a time, and which one it is stands in the state folder meanwhile.

So a photo that kills the process is known by its name at the next start.
"""

import json
import logging
import os
import threading
from pathlib import Path

from hotpixeld.config import Config
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.photo import Photo, read_photo
from hotpixeld.errors import PhotoError

log = logging.getLogger(__name__)

# A file during whose decoding the process died so often is not opened again.
MOST_DEATHS = 2

Decoded = Photo | PhotoError


class Decoding:
    """What decodes the photos of one state."""

    def __init__(self, ledger: Ledger, config: Config) -> None:
        self._ledger = ledger
        self._max_pixels = config.limits.max_pixels
        self._marker = config.state / "decoding"
        self._one_at_a_time = threading.Lock()

    def read(self, path: Path, data: bytes, identity: str) -> Photo:
        """Decode a photo; raise `PhotoError` with the reason why not.

        Raises
        ------
        OSError
            The state's disk is full or fails.
        """
        deaths = self._ledger.deaths(path, identity)
        if deaths >= MOST_DEATHS:
            raise PhotoError("killed-the-decoder", "the process died twice while it was decoded")
        try:
            photo = self.decode(path, data, identity)
        except PhotoError:
            self._absolve(path, identity, deaths)
            raise
        self._absolve(path, identity, deaths)
        return photo

    def is_suspect(self, path: Path, identity: str) -> bool:
        """Tell whether the process ever died while it decoded this file."""
        return self._ledger.deaths(path, identity) > 0

    def decode(self, path: Path, data: bytes, identity: str) -> Photo:
        """Decode a photo that is no suspect, in any thread; raises as `read`."""
        with self._one_at_a_time:
            self._marker.write_bytes(json.dumps([os.fsencode(path).hex(), identity]).encode())
            try:
                return read_photo(data, path.name, max_pixels=self._max_pixels)
            finally:
                self._marker.unlink()

    def _absolve(self, path: Path, identity: str, deaths: int) -> None:
        if deaths:  # it was not the photo
            self._ledger.absolve(path, identity)

    def blame_last_crash(self) -> None:
        """Count a death of the process against the photo that it was decoding then."""
        try:
            path_hex, identity = json.loads(self._marker.read_bytes())
        except FileNotFoundError:
            return
        except ValueError:  # the process died while it wrote this
            self._marker.unlink()
            return
        path = Path(os.fsdecode(bytes.fromhex(path_hex)))
        deaths = self._ledger.blame(path, identity)
        self._marker.unlink()
        log.warning("the process died %d time(s) while decoding %s", deaths, path)
