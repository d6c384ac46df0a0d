"""What a worker of `backfill` does: look into photos, and fold a partition of them.

Plain functions of plain values, so that a process on this machine and one of a cluster run the
same; nothing here writes, so that a task that ran twice has done no harm.
"""

import contextlib
import io
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing import shared_memory
from pathlib import Path

import numpy as np
from PIL import Image

from hotpixeld.core.moments import Frame, Moments
from hotpixeld.core.sensor import Sensor
from hotpixeld.core.similarity import find_similar, signature
from hotpixeld.edge import exif
from hotpixeld.edge.photo import read_photo
from hotpixeld.errors import PhotoError

BATCH_PHOTOS = 4
_CHANNELS = {"RGB": 3, "L": 1, "CMYK": 4}


@dataclass(frozen=True)
class Surveyed:
    """A photo of the archive before it is decoded: of which sensor it is, and when it was taken."""

    path: str
    identity: str
    sensor: Sensor | None
    captured_at: str
    refused: str = ""
    may_pass: bool = False


@dataclass(frozen=True)
class Rules:
    """What of the config a worker must know."""

    max_pixels: int
    skip_similar: bool


@dataclass(frozen=True)
class Partition:
    """Photos of one sensor, in order of capture, for one worker.

    Attributes
    ----------
    left_out : dict
        Photos that are not to be folded, and why; the coordinator knows of photos elsewhere.
    memory : str or None
        The shared memory to put the sums in; None: they are returned.
    """

    sensor: Sensor
    photos: tuple[Surveyed, ...]
    rules: Rules
    left_out: dict[str, str] = field(default_factory=dict)
    memory: str | None = None


@dataclass(frozen=True)
class Entry:
    """What became of one photo: ``statistics`` is ``folded`` or another state of the ledger."""

    surveyed: Surveyed
    statistics: str
    reason: str = ""
    digest: bytes = b""
    signature: bytes = b""
    iso: float | None = None
    exposure_s: float | None = None
    may_pass: bool = False


@dataclass(frozen=True)
class Folded:
    """A worker's answer: every photo of the partition, and the sums of those that are folded.

    Attributes
    ----------
    sums : Moments, Future or None
        A future of the whole answer where a cluster keeps the sums; None where they are in the
        partition's shared memory.
    """

    entries: tuple[Entry, ...]
    sums: "Moments | Future[Folded] | None"

    @property
    def digests(self) -> tuple[bytes, ...]:
        """The images that are in the sums."""
        return tuple(entry.digest for entry in self.entries if entry.statistics == "folded")

    def __sizeof__(self) -> int:
        """Return the bytes of the sums too: a cluster places and spills by them."""
        return object.__sizeof__(self) + sys.getsizeof(self.sums)


def survey(found: Sequence[tuple[str, str]], rules: Rules) -> list[Surveyed]:
    """Look into the headers of some photos, each given by path and identity."""
    return [_surveyed(Path(path), identity, rules) for path, identity in found]


def _surveyed(path: Path, known_by: str, rules: Rules) -> Surveyed:
    try:
        with path.open("rb") as file:
            sensor, facts = _from_header(file.read(1 << 18)) or _from_pixels(path, rules)
    except (OSError, PhotoError) as error:
        return Surveyed(str(path), known_by, None, "", _refusal(error), may_pass=_may_pass(error))
    taken = facts.captured_at
    at = taken.isoformat() if taken else ""
    return Surveyed(str(path), known_by, sensor, at)


def _from_header(start: bytes) -> tuple[Sensor, exif.ExifFacts] | None:
    if not start.startswith(b"\xff\xd8"):
        return None
    try:
        image = Image.open(io.BytesIO(start), formats=("JPEG",))
        facts = exif.read_facts(image)
    except Exception:  # noqa: BLE001 (whatever is wrong with it, decoding it will say so)
        return None
    if image.mode not in _CHANNELS:
        return None
    return Sensor(
        facts.make, facts.model, facts.serial, *image.size, _CHANNELS[image.mode], 8, "jpeg"
    ), facts


def _from_pixels(path: Path, rules: Rules) -> tuple[Sensor, exif.ExifFacts]:
    photo = read_photo(path.read_bytes(), path.name, max_pixels=rules.max_pixels)
    return photo.sensor, photo.facts


