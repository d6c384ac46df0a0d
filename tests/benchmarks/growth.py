"""What a photo costs a running daemon as its ledger and the number of its cameras grow.

Photos of half a megapixel are dropped into a daemon's folder, each of another scene; told is what
the daemon spent on the processor for each. Small photos let what grows stand out: decoding and
folding a larger one takes longer, and nothing else does. Between two windows the ledger is filled
up with rows of earlier epochs, since ten thousand real photos would take hours. Rankings are left
out, but for each camera's first: they get rarer as photos grow many, one for each twentieth more.
``python -m benchmarks.growth [photos] [sensors]`` with ``PYTHONPATH=daemon:tests``.
"""

import contextlib
import hashlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import pictures
from hotpixeld.edge.database import open_database, transaction
from running import RunningDaemon

WIDTH, HEIGHT = 816, 612
AT_ONCE = 50
WINDOW = 200
_OF_LONG_AGO = """
    INSERT INTO photos (path, digest, identity, statistics, epoch, generation, sensor_id, copy,
        map_revision, signature, observations, captured_at, seen_at, iso, exposure_s)
    SELECT ?, ?, 'gone', 'folded', -9, 1, sensor_id, copy,
        map_revision, signature, observations, captured_at, seen_at, iso, exposure_s
    FROM photos WHERE id = ?"""
SENSOR_PHOTOS = (30, 60)  # of each camera, while the number of cameras grows
_TICKS_S = os.sysconf("SC_CLK_TCK")


def main(arguments: Sequence[str] = ()) -> None:
    """Print the table; ``arguments``: photos (10,000) and sensors (20)."""
    photos = int(arguments[0]) if arguments else 10_000
    sensors = int(arguments[1]) if len(arguments) > 1 else 20
    print("| what | processor time of a photo | against the first |")
    print("|---|---|---|")
    first_s = 0.0
    for start, end, photo_s in _as_photos_grow(photos):
        first_s = first_s or photo_s
        print(f"| photos {start} to {end} of one camera {_told(photo_s, first_s)}", flush=True)
    start, end = SENSOR_PHOTOS
    first_s = 0.0
    for number in (1, sensors):
        photo_s = _of_sensors(number)
        first_s = first_s or photo_s
        what = f"photos {start} to {end} of each of {number} cameras, in turns"
        print(f"| {what} {_told(photo_s, first_s)}", flush=True)


def _told(photo_s: float, first_s: float) -> str:
    return f"| {1000 * photo_s:.1f} ms | {photo_s / first_s:.2f} |"


def _as_photos_grow(photos: int) -> Iterator[tuple[int, int, float]]:
    """Yield windows: from which photo to which, and the seconds of each."""
    with _running() as run:
        for start in (100, 1000, photos):
            if start == 100:
                run.take(start, sensors=1)
            else:
                run.fill_up(start - AT_ONCE)
                run.take(start, sensors=1)
            before_s = run.spent_s()
            run.take(start + WINDOW, sensors=1)
            yield start, start + WINDOW, (run.spent_s() - before_s) / WINDOW


def _of_sensors(sensors: int) -> float:
    with _running() as run:
        start, end = (sensors * photos for photos in SENSOR_PHOTOS)
        run.take(start, sensors=sensors)
        before_s = run.spent_s()
        run.take(end, sensors=sensors)
        return (run.spent_s() - before_s) / (end - start)


@dataclass
class _Run:
    daemon: RunningDaemon
    taken: int = 0

    def take(self, until: int, *, sensors: int) -> None:
        """Let the daemon take photos until it has so many, and do what they give it to do."""
        with contextlib.closing(open_database(self.daemon.state)) as db:
            while self.taken < until:
                more = min(AT_ONCE, until - self.taken)
                for number in range(self.taken, self.taken + more):
                    data = _photo(number, serial=f"A {number % sensors}")
                    self.daemon.drop(f"{number // 1000:02}/{number:05}.jpg", data)
                self.taken += more
                while db.execute("SELECT max(id) FROM photos").fetchone()[0] != self.taken:
                    time.sleep(0.05)
        time.sleep(2)

    def fill_up(self, until: int) -> None:
        """Let the ledger have so many photos, as if they had been folded long ago."""
        self.daemon.stop()
        with contextlib.closing(open_database(self.daemon.state)) as db, transaction(db):
            known = [row[0] for row in db.execute("SELECT id FROM photos WHERE epoch IS NOT NULL")]
            for number in range(self.taken, until):
                place = (f"/gone/{number}".encode(), _digest(number), known[number % len(known)])
                db.execute(_OF_LONG_AGO, place)
        self.taken = until
        self.daemon.start()

    def spent_s(self) -> float:
        """Return the daemon's time on the processor so far."""
        assert self.daemon.process is not None
        stat = Path(f"/proc/{self.daemon.process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_S


@contextlib.contextmanager
def _running() -> Iterator[_Run]:
    with tempfile.TemporaryDirectory() as folder:
        settings = "sensors: [{width: 816, height: 612, pixels: [[400, 300]]}]"
        daemon = RunningDaemon(Path(folder), skip_similar=True, more=settings)
        text = daemon.config.read_text().replace("watch: {settle: 200ms, rescan: 2s}\n", "")
        daemon.config.write_text(text.replace("every: 5,", "every: 65000,"))
        with daemon:
            yield _Run(daemon)


def _digest(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def _photo(number: int, serial: str) -> bytes:
    """Return a JPEG of a scene of its own: blobs of colour, noise, a stuck pixel."""
    generator = np.random.default_rng(number)
    blobs = generator.integers(0, 220, (18, 24, 3), dtype=np.uint8)
    image = Image.fromarray(blobs).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    frame = np.asarray(image) + np.roll(_NOISE, 7919 * number)[: HEIGHT * WIDTH * 3].reshape(
        HEIGHT, WIDTH, 3
    )
    frame[300, 400] = 255
    held = io.BytesIO()
    taken = f"20{10 + number // 8000:02}:{1 + number // 700 % 12:02}:{1 + number // 25 % 28:02}"
    exif = pictures.exif(taken=f"{taken} {number % 25 % 24:02}:{number % 60:02}:00", serial=serial)
    Image.fromarray(frame).save(held, "JPEG", quality=93, exif=exif)
    return held.getvalue()


_NOISE = np.random.default_rng(1).integers(0, 24, WIDTH * HEIGHT * 3, dtype=np.uint8)


if __name__ == "__main__":
    main(sys.argv[1:])
