"""The spool: the bytes of photos that no committed generation holds for certain yet.

It is the write-ahead log of the moments: what is pending is folded again from here after a crash.
"""

import errno
import hashlib
import logging
from pathlib import Path

from hotpixeld.edge.atomic import make_folder, write_atomically
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.photo import Photo
from hotpixeld.edge.rows import PhotoRow

log = logging.getLogger(__name__)

# What photos that still wait for their sensor's moments may hold of it.
WAITING_BYTES = 256 << 20


class Spool:
    """The folder of spooled photos, each under the hash of its image data."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.ledger = ledger
        self.folder = folder
        self._release_from: dict[int, int] = {}  # photos of a sensor before it are not spooled

    def open(self) -> None:
        """Make the folder, and remove what no photo of the ledger claims."""
        make_folder(self.folder)
        rows = self.ledger.db.execute("SELECT digest FROM photos WHERE spool_digest IS NOT NULL")
        claimed = {self.file(bytes(row[0])) for row in rows}
        for file in self.folder.iterdir():
            if file not in claimed:
                file.unlink()

    def file(self, digest: bytes) -> Path:
        """Return where the photo with this image data is spooled."""
        return self.folder / digest.hex()

    def keep(self, photo: Photo) -> bytes:
        """Keep the photo's bytes until a generation holds it; return their SHA-256.

        Raises
        ------
        OSError
            The state's disk is full or fails; nothing was kept.
        """
        write_atomically(self.file(photo.digest), photo.data)
        return hashlib.sha256(photo.data).digest()

    def keep_again(self, photo: Photo, sensor_id: int) -> bytes:
        """Keep the bytes of a photo that the ledger has had for long; as `keep`."""
        self._release_from.pop(sensor_id, None)
        return self.keep(photo)

    def bytes_of(self, row: PhotoRow) -> bytes | None:
        """Return a photo's bytes, else the original's if it still stands; None: both are gone.

        Raises
        ------
        OSError
            They may be there, and cannot be read now.
        """
        try:
            data = self.file(row.digest).read_bytes()
            if hashlib.sha256(data).digest() == row.spool_digest:
                return data
            log.error("spooled photo is damaged, reading the original instead: %s", row.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            log.error("%s; reading the original instead: %s", error, row.path)  # noqa: TRY400 (for the operator)
        try:
            return row.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def trim_waiting(self) -> None:
        """Let go of the oldest photos that wait for their sensor's moments, past the bound."""
        held_bytes = 0
        waiting = [p for p in self.ledger.photos(states=("waiting",)) if p.spool_digest]
        for photo in reversed(waiting):
            file = self.file(photo.digest)
            held_bytes += file.stat().st_size if file.exists() else 0
            if held_bytes > WAITING_BYTES:
                self.ledger.update_photo(photo.id, spool_digest=None)
                file.unlink(missing_ok=True)

    def release(self, sensor_id: int, *, before: int) -> list[Path]:
        """Let go of photos that a generation earlier than ``before`` holds, in a transaction.

        Returns the files to unlink once it is committed.
        """
        spooled = self.ledger.db.execute(
            "SELECT id, digest, generation FROM photos WHERE sensor_id = ? AND id >= ? "
            "AND statistics IN ('waiting', 'pending', 'folded') AND spool_digest IS NOT NULL",
            (sensor_id, self._release_from.get(sensor_id, 0)),
        ).fetchall()
        # What is let go now is looked at once more: the transaction may yet be rolled back.
        self._release_from[sensor_id] = min((row["id"] for row in spooled), default=0)
        settled = [row for row in spooled if row["generation"] and row["generation"] < before]
        for row in settled:
            self.ledger.update_photo(row["id"], spool_digest=None)
        return [self.file(bytes(row["digest"])) for row in settled]