def fold_partition(partition: Partition) -> Folded:
    """Decode the photos of a partition and fold those that count."""
    sensor = partition.sensor
    if partition.memory is None:
        moments = Moments.empty(sensor.shape, sensor.depth_bits, few=True)
        return Folded(_fold(partition, moments), moments)
    with contextlib.closing(shared_memory.SharedMemory(partition.memory)) as held:
        return Folded(_fold_within(partition, held), None)


def entries_of(folded: Folded) -> tuple[Entry, ...]:
    """Return what a coordinator must know to decide what counts: little, beside the sums."""
    return folded.entries


def added(left: Folded, right: Folded) -> Folded:
    """Return both answers as one; neither is changed, since one may be asked for again."""
    assert isinstance(left.sums, Moments)
    assert isinstance(right.sums, Moments)
    total = Moments.empty(left.sums.shape, left.sums.depth_bits, few=True)
    total.merge(left.sums)
    total.merge(right.sums)
    return Folded(left.entries + right.entries, total)


def _fold_within(partition: Partition, held: shared_memory.SharedMemory) -> tuple[Entry, ...]:
    moments = moments_in(held, partition.sensor, 0)
    for array in moments.arrays().values():
        array.fill(0)
    return _fold(partition, moments)


def _fold(partition: Partition, moments: Moments) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    batch: list[Frame] = []
    signatures: list[bytes] = []
    seen: dict[bytes, str] = {}
    for surveyed in partition.photos:
        entry, frame = _entry(surveyed, partition, seen, signatures)
        entries.append(entry)
        if frame is not None:
            seen[entry.digest] = surveyed.path
            signatures.append(entry.signature)
            batch.append(frame)
        if len(batch) == BATCH_PHOTOS:
            moments.fold(batch)
            batch.clear()
    moments.fold(batch)
    return tuple(entries)


def _entry(
    surveyed: Surveyed, partition: Partition, seen: dict[bytes, str], signatures: list[bytes]
) -> tuple[Entry, Frame | None]:
    path = Path(surveyed.path)
    try:
        photo = read_photo(path.read_bytes(), path.name, max_pixels=partition.rules.max_pixels)
    except (OSError, PhotoError) as error:
        refused = Entry(surveyed, "refused", _refusal(error), may_pass=_may_pass(error))
        return refused, None
    if photo.sensor != partition.sensor:
        return Entry(surveyed, "refused", "unsupported: not what its header says"), None
    own = signature(photo.frame)
    state, reason = "folded", ""
    if surveyed.path in partition.left_out:
        state, _, reason = partition.left_out[surveyed.path].partition(": ")
    elif photo.digest in seen:
        state, reason = "duplicate", f"same image as {seen[photo.digest]}"
    elif photo.own_mark:
        state, reason = "own-copy", "written by hotpixeld"
    elif partition.rules.skip_similar and find_similar(own, signatures) is not None:
        state, reason = "similar", "same scene as a photo beside it"
    entry = Entry(surveyed, state, reason, photo.digest, own, photo.iso, photo.exposure_s)
    return entry, photo.frame if state == "folded" else None


def _refusal(error: OSError | PhotoError) -> str:
    return str(error) if isinstance(error, PhotoError) else f"unreadable: {error.strerror}"


def _may_pass(error: OSError | PhotoError) -> bool:
    return isinstance(error, OSError) or error.may_pass


def moments_in(memory: shared_memory.SharedMemory, sensor: Sensor, count: int) -> Moments:
    """Return moments whose arrays stand in shared memory."""
    values = int(np.prod(sensor.shape))
    squares = np.dtype(np.uint32 if sensor.depth_bits == 8 else np.uint64)
    arrays = {}
    offset = 0
    for name, dtype in (
        ("sum_squares_dn2", squares),
        ("sum_dn", np.dtype(np.uint32)),
        ("residual", np.dtype(np.int32)),
    ):
        arrays[name] = np.ndarray(sensor.shape, dtype, memory.buf, offset)
        offset += values * dtype.itemsize
    return Moments.from_arrays(sensor.shape, sensor.depth_bits, count, arrays)
