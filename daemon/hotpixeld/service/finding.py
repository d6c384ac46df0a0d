"""`find`: rank the pixels of some photos at once, without config or state."""

import glob
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hotpixeld.core.moments import PHOTOS_BEFORE_MOMENTS, Frame, Moments
from hotpixeld.core.rank import Ranking, rank
from hotpixeld.core.sensor import Sensor
from hotpixeld.core.similarity import find_similar, signature
from hotpixeld.edge import pillowmemory
from hotpixeld.edge.names import is_photo_name
from hotpixeld.edge.photo import read_photo
from hotpixeld.errors import PhotoError
from hotpixeld.service.cores import Cores, cores

log = logging.getLogger(__name__)

DEFAULT_MAX_PIXELS = 400_000_000
DEFAULT_FALSE_ALARMS = 0.01
# Larger batches save little more time, and every frame in memory takes four bytes a pixel. What is
# decoded ahead counts among them.
_FRAMES_IN_MEMORY = 4
_LEAST_BATCH_PHOTOS = 2


@dataclass(frozen=True)
class Skipped:
    """A photo that does not count, and the reason."""

    path: Path
    reason: str


@dataclass
class SensorFinding:
    """One camera's photos among those given.

    Attributes
    ----------
    ranking : Ranking or None
        None where too few photos came to have moments at all.
    """

    sensor: Sensor
    photos: int = 0
    ranking: Ranking | None = None
    moments: Moments | None = None
    batch: list[Frame] = field(default_factory=list)
    signatures: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Finding:
    """What `find` found: each camera, best provided first, what was skipped, and the time."""

    sensors: list[SensorFinding]
    skipped: list[Skipped]
    seconds: float


def find(arguments: Sequence[str], *, jobs: int = 1) -> Finding:
    """Fold all photos that ``arguments`` name and rank each camera's pixels.

    Parameters
    ----------
    arguments
        Files, folders (searched with their subfolders) or globs.
    jobs
        How many threads decode and fold; with 1 everything is done in the caller's.
    """
    start_s = time.monotonic()
    findings: dict[Sensor, SensorFinding] = {}
    skipped: list[Skipped] = []
    seen: dict[bytes, Path] = {}
    pillowmemory.keep(_batch_photos(jobs) + jobs)
    with cores(jobs) as threads:
        for path, read in threads.in_order(_read, named_photos(arguments)):
            if isinstance(read, PhotoError):
                skipped.append(Skipped(path, str(read)))
            elif (first := seen.setdefault(read.digest, path)) != path:
                skipped.append(Skipped(path, f"duplicate: same image as {first}"))
            else:
                finding = findings.setdefault(read.sensor, SensorFinding(read.sensor))
                if not _take(finding, read, threads):
                    skipped.append(
                        Skipped(path, "similar: one more of a scene that counts already")
                    )
            del read  # the next photo wants its memory
        for finding in findings.values():
            _fold(finding, threads)
        pillowmemory.keep(0)  # the ranking wants memory too
        for finding in findings.values():
            _rank(finding, threads)
    ordered = sorted(findings.values(), key=lambda f: (-f.photos, f.sensor.key))
    return Finding(ordered, skipped, time.monotonic() - start_s)


def named_photos(arguments: Sequence[str]) -> Iterator[Path]:
    """Yield the files that the arguments name: themselves, in folders, or by glob; each once."""
    given: set[Path] = set()
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            paths = sorted(p for p in path.rglob("*") if p.is_file() and is_photo_name(p.name))
        elif path.exists() or not glob.has_magic(argument):
            paths = [path]
        else:
            paths = sorted(map(Path, glob.glob(argument, recursive=True)))  # noqa: PTH207 (an absolute glob)
        for found in paths:
            if found not in given:
                given.add(found)
                yield found


@dataclass(frozen=True)
class _Read:
    """What counts of a photo, without its file's bytes."""

    digest: bytes
    sensor: Sensor
    frame: Frame
    signature: bytes


def _read(path: Path) -> _Read | PhotoError:
    try:
        photo = read_photo(path.read_bytes(), path.name, max_pixels=DEFAULT_MAX_PIXELS)
    except OSError as error:
        return PhotoError("unreadable", error.strerror or str(error))
    except PhotoError as error:
        return error
    return _Read(photo.digest, photo.sensor, photo.frame, signature(photo.frame))


def _take(finding: SensorFinding, photo: _Read, threads: Cores) -> bool:
    if find_similar(photo.signature, finding.signatures) is not None:
        return False
    finding.signatures.append(photo.signature)
    finding.photos += 1
    finding.batch.append(photo.frame)
    if len(finding.batch) >= _batch_photos(threads.jobs):
        _fold(finding, threads)
    return True


def _batch_photos(jobs: int) -> int:
    return max(_LEAST_BATCH_PHOTOS, _FRAMES_IN_MEMORY - jobs)


def _fold(finding: SensorFinding, threads: Cores) -> None:
    if not finding.batch:
        return
    if finding.moments is None:
        frame = finding.batch[0]
        height, width, channels = frame.shape
        finding.moments = Moments.empty((height, width, channels), 8 * frame.itemsize, few=True)
    finding.moments.fold(finding.batch, threads.spread)
    finding.batch.clear()


def _rank(finding: SensorFinding, threads: Cores) -> None:
    if finding.moments is not None and finding.photos >= PHOTOS_BEFORE_MOMENTS:
        parts, false_alarms = [finding.moments], DEFAULT_FALSE_ALARMS
        finding.ranking = rank(parts, false_alarms=false_alarms, spread=threads.spread)
    finding.moments = None
