"""Repaired copies: what each is called, when it may be written, and what is remembered of it.

The law of this room: no file that we did not write is ever replaced, and no copy of ours that a
person has moved or changed is written again unless asked.
"""

import hashlib
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hotpixeld.config import Config
from hotpixeld.edge.atomic import make_folder, sweep_temporaries, write_atomically
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.names import PHOTO_SUFFIXES
from hotpixeld.edge.photo import Photo, read_photo
from hotpixeld.edge.rows import CopyRow, CopyState

log = logging.getLogger(__name__)


_MOST_NAME_BYTES = 255


class OutputFullError(Exception):
    """The output's file system has not enough room; the copy is written once it has."""


@dataclass(frozen=True)
class CopyOutcome:
    """What became of one photo's copy: its state, a fixed reason, and where it is."""

    state: CopyState
    reason: str
    row: CopyRow | None = None


class Copies:
    """The output folder of one config."""

    def __init__(self, ledger: Ledger, config: Config) -> None:
        self.ledger = ledger
        self.config = config
        self.failing = ""  # what hinders all copies now, for `status`

    def open(self) -> None:
        """Make the output folder, and remove temporaries that a crash left there."""
        make_folder(self.config.output)
        sweep_temporaries(self.config.output)

    def write(
        self,
        photo: Photo,
        path: Path,
        copy: EncodedCopy,
        *,
        earlier: CopyRow | None,
        now: str,
    ) -> CopyOutcome:
        """Write one copy, whole under its name or not at all.

        Parameters
        ----------
        path
            Of the original, below an import folder.
        earlier
            The copy of this photo that stands recorded; it is replaced while it is as we wrote it.

        Raises
        ------
        PhotoError
            The copy does not decode; nothing was written.
        OutputFullError
            Less than ``copies.min_free`` would be left; nothing was written.
        OSError
            The disk fails; nothing has the final name that had it not before.
        """
        # after a crash a newer copy of ours may stand there than the ledger knows of
        if earlier and not (is_as_written(earlier) or self._is_ours_for(photo, earlier.path)):
            return CopyOutcome("written", "moved-or-changed", earlier)
        self._check_space(len(copy.data))
        file_digest = _sha256(copy.data)
        target = earlier.path if earlier else self._free_name(photo, path, copy)
        if target is None:
            return CopyOutcome("failed", "name-taken")
        image_digest = copy.image_digest or self._digest_of_image(copy, target)
        self.ledger.remember_own(file_digest, image_digest, photo.digest)
        original = path.stat()
        write_atomically(
            target,
            copy.data,
            same_as=path if copy.method == "unchanged" else None,
            below=self.config.output,
            mode=original.st_mode & 0o666,
            group=original.st_gid,
            times_ns=(original.st_atime_ns, original.st_mtime_ns),
        )
        written = target.stat()
        row = CopyRow(
            photo_id=earlier.photo_id if earlier else 0,
            path=target,
            file_digest=file_digest,
            size=written.st_size,
            mtime_ns=written.st_mtime_ns,
            method=copy.method,
            note=copy.note,
            written_at=now,
        )
        return CopyOutcome("written", copy.note, row)

    def _digest_of_image(self, copy: EncodedCopy, target: Path) -> bytes:
        """Decode a copy whose encoder has not proved that it does, for its hash."""
        limit = self.config.limits.max_pixels
        return read_photo(copy.data, target.name, max_pixels=limit).digest

    def _check_space(self, size_bytes: int) -> None:
        usage = os.statvfs(self.config.output)
        free_bytes = usage.f_bavail * usage.f_frsize
        if free_bytes - size_bytes < self.config.copies.min_free_bytes:
            raise OutputFullError(
                f"{self.config.output}: {free_bytes >> 20} MiB free, a copy needs "
                f"{size_bytes >> 20} MiB and copies.min_free keeps "
                f"{self.config.copies.min_free_bytes >> 20} MiB"
            )

    def _free_name(self, photo: Photo, path: Path, copy: EncodedCopy) -> Path | None:
        """Return a name that is free, ours for this photo, or holds what it would; else None."""
        wanted = self.config.output / self._named(photo, path, copy.extension)
        suffixed = wanted.with_name(_fitting(wanted, f"-{photo.digest.hex()[:8]}"))
        for target in (wanted, suffixed):
            if not os.path.lexists(target) or self._is_ours_for(photo, target, copy.data):
                return target
        return None

    def _is_ours_for(self, photo: Photo, target: Path, wanted: bytes = b"") -> bool:
        if target.is_symlink() or not target.is_file():
            return False
        found = _digest_of(target)
        return self.ledger.own_file(found) == photo.digest or found == _sha256(wanted)

    def _named(self, photo: Photo, path: Path, extension: str) -> Path:
        original = Path(path.name)
        captured = photo.captured_at
        fields = {
            "name": original.name,
            "stem": original.stem,
            "ext": original.suffix[1:],
            "date": captured.strftime("%Y-%m-%d") if captured else "undated",
            "camera": _slug(photo.sensor.model) or photo.sensor.kind,
        }
        named = Path(self.config.copies.name.format(**fields))
        if named.suffix.lower() not in PHOTO_SUFFIXES:  # the template has left it out
            named = named.with_name(named.name + original.suffix)
        if extension and named.suffix.lower() != extension.lower():
            named = named.with_suffix(extension)
        named = named.with_name(_fitting(named, ""))
        return relative_folder(path, self.config.import_folders) / named


def relative_folder(path: Path, roots: Sequence[Path]) -> Path:
    """Return the subfolder of ``path`` below the import folder that holds it."""
    holding = [root for root in roots if path.is_relative_to(root)]
    if not holding:
        return Path()
    return path.parent.relative_to(max(holding, key=lambda root: len(root.parts)))


def is_as_written(copy: CopyRow) -> bool:
    """Tell whether the copy still stands where and as we wrote it."""
    try:
        found = copy.path.lstat()
    except OSError:
        return False
    if found.st_size != copy.size or copy.path.is_symlink():
        return False
    return found.st_mtime_ns == copy.mtime_ns or _digest_of(copy.path) == copy.file_digest


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _digest_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _fitting(path: Path, addition: str) -> str:
    """Return the file's name with an addition to its stem, cut where a name would be too long."""
    ending = os.fsencode(addition + path.suffix)
    return os.fsdecode(os.fsencode(path.stem)[: _MOST_NAME_BYTES - len(ending)] + ending)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
