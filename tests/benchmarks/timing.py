"""Medians of several runs, taken in turns so that a busy moment falls on all alike."""

import json
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


_LAUNCH = """
import json, os, subprocess, sys, time
start_s = time.perf_counter()
process = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([time.perf_counter() - start_s, usage.ru_utime + usage.ru_stime,
                  usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status)]))
"""


def _one(arguments: list[str], allowed: tuple[int, ...]) -> Cost:
    path = os.pathsep.join([str(ROOT / "daemon"), str(ROOT / "tests")])
    done = subprocess.run(  # by a small process: Linux counts the parent's memory as the child's
        [sys.executable, "-c", _LAUNCH, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    wall, processor, peak_bytes, code = json.loads(done.stdout)
    assert code in allowed, arguments
    return Cost(wall, processor, peak_bytes)
