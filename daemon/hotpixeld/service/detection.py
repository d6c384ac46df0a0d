"""From moments to the defect map: when to rank, what is decided, and what is told of it."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from hotpixeld.config import Config
from hotpixeld.core import reasons
from hotpixeld.core.defects import Candidate, FootprintPixel
from hotpixeld.core.prediction import Prediction
from hotpixeld.core.rank import Ranking, rank
from hotpixeld.core.repair import footprint_at
from hotpixeld.core.similarity import find_similar, signature
from hotpixeld.core.verdicts import Known, Verdict, Word, decide_all
from hotpixeld.edge.atomic import make_folder, write_atomically
from hotpixeld.edge.database import transaction
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.logs import NOTICE
from hotpixeld.edge.photo import Photo
from hotpixeld.edge.pixels import PixelRow, read_pixels, replace_pixels
from hotpixeld.edge.rows import SensorRow
from hotpixeld.errors import StateError
from hotpixeld.service.accumulation import Accumulation
from hotpixeld.service.history import History, chosen_sites, dated, read_history
from hotpixeld.service.kinship import find_kin, informed, kin_of, shows_two_cameras
from hotpixeld.service.listing import onset_unix_s

log = logging.getLogger(__name__)

# With many photos a few more change little: a ranking waits for this share more.
LEAST_GROWTH = 1 / 20
_KNOWN: Word = "add"


class Detection:
    """The candidates and defects of every sensor of one state."""

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        accumulation: Accumulation,
        *,
        now: Callable[[], str],
        on_progress: Callable[[], None],
    ) -> None:
        self.ledger = ledger
        self.config = config
        self.accumulation = accumulation
        self.now = now
        self.on_progress = on_progress
        self.pixels_folder = config.state / "pixels"
        self._maps: dict[int, list[tuple[PixelRow, Prediction]]] = {}
        self._considered: set[int] = set()
        self._signatures: dict[int, tuple[list[bytes], list[int]]] = {}

    def open(self) -> None:
        """Take up what was said while the daemon was not running."""
        make_folder(self.pixels_folder)
        sensors = self.ledger.sensors()
        for file in set(self.pixels_folder.glob("*.txt")) - set(map(self._pixel_file, sensors)):
            file.unlink()  # a crash came in between while its sensor was forgotten
        for sensor in sensors:
            self.reconsider(sensor)

    # --- what a photo asks

    def defects_in(
        self, sensor: SensorRow, photo: Photo
    ) -> tuple[list[Sequence[FootprintPixel]], list[float]]:
        """Return what each confirmed defect may spoil in a photo of its sensor, and how strongly.

        The strength is what exposure and ISO let one expect, as a factor on the usual one.
        """
        if sensor.id not in self._considered:  # the config may name pixels of a new sensor
            self.reconsider(sensor)
        if sensor.id not in self._maps:
            self._maps[sensor.id] = self._read_map(sensor)
        known = self._maps[sensor.id]
        footprints: list[Sequence[FootprintPixel]] = [
            pixel.candidate.footprint or footprint_at(photo.frame, pixel.row, pixel.column)
            for pixel, _ in known
        ]
        return footprints, [told.at(photo.iso, photo.exposure_s) for _, told in known]

    def _read_map(self, sensor: SensorRow) -> list[tuple[PixelRow, Prediction]]:
        history = read_history(self.ledger, self.ledger.sensor(sensor.id))
        return [
            (pixel, history.prediction(pixel.row, pixel.column) if history else Prediction())
            for pixel in read_pixels(self.ledger.db, sensor.id)
            if pixel.state == "confirmed"
        ]

    def similar_photo(self, sensor: SensorRow, own: bytes) -> str:
        """Return why the photo is one more of a scene that counts already; empty if it is not."""
        if not self.config.detection.skip_similar:
            return ""
        known, ids = self._known_signatures(sensor)
        found = find_similar(own, known)
        return f"same scene as {self.ledger.photo(ids[found]).path}" if found is not None else ""

    def remember(self, sensor: SensorRow, photo_id: int, own: bytes) -> None:
        """Compare later photos with this one, which counts."""
        known, ids = self._known_signatures(sensor)
        known.append(own)
        ids.append(photo_id)
        del known[: -self.config.detection.window], ids[: -self.config.detection.window]

    def signature(self, photo: Photo) -> bytes:
        """Return what tells the photo's scene from others."""
        return signature(photo.frame)

    def _known_signatures(self, sensor: SensorRow) -> tuple[list[bytes], list[int]]:
        if sensor.id not in self._signatures:
            rows = self.ledger.db.execute(
                "SELECT signature, id FROM photos WHERE sensor_id = ? AND signature IS NOT NULL "
                "AND statistics IN ('waiting', 'pending', 'folded') ORDER BY id DESC LIMIT ?",
                (sensor.id, self.config.detection.window),
            ).fetchall()[::-1]
            self._signatures[sensor.id] = ([r[0] for r in rows], [r[1] for r in rows])
        return self._signatures[sensor.id]

    # --- ranking

    def is_due(self, sensor: SensorRow, *, overdue: int) -> bool:
        """Tell whether enough photos have come since the last ranking, so many times over."""
        if sensor.id in self.accumulation.damaged:
            return False
        counted = self.ledger.count(sensor.id, "pending", "folded")
        if counted < self.config.detection.min_photos:
            return False
        every = max(self.config.detection.every, int(counted * LEAST_GROWTH))
        first = sensor.ranked_at is None
        return counted - sensor.ranked_photos >= (1 if first else every) * (1 if first else overdue)

    def rank(self, sensor: SensorRow) -> None:
        """Rank a sensor's pixels anew and decide what each becomes."""
        try:
            parts = self.accumulation.parts(sensor.id)
        except StateError as error:
            log.error("%s", error)  # noqa: TRY400 (for the operator, not a bug)
            return
        history = read_history(self.ledger, sensor)
        ranking = rank(
            parts,
            false_alarms=self.config.detection.false_alarms,
            observations=history.observations if history else None,
            on_progress=self.on_progress,
            spread=self.accumulation.spread,
        )
        kin = kin_of(self.ledger, sensor)
        candidates = informed(ranking.candidates, kin, self.ledger)
        pixels = self._decide(sensor, candidates, history)
        find_kin(self.ledger, sensor)
        self.ledger.update_sensor(
            sensor.id,
            remark=reasons.TWO_CAMERAS if shows_two_cameras(history, pixels) else "",
            sites=chosen_sites(pixels),
            ranked_at=self.now(),
            ranked_photos=self.ledger.count(sensor.id, "pending", "folded"),
            held_reason=ranking.held_reason or "",
        )
        self._tell_ranking(sensor, ranking)

    def reconsider(self, sensor: SensorRow) -> None:
        """Decide again on the present evidence, because a person has said something."""
        self._considered.add(sensor.id)
        stored = read_pixels(self.ledger.db, sensor.id)
        candidates = [pixel.candidate for pixel in stored if pixel.candidate.photos]
        self._decide(sensor, candidates, read_history(self.ledger, sensor))

    def forget(self, sensor: SensorRow) -> None:
        """Drop all that is known of a sensor."""
        self.accumulation.forget(sensor.id)
        self._maps.pop(sensor.id, None)
        self._signatures.pop(sensor.id, None)
        self._pixel_file(sensor).unlink(missing_ok=True)
        log.info("%s: forgotten", sensor.key)

    def _decide(
        self, sensor: SensorRow, candidates: Sequence[Candidate], history: History | None
    ) -> list[PixelRow]:
        """Apply the decision table, store the outcome, and publish the map where it changed."""
        before = {(p.row, p.column): p for p in read_pixels(self.ledger.db, sensor.id)}
        verdicts = decide_all(
            self._known(sensor, before, history),
            candidates,
            mode=self.config.confirmation.mode,
            max_new=self.config.confirmation.max_new,
        )
        decided = [_pixel(sensor, verdict, before) for verdict in verdicts]
        after = [dated(p, history) if _may_show(p, before) else p for p in decided]
        old, new = _confirmed(before.values()), _confirmed(after)
        with transaction(self.ledger.db):
            replace_pixels(self.ledger.db, sensor.id, after)
            if new.keys() != old.keys():
                revision = self.ledger.sensor(sensor.id).map_revision + 1
                self.ledger.update_sensor(sensor.id, map_revision=revision)
        self._maps.pop(sensor.id, None)
        self._publish(sensor, new.values())
        for place in sorted(new.keys() - old.keys()):
            self._tell_confirmed(sensor, new[place])
        self._tell_held(sensor, before, after)
        return after

    def _known(
        self,
        sensor: SensorRow,
        before: dict[tuple[int, int], PixelRow],
        history: History | None,
    ) -> list[Known]:
        """Return the earlier records with people's words, those of the config among them."""
        words = self.ledger.words(sensor.id)
        for entry in self.config.sensors:
            if entry.matches(sensor.sensor):
                words = dict.fromkeys([(y, x) for x, y in entry.pixels], _KNOWN) | words
        known = [Known(*place, state="candidate", word=words[place]) for place in words]
        for place in before.keys() - words.keys():
            pixel = before[place]
            if not pixel.reason.endswith("-by-hand"):
                stands = pixel.state == "confirmed"
                gone = stands and history is not None and history.is_gone(*place)
                known.append(Known(*place, state=pixel.state, reason=pixel.reason, gone=gone))
            elif pixel.candidate.photos:  # a word was taken back: the statistics decide anew
                known.append(Known(*place, state="candidate"))
        return known

    # --- telling

    def _pixel_file(self, sensor: SensorRow) -> Path:
        return self.pixels_folder / f"{sensor.key}.txt"

    def _publish(self, sensor: SensorRow, confirmed: Iterable[PixelRow]) -> None:
        """Write the confirmed pixels as plain text, in dcraw's syntax: column, row, time.

        What stands there is compared, since a crash may have come between ledger and file.
        """
        lines = [f"# {sensor.key}: confirmed pixels, column row unixtime"]
        lines += [f"{p.column} {p.row} {onset_unix_s(p)}" for p in confirmed]
        data = "".join(f"{line}\n" for line in lines).encode()
        file = self._pixel_file(sensor)
        if not file.exists() or file.read_bytes() != data:
            write_atomically(file, data)

    def _tell_confirmed(self, sensor: SensorRow, pixel: PixelRow) -> None:
        what = (
            f"{sensor.key}: {pixel.column},{pixel.row} confirmed ({pixel.reason}): "
            f"{pixel.candidate.kind}, {len(pixel.candidate.footprint)} pixels"
        )
        log.log(NOTICE, "%s", what)
        self.ledger.note_event(self.now(), "confirmed", what)

    def _tell_held(
        self,
        sensor: SensorRow,
        before: dict[tuple[int, int], PixelRow],
        after: Sequence[PixelRow],
    ) -> None:
        """Say of what now waits for a person's yes how to give it, once."""
        was = {place for place, pixel in before.items() if _waits_for_yes(pixel)}
        waiting = [pixel for pixel in after if _waits_for_yes(pixel)]
        if any((pixel.row, pixel.column) not in was for pixel in waiting):
            what = f"{sensor.key}: {len(waiting)} new defects are held back ({waiting[0].reason})"
            log.warning(
                "%s; see `hotpixeld pixels list`, accept them with `hotpixeld pixels confirm "
                "--held --sensor %s`",
                what,
                sensor.key,
            )
            self.ledger.note_event(self.now(), "held", what)

    def _tell_ranking(self, sensor: SensorRow, ranking: Ranking) -> None:
        held = f"; held back: {ranking.held_reason}" if ranking.held_reason else ""
        log.info(
            "%s: ranked over %d photos, %d candidates%s",
            sensor.key,
            ranking.photos,
            len(ranking.candidates),
            held,
        )


