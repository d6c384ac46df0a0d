"""One photo's path through the program."""

import errno
import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hotpixeld.config import Config
from hotpixeld.core.patch import Patch
from hotpixeld.core.repair import repair_patch
from hotpixeld.edge.copies import EncodedCopy
from hotpixeld.edge.database import transaction
from hotpixeld.edge.encode import encode_copy
from hotpixeld.edge.ledger import FORGOTTEN, Ledger
from hotpixeld.edge.photo import Photo
from hotpixeld.edge.rows import CopyRow, CopyState, PhotoRow, SensorRow, StatisticsState
from hotpixeld.edge.whole import NotYet, read_whole
from hotpixeld.errors import PhotoError
from hotpixeld.service.accumulation import Accumulation
from hotpixeld.service.copying import Copies, CopyOutcome, OutputFullError
from hotpixeld.service.decoding import Decoded, Decoding
from hotpixeld.service.detection import Detection
from hotpixeld.service.history import observed_bytes
from hotpixeld.service.space import check_state_space
from hotpixeld.service.times import rfc3339

log = logging.getLogger(__name__)

# Why the bytes of a file cannot be had although nothing may be wrong with it.
MACHINE = ("unreadable", "read-error")


@dataclass(frozen=True)
class Outcome:
    """What became of one photo: its two states and the reasons, as the ledger has them.

    ``may_pass`` is True where it was refused for what may pass by itself.
    """

    statistics: StatisticsState
    copy: CopyState
    reason: str = ""
    copy_reason: str = ""
    may_pass: bool = False


