"""A small state, one run over it in a process of its own, and what must hold of it afterwards."""

import contextlib
import io
import logging
import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hotpixeld.config import Config
from hotpixeld.core.moments import Moments
from hotpixeld.edge.atomic import TEMPORARY
from hotpixeld.edge.database import open_database
from hotpixeld.edge.found import identity_at, stored
from hotpixeld.edge.generations import read_generation
from hotpixeld.edge.ledger import Ledger
from hotpixeld.edge.photo import read_photo
from hotpixeld.service import accumulation
from hotpixeld.service.quiet import QuietWork
from hotpixeld.service.requests import take_requests
from hotpixeld.service.state import State, open_state

HEIGHT, WIDTH = 16, 24
SENSOR: dict[str, Any] = {"width": WIDTH, "height": HEIGHT, "pixels": [[5, 7], [12, 3]]}
KILLED = -signal.SIGKILL
FAILED = 9  # the exit code of a run that an error ended


def memory() -> Path | None:
    """Return where a sync costs nothing, for sweeps over many runs, if there is such a place."""
    folder = Path("/dev/shm")  # noqa: S108 (for a fresh folder below it)
    return folder if os.access(folder, os.W_OK) else None


@cache
def photos(count: int) -> dict[str, bytes]:
    """Return small photos of one sensor by name, all different, with two stuck pixels."""
    made = {}
    for number in range(count):
        generator = np.random.default_rng(number)
        levels = generator.integers(40, 150, 3)
        slopes = generator.uniform(-2, 2, (2, 3))
        noise = generator.integers(-4, 5, (HEIGHT, WIDTH, 3))
        rows, columns = np.arange(HEIGHT)[:, None, None], np.arange(WIDTH)[None, :, None]
        smooth = levels + slopes[0] * (rows - 8) + slopes[1] * (columns - 12)
        frame = np.clip(smooth + noise, 0, 255).astype(np.uint8)
        for column, row in SENSOR["pixels"]:
            frame[row, column] = 255
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, "PNG")
        made[f"photo{number:03}.png"] = stream.getvalue()
    return made


@cache
def digest_and_frame(data: bytes) -> tuple[bytes, np.ndarray]:
    photo = read_photo(data, "x.png", max_pixels=10**6)
    return photo.digest, photo.frame


