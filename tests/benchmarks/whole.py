"""Whole processes beside their rivals: `find`, `status`, and a daemon that gets a photo.

No table of its own: `benchmarks.speed` shows the rows.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.madephotos import STUCK, jpeg, write_photos
from benchmarks.timing import Row, processes
from running import RunningDaemon


def whole_rows(photos: int, runs: int) -> Iterator[Row]:
    """Yield the rows; ``photos`` of 10 MP for each `find`."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _find_rows(write_photos(Path(folder), 10, photos), runs)
    yield _cold_start(runs)
    yield _drop(runs)


def _find_rows(paths: list[Path], runs: int) -> Iterator[Row]:
    names = [str(path) for path in paths]
    cost = processes(
        {
            "decode": ["-m", "benchmarks.original", "decode", *names],
            "one": ["-m", "hotpixeld", "find", *names],
            "two": ["-m", "hotpixeld", "find", "--jobs", "2", *names],
            "original": ["-m", "benchmarks.original", "find", *names],
            "original two": ["-m", "benchmarks.original", "parallel", "2", *names],
        },
        runs,
    )
    decode, one, two, original = (cost[name] for name in ("decode", "one", "two", "original"))
    what = f"`find` on {len(paths)} photos of 10 MP, whole"
    yield Row(
        f"{what}, one job: against decoding alone; faster than the original",
        "<= 1.6; >= 2.5",
        f"{one.cpu_s / decode.cpu_s:.2f}; {original.cpu_s / one.cpu_s:.1f} (processor); "
        f"{one.wall_s / decode.wall_s:.2f}; {original.wall_s / one.wall_s:.1f} (clock)",
    )
    yield Row(
        f"{what}, two jobs: faster than the original; than its parallel version",
        ">= 5",
        f"{original.wall_s / two.wall_s:.1f}; {cost['original two'].wall_s / two.wall_s:.1f}",
    )
    yield Row("two jobs against one", ">= 1.8", f"{one.wall_s / two.wall_s:.2f}")
    yield Row(
        "peak memory, one job / two, against the original's",
        "<= 1/3",
        f"{one.peak_bytes / original.peak_bytes:.2f} / {two.peak_bytes / original.peak_bytes:.2f} "
        f"({one.peak_bytes >> 20} / {two.peak_bytes >> 20} of {original.peak_bytes >> 20} MiB)",
    )


def _cold_start(runs: int) -> Row:
    with tempfile.TemporaryDirectory() as folder, RunningDaemon(Path(folder)) as daemon:
        config = str(daemon.config)
        cost = processes(
            {"bare": ["-c", "pass"], "status": ["-m", "hotpixeld", "status", "-c", config]},
            4 * runs + 1,
            allowed=(0,),
        )
    more_s = cost["status"].cpu_s - cost["bare"].cpu_s
    return Row(
        "cold start of `hotpixeld status`, beyond bare Python", "<= 0.25 s", f"{more_s:.2f} s"
    )


def _drop(runs: int) -> Row:
    """Measure from a photo's rename into the folder to its copy under its final name."""
    settle_s = 0.2
    taken_s = []
    with tempfile.TemporaryDirectory() as folder:
        more = f"sensors: [{{width: 6000, height: 4000, pixels: [[{STUCK[1]}, {STUCK[0]}]]}}]"
        with RunningDaemon(Path(folder), more=more):
            for number in range(runs + 1):
                beside = Path(folder) / "beside.tmp"
                beside.write_bytes(jpeg(24, 50 + number))
                copy = Path(folder) / "repaired" / f"{number}.jpg"
                start_s = time.monotonic()
                beside.rename(Path(folder) / "import" / f"{number}.jpg")
                while not copy.exists() and time.monotonic() < start_s + 120:
                    time.sleep(0.01)
                taken_s.append(time.monotonic() - start_s - settle_s)
    return Row(
        "drop -> repaired copy of one 24 MP photo on an idle daemon, beyond `settle`",
        "<= 1.5 s",
        f"{statistics.median(taken_s):.2f} s",
    )