class Handling:
    """What one photo meets, from its bytes to the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        *,
        decoding: Decoding,
        accumulation: Accumulation,
        copies: Copies,
        detection: Detection,
        now: Callable[[], str],
    ) -> None:
        self.ledger = ledger
        self.config = config
        self.decoding = decoding
        self.accumulation = accumulation
        self.copies = copies
        self.detection = detection
        self.now = now
        self.carried: dict[bytes, CopyRow] = {}  # copies that an earlier state had written

    def handle(
        self, path: Path, data: bytes, identity: str, decoded: Decoded | None = None
    ) -> Outcome:
        """Take one whole photo through the program, as DESIGN draws it.

        Parameters
        ----------
        path, data, identity
            Where it is, its bytes, and the file's identity when they were read.
        decoded
            What became of decoding these bytes, where that was done ahead.

        Raises
        ------
        OSError, sqlite3.OperationalError
            A disk is full or fails, or less than ``copies.min_free`` would be left for the state:
            the photo is not recorded, and is to be handled again.
        """
        check_state_space(self.config, len(data))
        try:
            photo = decoded or self.decoding.read(path, data, identity)
        except PhotoError as error:
            photo = error
        if isinstance(photo, PhotoError):
            return self._refuse(path, data, identity, photo)
        if (outcome := self._known(path, photo, identity)) is not None:
            return outcome
        sensor = self.ledger.sensor_of(photo.sensor)
        signature = self.detection.signature(photo)
        similar = self.detection.similar_photo(sensor, signature)
        standing = self.carried.pop(photo.digest, None)
        copied = (
            CopyOutcome("written", standing.note, standing)
            if standing
            else self.repair(path, photo, sensor, earlier=None)
        )
        spool_digest = None if similar else self.accumulation.spool.keep(photo)
        photo_id = self._record(
            path,
            photo,
            identity=identity,
            sensor=sensor,
            signature=signature,
            similar=similar,
            copied=copied,
            spool_digest=spool_digest,
        )
        if not similar:
            self.detection.remember(sensor, photo_id, signature)
            self.accumulation.admit(photo_id, photo)
        return Outcome(self.ledger.photo(photo_id).statistics, copied.state, similar, copied.reason)

    def read_again(self, row: PhotoRow, data: bytes) -> Photo:
        """Decode a photo that the ledger has already; raise `PhotoError` where it cannot be."""
        return self.decoding.read(row.path, data, row.identity)

    def refuse_unread(self, path: Path, identity: str, found: NotYet) -> Outcome:
        """Record a settled file whose bytes cannot be had; it is taken again when it changes."""
        may_pass = found.reason in MACHINE
        error = PhotoError(found.reason, found.detail, may_pass=may_pass)
        return self._refuse(path, b"", identity, error)

    def retry(self, path: Path | None) -> None:
        """Take a photo again: a refused or lost one is forgotten, a copy is written in any case.

        Parameters
        ----------
        path
            Of the original; None: all that was refused or whose copy failed, except the photos of
            a camera that was dropped.
        """
        raw = os.fsencode(path) if path else None
        with transaction(self.ledger.db):
            self.ledger.db.execute("DELETE FROM suspects WHERE ?1 IS NULL OR path = ?1", (raw,))
            self.ledger.db.execute(
                "DELETE FROM photos WHERE statistics IN ('refused', 'lost') "
                "AND (path = ?1 OR (?1 IS NULL AND reason != ?2))",
                (raw, FORGOTTEN),
            )
            if raw is not None:
                self.ledger.db.execute(
                    "DELETE FROM copies WHERE photo_id IN (SELECT id FROM photos WHERE path = ?)",
                    (raw,),
                )
            self.ledger.db.execute(
                "UPDATE photos SET map_revision = -1, copy = CASE copy WHEN 'failed' THEN 'none' "
                "ELSE copy END WHERE (?1 IS NULL AND copy = 'failed') OR path = ?1",
                (raw,),
            )

    def repair(
        self, path: Path, photo: Photo, sensor: SensorRow, *, earlier: PhotoRow | None
    ) -> CopyOutcome:
        """Write the photo's repaired copy where it needs one.

        A full or failing output stops nothing else: the copy has failed with the reason, and is
        tried again.
        """
        standing = self.ledger.copy_of(earlier.id) if earlier else None
        if standing is None and not any(map(path.is_relative_to, self.config.import_folders)):
            return CopyOutcome("none", "")  # of an archive: it counts, but nobody imported it
        footprints, predicted = self.detection.defects_in(sensor, photo)
        patch = repair_patch(
            photo.frame, footprints, when=self.config.repair.when, predicted=predicted
        )
        if not len(patch) and standing is None and self.config.copies.unaffected == "skip":
            return CopyOutcome("unaffected", "")
        try:
            copy = self._encode(photo, patch)
            outcome = self.copies.write(photo, path, copy, earlier=standing, now=self.now())
        except PhotoError as error:
            return CopyOutcome("failed", str(error), standing)
        except OutputFullError as error:
            self.copies.failing = str(error)
            return CopyOutcome("failed", f"no-space: {error}", standing)
        except OSError as error:
            self.copies.failing = f"{self.config.output}: {error}"
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return CopyOutcome("failed", f"{'no-space' if full else 'output'}: {error}", standing)
        self.copies.failing = ""
        return outcome

    def remake_copy(self, row: PhotoRow) -> Outcome:
        """Judge a photo of the ledger with the present defect map, and make its copy again."""
        assert row.sensor_id is not None
        sensor = self.ledger.sensor(row.sensor_id)
        found = read_whole(row.path)
        if isinstance(found, NotYet) and found.reason in MACHINE:
            copied = CopyOutcome("failed", f"original: {found.reason} {found.detail}".rstrip())
            self.ledger.update_photo(row.id, copy=copied.state, copy_reason=copied.reason)
            return Outcome(row.statistics, copied.state, row.reason, copied.reason)
        try:
            photo = None if isinstance(found, NotYet) else self.read_again(row, found.data)
        except PhotoError:
            photo = None
        if photo is None or photo.digest != row.digest:
            copied = CopyOutcome(row.copy, "original-gone")
        else:
            copied = self.repair(row.path, photo, sensor, earlier=row)
            self.ledger.update_photo(row.id, observations=observed_bytes(sensor, photo))
        with transaction(self.ledger.db):
            self.ledger.update_photo(
                row.id,
                copy=copied.state,
                copy_reason=copied.reason,
                map_revision=sensor.map_revision,
            )
            if copied.row is not None:
                self.ledger.record_copy(copied.row, row.id)
        return Outcome(row.statistics, copied.state, row.reason, copied.reason)

    def _encode(self, photo: Photo, patch: Patch) -> EncodedCopy:
        if not len(patch):
            return EncodedCopy(photo.data, "", "unchanged", "", photo.digest)
        repair = self.config.repair
        return encode_copy(photo, patch, jpeg=repair.jpeg, quality=repair.quality)

    def _refuse(self, path: Path, data: bytes, identity: str, error: PhotoError) -> Outcome:
        self.ledger.add_photo(
            path,
            hashlib.sha256(data).digest(),
            identity="" if error.may_pass else identity,  # another run of the daemon tries again
            seen_at=self.now(),
            statistics="refused",
            reason=str(error),
        )
        log.warning("refused %s: %s", path, error, extra={"cause": error.reason})
        return Outcome("refused", "none", error.reason, may_pass=error.may_pass)

    def _known(self, path: Path, photo: Photo, identity: str) -> Outcome | None:
        """Return what the ledger says of this image data, if it has it, under any name."""
        same = self.ledger.at(path, photo.digest)
        if (
            same is not None and same.statistics != "lost"
        ):  # it was touched, or its metadata changed
            self.ledger.add_photo(
                path,
                photo.digest,
                identity=identity,
                seen_at=same.seen_at,
                statistics=same.statistics,
                reason=same.reason,
            )
            return Outcome(same.statistics, same.copy, same.reason, same.copy_reason)
        counted = self.ledger.counted(photo.digest)
        statistics: StatisticsState
        if counted is None and self.ledger.is_forgotten(photo.digest):
            return self._refuse_forgotten(path, photo, identity)
        if counted is not None and counted.statistics == "lost":  # and found again
            return self._count_after_all(counted, path, photo, identity)
        if counted is not None and not counted.path.exists():  # it was renamed
            self.ledger.move_photo(counted.id, path, identity)
            return Outcome(counted.statistics, counted.copy, counted.reason, counted.copy_reason)
        if counted is not None:
            statistics, reason = "duplicate", f"same image as {counted.path}"
        elif photo.own_mark or self.ledger.is_own_image(photo.digest):
            statistics, reason = "own-copy", "written by hotpixeld"
        else:
            return None
        self.ledger.add_photo(
            path,
            photo.digest,
            identity=identity,
            seen_at=self.now(),
            statistics=statistics,
            reason=reason,
            sensor_id=self.ledger.sensor_of(photo.sensor).id,
        )
        return Outcome(statistics, "none", reason)

    def _refuse_forgotten(self, path: Path, photo: Photo, identity: str) -> Outcome:
        self.ledger.add_photo(
            path,
            photo.digest,
            identity=identity,
            seen_at=self.now(),
            statistics="refused",
            reason=FORGOTTEN,
        )
        return Outcome("refused", "none", FORGOTTEN)

    def _count_after_all(self, row: PhotoRow, path: Path, photo: Photo, identity: str) -> Outcome:
        """Fold a photo whose bytes were gone when they were needed, and are here again."""
        assert row.sensor_id is not None
        spool_digest = self.accumulation.spool.keep_again(photo, row.sensor_id)
        state = self.accumulation.initial_state(row.sensor_id)
        with transaction(self.ledger.db):
            self.ledger.move_photo(row.id, path, identity)
            self.ledger.update_photo(row.id, statistics=state, reason="", spool_digest=spool_digest)
        self.accumulation.admit(row.id, photo)
        return Outcome(state, row.copy, "", row.copy_reason)

    def _record(
        self,
        path: Path,
        photo: Photo,
        *,
        identity: str,
        sensor: SensorRow,
        signature: bytes,
        similar: str,
        copied: CopyOutcome,
        spool_digest: bytes | None,
    ) -> int:
        captured = photo.captured_at
        with transaction(self.ledger.db):
            photo_id = self.ledger.add_photo(
                path,
                photo.digest,
                identity=identity,
                seen_at=self.now(),
                statistics="similar" if similar else self.accumulation.initial_state(sensor.id),
                reason=similar,
                sensor_id=sensor.id,
                copy=copied.state,
                copy_reason=copied.reason,
                map_revision=sensor.map_revision,
                spool_digest=spool_digest,
                signature=signature,
                observations=observed_bytes(sensor, photo),
                captured_at=rfc3339(captured.timestamp()) if captured else None,
                iso=photo.iso,
                exposure_s=photo.exposure_s,
            )
            if copied.row is not None:
                self.ledger.record_copy(copied.row, photo_id)
        return photo_id
