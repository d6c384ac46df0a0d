"""`make bench`: every module's tables on stdout, and one line a figure in the history file.

``python -m benchmarks [MODULE…]`` with ``PYTHONPATH=daemon:tests``. The history (``history.txt``
beside this file) grows at its end: date, commit, kernel, figure, so that a slowdown shows.
"""

import contextlib
import importlib
import io
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import benchmarks
from hotpixeld.core import kernel

HISTORY = Path(__file__).parent / "history.txt"


def main(arguments: list[str]) -> None:
    """Run the modules that have a ``main``, all or those named."""
    for name in arguments or sorted(_names()):
        module = importlib.import_module(f"benchmarks.{name}")
        if not hasattr(module, "main"):
            continue
        print(f"\n## {name}\n", flush=True)
        with _also_shown() as told:
            module.main()
        _remember(name, told.getvalue())


def _names() -> Iterator[str]:
    for module in pkgutil.iter_modules(benchmarks.__path__):
        if not module.name.startswith("_"):
            yield module.name


@contextlib.contextmanager
def _also_shown() -> Iterator[io.StringIO]:
    """Keep what is printed in the block, and show it as it comes."""
    kept, shown = io.StringIO(), sys.stdout

    class Both(io.StringIO):
        def write(self, text: str) -> int:
            shown.write(text)
            shown.flush()
            return kept.write(text)

    with contextlib.redirect_stdout(Both()):
        yield kept


def _remember(name: str, told: str) -> None:
    describe = ["git", "-C", str(HISTORY.parent), "describe", "--always", "--dirty"]
    found = subprocess.run(describe, capture_output=True, text=True, check=False)
    commit = found.stdout.strip() or "unknown"
    compiled = "compiled" if kernel.COMPILED is not None else "numpy"
    start = f"{datetime.now(UTC):%Y-%m-%d} {commit} {compiled} {name}"
    rows = [line for line in told.splitlines() if line.startswith("|") and "---" not in line]
    with HISTORY.open("a") as history:
        history.writelines(f"{start} {row}\n" for row in rows)


if __name__ == "__main__":
    main(sys.argv[1:])
