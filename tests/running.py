"""A real daemon in a process of its own, on folders of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hotpixeld.edge.database import open_database
from hotpixeld.edge.generations import read_generation
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.pixels import pixel_document, read_pixels
from hotpixeld.edge.rows import PhotoRow
from hotpixeld.service.health import gather

CONFIG = """\
version: 1
import: ./import
output: ./repaired
state: ./state
watch: {{settle: 200ms, rescan: 2s}}
detection: {{min_photos: {min_photos}, every: 5, skip_similar: {skip_similar}}}
copies: {{min_free: 0B}}
log: {{level: debug, format: text}}
report: false
{more}
"""


def environment() -> dict[str, str]:
    """Return this process's environment, from which the package can be imported."""
    package = Path(sys.modules["hotpixeld"].__file__ or "").parent.parent
    return {**os.environ, "PYTHONPATH": str(package), "PYTHONWARNINGS": "error::ResourceWarning"}


def hotpixeld(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "hotpixeld", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=cwd,
        env=environment(),
    )


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 60) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.05)


def cpu_of(process: Path) -> float:
    """Return the seconds of processor time that a process has had, by its folder in /proc."""
    fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class RunningDaemon:
    """A folder with import, repaired and state, and the daemon on it while the block lasts."""

    def __init__(
        self,
        folder: Path,
        *,
        min_photos: int = 15,
        skip_similar: bool = False,
        more: str = "",
        start: bool = True,
    ) -> None:
        self.folder = folder
        self.imports, self.repaired = folder / "import", folder / "repaired"
        self.state, self.config = folder / "state", folder / "hotpixeld.yaml"
        self.imports.mkdir(exist_ok=True)
        skip = str(skip_similar).lower()
        self.config.write_text(CONFIG.format(min_photos=min_photos, skip_similar=skip, more=more))
        self.log = folder / "log"
        self._start = start
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if self._start:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if error is not None and self.log.exists():
            sys.stderr.write(self.log.read_text(errors="replace")[-8000:])

    def start(self) -> None:
        """Start the daemon and wait until it watches."""
        (self.state / "status.json").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hotpixeld", "run", "-c", str(self.config)],
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # without the terminal that the tests may run in
                env=environment(),
            )
        wait_for(lambda: self.status()["folders"] or self.ended(), "the daemon watches")
        assert not self.ended(), self.log.read_text()

    @property
    def pid(self) -> int:
        """Of the process, which must have been started."""
        assert self.process is not None
        return self.process.pid

    def ended(self) -> bool:
        """Tell whether the process is over."""
        return self.process is not None and self.process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        """Stop it as systemd does and return the exit code."""
        self.signal(signal.SIGTERM)
        assert self.process is not None
        return self.process.wait(timeout=15)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def status(self) -> dict[str, Any]:
        """Return what `status --json` says."""
        return gather(self.state)

    def photos(self) -> dict[str, PhotoRow]:
        """Return the ledger's rows by file name."""
        with contextlib.closing(open_database(self.state)) as db:
            return {row.path.name: row for row in Ledger(db).photos()}

    def pixels(self) -> list[dict[str, Any]]:
        """Return the pixels of the only sensor."""
        with contextlib.closing(open_database(self.state)) as db:
            return [pixel_document(pixel) for pixel in read_pixels(db, 1)]

    def confirmed(self) -> set[tuple[int, int]]:
        """Return x, y of the confirmed pixels."""
        return {(p["x"], p["y"]) for p in self.pixels() if p["state"] == "confirmed"}

    def drop(self, name: str, data: bytes) -> Path:
        """Let a whole photo appear in the import folder."""
        path = self.imports / name
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = path.with_name(f".{path.name}.part")
        hidden.write_bytes(data)
        hidden.rename(path)
        return path

    def wait_counted(self, count: int, timeout_s: float = 60) -> None:
        """Wait until so many photos are pending or folded."""

        def counted() -> bool:
            photos = self.status()["photos"]
            return bool(photos["pending"] + photos["folded"] + photos["waiting"] >= count)

        wait_for(counted, f"{count} photos counted", timeout_s)

    def committed(self) -> tuple[list[str], dict[str, bytes]]:
        """Return the digests that the ledger calls folded, and the sums' bytes by array."""
        with contextlib.closing(open_database(self.state)) as db:
            digests = [
                bytes(row[0]).hex()
                for row in db.execute(
                    "SELECT digest FROM photos WHERE statistics = 'folded' ORDER BY digest"
                )
            ]
            newest = db.execute(
                "SELECT file FROM generations ORDER BY generation DESC LIMIT 1"
            ).fetchone()
        if newest is None:
            return digests, {}
        moments = read_generation(self.state / "moments" / newest[0], lambda: None)
        return digests, {name: array.tobytes() for name, array in moments.arrays().items()}


@contextlib.contextmanager
def running(folder: Path, **settings: Any) -> Iterator[RunningDaemon]:  # noqa: ANN401 (handed on)
    """Run a daemon on ``folder`` for the length of the block."""
    with RunningDaemon(folder, **settings) as daemon:
        yield daemon
