"""Epochs on disk: which generations count, what they hold, and what is left where one is damaged.

The law of this room: a generation counts from the transaction on that names it and calls its photos
folded. The last two of an epoch are kept, and the epoch before the current one. One generation back
means that its photos are pending again.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hotpixeld.core.moments import Moments
from hotpixeld.edge.atomic import make_folder
from hotpixeld.edge.database import transaction
from hotpixeld.edge.generations import read_generation, write_generation
from hotpixeld.edge.ledger import Ledger
from hotpixeld.errors import NewerStateError, StateError

log = logging.getLogger(__name__)

# Damaged generations are kept for whoever wants to find out what the disk did, but not for ever.
MOST_DAMAGED = 2
_DAMAGED = ".damaged"


@dataclass(frozen=True)
class Checkpoint:
    """What the last commit wrote, for `status`."""

    at: str
    photos: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class WrittenEpoch:
    """A generation that stands on the disk and that the ledger does not know of yet."""

    sensor_id: int
    epoch: int
    generation: int
    file: str
    checkpoint: Checkpoint


class Epochs:
    """The generations of every sensor of one state.

    Parameters
    ----------
    folder
        Where their files are.
    now, clock_s
        The time of day as RFC 3339, and a clock that only rises.
    on_progress
        Called within long steps.

    Attributes
    ----------
    damaged : dict of int to str
        The sensors of which no good generation is left, and what to tell of them.
    kept_damage : list of Path
        The files of damaged generations in whose place an earlier one came, the newest first.
    """

    def __init__(
        self,
        ledger: Ledger,
        folder: Path,
        *,
        now: Callable[[], str],
        clock_s: Callable[[], float],
        on_progress: Callable[[], None],
    ) -> None:
        self.ledger = ledger
        self.folder = folder
        self.now = now
        self.clock_s = clock_s
        self.on_progress = on_progress
        self.damaged: dict[int, str] = {}
        self.kept_damage: list[Path] = []

    def open(self) -> None:
        """Make the folder, and remove what no generation of the ledger claims.

        Raises
        ------
        StateError
            The ledger contradicts itself; nothing was changed.
        """
        self._check_counts()
        make_folder(self.folder)
        kept = {row[0] for row in self.ledger.db.execute("SELECT file FROM generations")}
        for file in self.folder.iterdir():
            if file.name not in kept and file.suffix != _DAMAGED:
                file.unlink()
        self._let_damaged_go()

    def generations(self, sensor_id: int) -> list[sqlite3.Row]:
        """Return a sensor's generations, oldest first."""
        query = "SELECT * FROM generations WHERE sensor_id = ? ORDER BY epoch, generation"
        return self.ledger.db.execute(query, (sensor_id,)).fetchall()

    def write(self, sensor_id: int, epoch: int, moments: Moments) -> WrittenEpoch:
        """Write a generation of an epoch; it counts once it is recorded.

        Raises
        ------
        OSError
            The disk is full or fails; nothing was written.
        """
        start_s = self.clock_s()
        held = self.generations(sensor_id)
        generation = 1 + max((g["generation"] for g in held), default=0)
        key = self.ledger.sensor(sensor_id).key
        file = self.folder / f"{key}-{epoch:04}-{generation:08}.moments"
        size_bytes = write_generation(file, moments, self.on_progress)
        checkpoint = Checkpoint(self.now(), moments.count, size_bytes, self.clock_s() - start_s)
        return WrittenEpoch(sensor_id, epoch, generation, file.name, checkpoint)

    def record(self, written: WrittenEpoch, photo_ids: list[int]) -> None:
        """Call these photos folded in the generation, within a transaction."""
        db, checkpoint = self.ledger.db, written.checkpoint
        db.execute(
            "INSERT INTO generations (sensor_id, epoch, generation, photos, file, bytes, seconds, "
            "committed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                written.sensor_id,
                written.epoch,
                written.generation,
                checkpoint.photos,
                written.file,
                checkpoint.bytes,
                checkpoint.seconds,
                checkpoint.at,
            ),
        )
        db.executemany(
            "UPDATE photos SET statistics = 'folded', epoch = ?, generation = ? WHERE id = ?",
            [(written.epoch, written.generation, photo_id) for photo_id in photo_ids],
        )

    def supersede(self, sensor_id: int, epoch: int, generation: int) -> list[Path]:
        """Forget all but the last two generations, and the epochs before the previous one.

        Returns the moments' files to unlink once the transaction is committed.
        """
        db = self.ledger.db
        old = [
            g
            for g in self.generations(sensor_id)
            if g["epoch"] < epoch - 1 or (g["epoch"] == epoch and g["generation"] < generation - 1)
        ]
        files = [self.folder / g["file"] for g in old]
        for g in old:
            db.execute("DELETE FROM generations WHERE file = ?", (g["file"],))
        return files

    def _check_counts(self) -> None:
        """Compare how many photos the ledger calls folded with what each newest generation holds.

        Every row has a checksum, but nothing else would tell rows of different times.
        """
        wrong = self.ledger.db.execute(
            "SELECT file, photos, (SELECT count(*) FROM photos AS p WHERE p.statistics = 'folded' "
            "AND p.sensor_id = g.sensor_id AND p.epoch = g.epoch) AS folded FROM generations AS g "
            "WHERE photos != folded AND generation = (SELECT max(generation) FROM generations AS h "
            "WHERE h.sensor_id = g.sensor_id AND h.epoch = g.epoch)"
        ).fetchone()
        if wrong is not None:
            raise StateError(
                f"the ledger calls {wrong['folded']} photos folded where {wrong['file']} holds "
                f"{wrong['photos']}: the database is damaged. Nothing was changed; "
                "`hotpixeld rebuild` makes the state anew from the photos"
            )

    def read_newest(self, sensor_id: int, epoch: int) -> tuple[Moments | None, list[int]]:
        """Read an epoch's newest good generation.

        Returns
        -------
        Moments or None
            None where there is no generation, or the only one is damaged and is the epoch's
            first: what was before it is nothing.
        list of int
            The photos of damaged generations, which are pending again.

        Raises
        ------
        StateError
            No good generation is left, or one is of a newer version; nothing was changed.
        """
        generations = [g for g in self.generations(sensor_id) if g["epoch"] == epoch]
        if not generations:
            return None, []
        damaged: list[tuple[sqlite3.Row, str]] = []
        for g in reversed(generations):
            moments, problem = self._read_one(g)
            if moments is not None:
                break
            damaged.append((g, problem))
        else:
            if not self._is_first(generations[0]):
                self._give_up(sensor_id, damaged[-1][1])
            moments = None
        again = [
            photo_id
            for g, problem in damaged
            for photo_id in self._fall_back(sensor_id, g, problem)
        ]
        return moments, again

    def _read_one(self, g: sqlite3.Row) -> tuple[Moments | None, str]:
        file = self.folder / g["file"]
        try:
            moments = read_generation(file, self.on_progress)
        except NewerStateError:
            raise
        except StateError as error:
            return None, str(error)
        if moments.count == g["photos"]:
            return moments, ""
        return None, f"{file}: holds {moments.count} photos, the ledger says {g['photos']}"

    def _is_first(self, g: sqlite3.Row) -> bool:
        """Tell whether the generation before this one was empty, and its photos are spooled."""
        spooled = self.ledger.db.execute(
            "SELECT count(*) FROM photos WHERE statistics = 'folded' AND sensor_id = ? "
            "AND epoch = ? AND generation = ? AND spool_digest IS NOT NULL",
            (g["sensor_id"], g["epoch"], g["generation"]),
        ).fetchone()[0]
        return bool(spooled == g["photos"])

    def _give_up(self, sensor_id: int, problem: str) -> None:
        key = self.ledger.sensor(sensor_id).key
        self.damaged[sensor_id] = (
            f"{problem}; no good generation of {key} is left. Nothing was overwritten; "
            "`hotpixeld rebuild` makes the state anew from the photos"
        )
        raise StateError(self.damaged[sensor_id])

    def _fall_back(self, sensor_id: int, g: sqlite3.Row, problem: str) -> list[int]:
        log.error("%s; what was before it is used and caught up", problem)
        db = self.ledger.db
        with transaction(db):
            place = (sensor_id, g["epoch"], g["generation"])
            ids = db.execute(
                "UPDATE photos SET statistics = 'pending', epoch = NULL, generation = NULL "
                "WHERE sensor_id = ? AND epoch = ? AND generation = ? RETURNING id",
                place,
            ).fetchall()
            db.execute(
                "DELETE FROM generations WHERE sensor_id = ? AND epoch = ? AND generation = ?",
                place,
            )
            self.ledger.note_event(self.now(), "generation-damaged", problem)
        file = self.folder / g["file"]
        with contextlib.suppress(OSError):
            file.rename(file.with_suffix(_DAMAGED))
            self._let_damaged_go()
        return [row[0] for row in ids]

    def _let_damaged_go(self) -> None:
        found = [(file.stat().st_ctime_ns, file) for file in self.folder.glob(f"*{_DAMAGED}")]
        self.kept_damage = [file for _, file in sorted(found, reverse=True)]
        for file in self.kept_damage[MOST_DAMAGED:]:
            file.unlink(missing_ok=True)
        del self.kept_damage[MOST_DAMAGED:]