def _confirmed(pixels: Iterable[PixelRow]) -> dict[tuple[int, int], PixelRow]:
    return {(p.row, p.column): p for p in pixels if p.state == "confirmed"}


def _may_show(pixel: PixelRow, before: dict[tuple[int, int], PixelRow]) -> bool:
    """Tell whether photos date it: of what healed long ago they have nothing but noise."""
    earlier = before.get((pixel.row, pixel.column))
    was_retired = earlier is not None and earlier.state == "retired"
    return pixel.state != "candidate" and not (pixel.state == "retired" and was_retired)


def _waits_for_yes(pixel: PixelRow) -> bool:
    return pixel.state == "held" and pixel.reason in reasons.ACCEPTABLE


def _pixel(
    sensor: SensorRow, verdict: Verdict, before: dict[tuple[int, int], PixelRow]
) -> PixelRow:
    earlier = before.get((verdict.row, verdict.column))
    candidate = verdict.candidate or (earlier.candidate if earlier else None)
    if candidate is None:
        candidate = _without_evidence(verdict.row, verdict.column, sensor.sensor.channels)
    decided = PixelRow(verdict.row, verdict.column, verdict.state, verdict.reason, candidate)
    if earlier is None:
        return decided
    return replace(
        decided,
        since_after=earlier.since_after,
        since_by=earlier.since_by,
        last_seen=earlier.last_seen,
    )


def _without_evidence(row: int, column: int, channels: int) -> Candidate:
    """Return what is known of a pixel that only a person has named."""
    nothing = (0.0,) * channels
    return Candidate(
        row=row,
        column=column,
        channels=tuple(range(channels)),
        kind="stuck",
        score=0.0,
        mean_dn=nothing,
        variance_dn2=nothing,
        excess_dn=nothing,
        photos=0,
        shows_in=0.0,
        footprint=(),
        state="candidate",
        reason="",
    )
