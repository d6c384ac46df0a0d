"""Which photos of an archive count: decided here in order of capture, while others fold them.

A photo counts once, by its image data, and where `skip_similar` says so once a scene. A partition
in which one turns out to count elsewhere is folded again without it; one that takes its worker down
is halved until the photo is found. Once an epoch is settled its sums are asked for; where they were
lost and could not be made again as they were, it is settled anew.
"""

import errno
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from hotpixeld.core.moments import Moments
from hotpixeld.core.similarity import find_similar
from hotpixeld.edge.rows import SensorRow
from hotpixeld.service.partition import Entry, Folded, Partition, Rules, Surveyed
from hotpixeld.service.state import State
from hotpixeld.service.sums import EpochSums, Summing, SumsLostError
from hotpixeld.service.workers import WorkerDiedError

log = logging.getLogger(__name__)

MOST_TRIES = 3  # at an epoch whose sums are lost again and again


@dataclass(frozen=True)
class Epoch:
    """Some photos of one sensor, folded, not yet recorded."""

    moments: Moments
    entries: Sequence[Entry]

    @property
    def span(self) -> tuple[str, str]:
        """First and last time of capture that is known; empty where none is."""
        times = [e.surveyed.captured_at for e in self.entries if e.surveyed.captured_at]
        return (min(times), max(times)) if times else ("", "")


@dataclass
class _Settling:
    """An epoch of which it is decided what counts; its sums may still be on their way."""

    sums: EpochSums
    partitions: list[Partition] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


class Settlement:
    """What counts of one sensor's photos.

    Parameters
    ----------
    taken
        The images that count since the run began, with their first photo; shared by all sensors.
    on_photos
        Called with how many photos more are settled; fewer, where it was in vain.
    """

    def __init__(
        self,
        state: State,
        row: SensorRow,
        sums: Summing,
        rules: Rules,
        *,
        taken: dict[bytes, str],
        on_photos: Callable[[int], None],
    ) -> None:
        self._state = state
        self._row = row
        self._sums = sums
        self._rules = rules
        self._taken = taken
        self._on_photos = on_photos
        self._signatures: list[bytes] = []

    def epochs(
        self, cuts: Sequence[Sequence[Surveyed]], before_each: Callable[[], None]
    ) -> Iterator[Epoch]:
        """Yield each epoch once its sums are added up, in order.

        One stream of partitions over all epochs: the workers go on while an epoch is ranked.
        """
        size = self._sums.partition_photos
        answers = self._sums.fold(
            Partition(self._row.sensor, tuple(cut[start : start + size]), self._rules)
            for cut in cuts
            for start in range(0, len(cut), size)
        )
        settling: deque[_Settling] = deque()
        for cut in cuts:
            before_each()
            settling.append(self._settled(islice(answers, -(-len(cut) // size))))
            while sum(len(epoch.entries) for epoch in settling) > self._sums.open_photos:
                yield self._summed(settling.popleft())
        while settling:
            yield self._summed(settling.popleft())

    def _settled(self, answers: Iterable[tuple[Partition, Folded | WorkerDiedError]]) -> _Settling:
        epoch = _Settling(self._sums.epoch())
        for partition, answer in answers:
            epoch.partitions.append(partition)
            self._settle(partition, answer, epoch)
        epoch.sums.end()
        return epoch

    def _summed(self, epoch: _Settling) -> Epoch:
        """Return the epoch with its sums, decided upon and folded anew where they are lost."""
        for _ in range(MOST_TRIES):
            try:
                return Epoch(epoch.sums.total(), epoch.entries)
            except SumsLostError as error:
                log.warning("%d photos are folded again: %s", len(epoch.entries), error)
                self._forget(epoch)
                epoch = self._settled(self._sums.fold(epoch.partitions))
        raise OSError(errno.EAGAIN, f"sums were lost {MOST_TRIES} times: see to the workers")

    def _forget(self, epoch: _Settling) -> None:
        """Make it as if the epoch had not been settled."""
        for entry in epoch.entries:
            if self._taken.get(entry.digest) == entry.surveyed.path:
                del self._taken[entry.digest]
            if entry.statistics == "folded" and entry.signature in self._signatures:
                self._signatures.remove(entry.signature)
        self._on_photos(-len(epoch.entries))

    def _settle(
        self, partition: Partition, answer: Folded | WorkerDiedError, epoch: _Settling
    ) -> None:
        """Add a partition's sums to the epoch, once none of its photos counts elsewhere too."""
        while not isinstance(answer, WorkerDiedError):
            outside = self._counted_elsewhere(answer.entries)
            if not outside:
                epoch.sums.add(partition, answer)
                self._count(epoch, answer.entries)
                return
            partition = replace(partition, left_out=partition.left_out | outside)
            answer = self._sums.again(partition)
        if len(partition.photos) == 1:
            entry = Entry(partition.photos[0], "refused", f"killed-the-decoder: {answer}")
            self._count(epoch, [entry])
            return
        middle = len(partition.photos) // 2
        for photos in (partition.photos[:middle], partition.photos[middle:]):
            half = replace(partition, photos=photos)
            self._settle(half, self._sums.again(half), epoch)

    def _counted_elsewhere(self, entries: Sequence[Entry]) -> dict[str, str]:
        """Return the photos that must not be folded, by path, with state and reason."""
        outside = {}
        for entry in entries:
            if entry.statistics != "folded":
                continue
            path = entry.surveyed.path
            counted = self._state.ledger.counted(entry.digest)
            first = str(counted.path) if counted else self._taken.get(entry.digest)
            if first is not None:
                outside[path] = f"duplicate: same image as {first}"
            elif self._state.ledger.is_own_image(entry.digest):
                outside[path] = "own-copy: written by hotpixeld"
            elif self._is_similar(entry):
                outside[path] = "similar: same scene as an earlier photo"
        return outside

    def _is_similar(self, entry: Entry) -> bool:
        if not self._rules.skip_similar:
            return False
        if find_similar(entry.signature, self._signatures) is not None:
            return True
        return bool(self._state.detection.similar_photo(self._row, entry.signature))

    def _count(self, epoch: _Settling, entries: Sequence[Entry]) -> None:
        for entry in entries:
            told = entry
            if entry.statistics in {"folded", "similar"}:
                first = self._taken.setdefault(entry.digest, entry.surveyed.path)
                counted = self._state.ledger.counted(entry.digest)
                if first != entry.surveyed.path or counted is not None:
                    told = replace(entry, statistics="duplicate", reason=f"same image as {first}")
            if told.statistics == "folded":
                self._signatures.append(told.signature)
                del self._signatures[: -self._state.config.detection.window]
            epoch.entries.append(told)
        self._on_photos(len(entries))
