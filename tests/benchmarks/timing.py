"""Medians of several runs, taken in turns so that a busy moment falls on all alike."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Row:
    """One line of the table; ``measured`` holds ratios, so that it means something elsewhere."""

    what: str
    bar: str
    measured: str

    def __str__(self) -> str:
        return f"| {self.what} | {self.bar} | {self.measured} |"


def cpu_s(functions: Mapping[str, Callable[[], object]], runs: int = 5) -> dict[str, float]:
    """Return each function's median time of this process on the processor, in seconds."""
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            start_s = time.process_time()
            function()
            taken[name].append(time.process_time() - start_s)
    return {name: statistics.median(times) for name, times in taken.items()}


def wall_s(functions: Mapping[str, Callable[[], object]], runs: int = 5) -> dict[str, float]:
    """Return each function's median time on the clock, in seconds."""
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            start_s = time.perf_counter()
            function()
            taken[name].append(time.perf_counter() - start_s)
    return {name: statistics.median(times) for name, times in taken.items()}


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def processes(
    commands: Mapping[str, list[str]], runs: int = 3, allowed: tuple[int, ...] = (0,)
) -> dict[str, Cost]:
    """Run Python with these arguments, in turns; return each command's medians."""
    taken: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, arguments in commands.items():
            taken[name].append(_one(arguments, allowed))
    return {
        name: Cost(
            statistics.median(cost.wall_s for cost in costs),
            statistics.median(cost.cpu_s for cost in costs),
            max(cost.peak_bytes for cost in costs),
        )
        for name, costs in taken.items()
    }


def _one(arguments: list[str], allowed: tuple[int, ...]) -> Cost:
    path = os.pathsep.join([str(ROOT / "daemon"), str(ROOT / "tests")])
    start_s = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": path},
    )
    _, status, usage = os.wait4(process.pid, 0)
    taken_s = time.perf_counter() - start_s
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in allowed, arguments
    return Cost(taken_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