@dataclass
class Rig:
    """Folders for one state, and runs over it.

    Attributes
    ----------
    commit_photos
        A generation is committed after so many photos.
    """

    folder: Path
    count: int = 6
    commit_photos: int = 2
    window: int = 1000
    photos: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.imports, self.state = self.folder / "import", self.folder / "state"
        self.repaired = self.folder / "repaired"
        self.imports.mkdir(parents=True, exist_ok=True)
        self.photos = self.photos or photos(self.count)
        for name, data in self.photos.items():
            (self.imports / name).write_bytes(data)

    @property
    def config(self) -> Config:
        return Config.model_validate(
            {
                "version": 1,
                "import": [str(self.imports)],
                "output": str(self.repaired),
                "state": str(self.state),
                "detection": {"min_photos": 4, "skip_similar": False, "window": self.window},
                "repair": {"when": "always"},
                "copies": {"min_free": "0B"},
                "sensors": [SENSOR],
                "report": False,
            }
        )

    def run(self) -> None:
        """Do as the daemon does with every photo that is new, then save, in this process."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(accumulation, "COMMIT_PHOTOS", self.commit_photos)
            patch.setattr(accumulation, "BATCH_PHOTOS", 1)
            with open_state(self.config) as state:
                self.serve(state)

    def serve(self, state: State) -> None:
        work = QuietWork(state, lambda: 0.0)
        take_requests(state, None)
        for path in sorted(self.imports.rglob("*.png")):
            identity = identity_at(path)
            assert identity is not None
            if not state.ledger.is_known(path, stored(identity)):
                state.handling.handle(path, path.read_bytes(), stored(identity))
                work.after_photo()
        while work.step():
            pass
        for sensor_id in state.accumulation.uncommitted(due=False):
            state.accumulation.commit(sensor_id)

    def run_with(self, *injections: str, run: Callable[[], None] | None = None) -> int:
        """Run in a forked process under strace; return its exit code, negative for a signal."""
        names = ",".join(injection.split(":")[0] for injection in injections)
        options = [f"--inject={injection}" for injection in injections]
        return self.traced(f"--trace={names}", *options, run=run)

    def traced(self, *options: str, run: Callable[[], None] | None = None) -> int:
        """Run in a forked process under strace with options; return as `run_with`.

        The fork saves the time to start Python, and strace is attached before anything is done.
        """
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            _end_with(run or self.run)
        os.waitpid(child, os.WUNTRACED)
        with (self.folder / "strace").open("wb") as said:
            tracer = subprocess.Popen(
                ["strace", "-f", "-qq", *options, "-p", str(child)], stderr=said
            )
            _wait_traced(child, tracer, self.folder / "strace")
            os.kill(child, signal.SIGCONT)
            _, status = os.waitpid(child, 0)
            tracer.wait()
        return os.waitstatus_to_exitcode(status)

    def restarted(self) -> None:
        """Run once more, unbroken, and check that all is as it would be without the fault."""
        self.run()
        self.check()
        self.check_complete()

    def run_and_leave(self) -> None:
        """Run in a forked child, which ends with it."""
        _end_with(self.run)

    def retried(self) -> None:
        """Run once more after many kills: what died twice in the same decoding is asked for."""
        with contextlib.closing(open_database(self.state, create=True)) as db:
            Ledger(db).ask("retry", None, "2026-01-01T00:00:00Z")
        self.restarted()

    def check(self) -> None:
        """Check what must hold at any time: exact sums of the folded, copies whole."""
        check_exact(self.state, self.photos)
        for copy in self.copies():
            Image.open(copy).load()

    def check_complete(self) -> None:
        assert set(self.statistics()) == {"folded"}
        assert len(self.statistics()) == len(self.photos)
        assert sorted(p.name for p in self.copies()) == sorted(self.photos)
        assert not self.temporaries()
        with contextlib.closing(open_database(self.state)) as db:
            ledger = Ledger(db)
            for row in ledger.photos():
                assert (row.copy, row.generation is None) == ("written", False), row
            kept = {row[0] for row in db.execute("SELECT file FROM generations")}
        files = {f.name for f in (self.state / "moments").iterdir() if f.suffix != ".damaged"}
        assert files == kept

    def copies(self) -> list[Path]:
        if not self.repaired.exists():
            return []
        return [p for p in self.repaired.rglob("*") if p.is_file() and not TEMPORARY.match(p.name)]

    def temporaries(self) -> list[Path]:
        return [p for p in self.folder.rglob(".*") if TEMPORARY.match(p.name)]

    def statistics(self) -> list[str]:
        with contextlib.closing(open_database(self.state)) as db:
            return [row.statistics for row in Ledger(db).photos()]

    def again(self) -> None:
        """Throw state and copies away."""
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.rmtree(self.repaired, ignore_errors=True)


def check_exact(state: Path, known: dict[str, bytes]) -> None:
    """Check that the newest sums of each epoch are those of exactly the photos called folded."""
    frames = dict(digest_and_frame(data) for data in known.values())
    state.mkdir(exist_ok=True)
    with contextlib.closing(open_database(state, create=True)) as db:
        newest = db.execute(
            "SELECT epoch, max(generation) AS generation, file FROM generations GROUP BY epoch"
        ).fetchall()
        folded = db.execute(
            "SELECT epoch, generation, digest FROM photos WHERE statistics = 'folded'"
        ).fetchall()
    assert len({bytes(row["digest"]) for row in folded}) == len(folded)
    for g in newest:
        held = [bytes(row["digest"]) for row in folded if row["epoch"] == g["epoch"]]
        found = read_generation(state / "moments" / g["file"], lambda: None)
        wanted = Moments.empty(found.shape, found.depth_bits)
        for digest in held:
            wanted.fold([frames[digest]])
        assert found.count == len(held)
        assert {n: a.tobytes() for n, a in found.arrays().items()} == {
            n: a.tobytes() for n, a in wanted.arrays().items()
        }


def sweep(
    rig: Rig,
    syscalls: Sequence[str],
    injection: str,
    *,
    every: int,
    after: Callable[[int, str], None],
    lasting: int = 1,
) -> int:
    """Inject a fault at each (or each ``every``-th) call until a run gets through; return how many.

    ``after`` is called after each run with its exit code and the fault. With ``lasting``, so many
    calls in a row fail.
    """
    hit = 0
    for syscall in syscalls:
        at = 1
        while True:
            rig.again()
            fault = f"{syscall}:{injection}:when={at}..{at + lasting - 1}"
            code = rig.run_with(fault)
            said = (rig.folder / "strace").read_text(errors="replace")
            if code != KILLED and "(INJECTED)" not in said:
                assert code == 0, fault
                break
            hit += 1
            after(code, fault)
            at += every
    print(f"{hit} places of {injection}")
    return hit


def _end_with(run: Callable[[], None]) -> None:
    """Run in a forked child and leave it at once, past the test runner's own clean-up."""
    logging.disable(logging.CRITICAL)
    code = 0
    try:
        run()
    except BaseException:  # noqa: BLE001 (whatever it is, it must not reach the test runner)
        traceback.print_exc(file=sys.__stderr__)
        code = FAILED
    finally:
        os._exit(code)


def _wait_traced(child: int, tracer: "subprocess.Popen[bytes]", said: Path) -> None:
    """Wait until strace has attached, or say loudly that it may not."""
    status = Path(f"/proc/{child}/status")
    while f"TracerPid:\t{tracer.pid}" not in status.read_text():
        if tracer.poll() is not None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            assert "ptrace" in said.read_text(), said.read_text()
            pytest.skip("NOT TESTED: strace may not trace here")


def needs(program: str) -> pytest.MarkDecorator:
    """Skip loudly where a fault tool is missing."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"NOT TESTED: no {program}")
