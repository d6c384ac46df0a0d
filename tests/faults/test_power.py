"""The power fails at any write, sync, rename or unlink: what is left is a committed generation.

`disk` says what the model of the disk is, and its limits.
"""

import contextlib
import hashlib
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from disk import CALLS, Call, Disk, File, read_calls
from rig import Rig, needs

from hotpixeld.edge.atomic import TEMPORARY
from hotpixeld.edge.database import open_database
from hotpixeld.edge.ledger import Ledger
from hotpixeld.service.decoding import Decoded
from hotpixeld.service.handling import Outcome
from hotpixeld.service.state import State

FOLDERS = ("state", "repaired")


@dataclass
class Recorded(Rig):
    """Two runs, the second with more photos, all of whose calls are recorded.

    The runs say in a file what they have promised: photos that are taken, and how many are folded.
    """

    calls: list[Call] = field(default_factory=list)
    said: BinaryIO | None = None
    tried: set[bytes] = field(default_factory=set)

    def record(self) -> None:
        log = self.folder / "calls"
        options = ("-y", "-xx", "-s", "10000000", "-o", str(log), f"--trace={','.join(CALLS)}")
        assert self.traced(*options, run=self.run_twice) == 0
        self.check_complete()
        self.calls = list(read_calls(log))
        log.unlink()

    def run_twice(self) -> None:
        late = sorted(self.photos)[len(self.photos) // 2 :]
        with (self.folder / "said").open("wb", buffering=0) as self.said:
            for name in late:
                (self.imports / name).rename(self.folder / name)
            self.run()
            for name in late:
                (self.folder / name).rename(self.imports / name)
            self.run()

    def serve(self, state: State) -> None:
        handle, commit = state.handling.handle, state.accumulation.commit

        def handled(
            path: Path, data: bytes, identity: str, decoded: Decoded | None = None
        ) -> Outcome:
            outcome = handle(path, data, identity, decoded)
            self.promise(f"taken {path.name}")
            return outcome

        def committed(sensor_id: int) -> Any:  # noqa: ANN401 (handed on)
            checkpoint = commit(sensor_id)
            self.promise(f"folded {state.ledger.count(sensor_id, 'folded')}")
            return checkpoint

        state.handling.handle = handled  # type: ignore[method-assign]
        state.accumulation.commit = committed  # type: ignore[method-assign]
        super().serve(state)

    def promise(self, what: str) -> None:
        if self.said is not None:
            self.said.write(f"{what}\n".encode())

    def changes(self) -> Iterator[tuple[int, Disk, list[str]]]:
        """Yield the disk and what was promised, after each call that changed or synced it."""
        disk, promised = Disk(self.folder, FOLDERS), list[str]()
        for number, call in enumerate(self.calls):
            first = call.arguments[0]
            if call.name == "write" and first.path == self.folder / "said":
                promised.append(call.arguments[1].decode().strip())
            else:
                disk.do(call)
            if call.name not in ("lseek", "openat") or "O_CREAT" in str(call.arguments):
                yield number, disk, promised

    def fail_power(self, disk: Disk, promised: list[str], kept: random.Random | None) -> None:
        """Check what stands there after a power loss, and that a new start makes all of it well.

        The originals of photos that were taken are gone by then. What stood there so before was
        tried before: most calls change nothing that lasts.
        """
        survivors = disk.survives(kept)
        state = repr(([(path, data) for path, _, data in survivors], promised))
        key = hashlib.sha256(state.encode()).digest()
        if key in self.tried:
            return
        self.tried.add(key)
        self.again()
        for path, node, data in survivors:
            if data is None:
                path.mkdir()
                continue
            path.write_bytes(data)
            if path.parent.name in ("repaired", "moments", "spool"):
                assert isinstance(node, File)
                assert data == node.data or TEMPORARY.fullmatch(path.name), path
        taken = [words.split()[1] for words in promised if words.startswith("taken")]
        folded = [int(words.split()[1]) for words in promised if words.startswith("folded")]
        self.said = None
        with self.gone(taken):
            self.check()
            with contextlib.closing(open_database(self.state)) as db:
                rows = list(Ledger(db).photos())
            assert {row.path.name for row in rows} >= set(taken)
            assert sum(row.statistics == "folded" for row in rows) >= max(folded, default=0)
            self.restarted()

    @contextlib.contextmanager
    def gone(self, names: list[str]) -> Iterator[None]:
        """Let originals be elsewhere for the length of the block."""
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        for name in names:
            (self.imports / name).rename(elsewhere / name)
        yield
        for name in names:
            (elsewhere / name).rename(self.imports / name)
        shutil.rmtree(elsewhere)


def fail_power_at_each(folder: Path, *, times: int | None, draws: int, window: int = 1000) -> int:
    """Let the power fail at so many points, or at each, and each time with some of the unsynced."""
    rig = Recorded(folder, count=6 if window > 10 else 12, window=window)
    rig.record()
    points = [number for number, _, _ in rig.changes()]
    generator = random.Random(len(points))
    chosen = set(points if times is None else points[:: -(-len(points) // times)])
    for number, disk, promised in rig.changes():
        if number in chosen:
            rig.fail_power(disk, promised, None)
            for _ in range(draws):
                rig.fail_power(disk, promised, generator)
    print(f"{len(chosen)} points, {len(rig.tried)} different disks")
    return len(chosen)


@needs("strace")
def test_a_power_loss_leaves_a_committed_generation(memory_folder: Path) -> None:
    assert fail_power_at_each(memory_folder, times=25, draws=1) > 20


@pytest.mark.soak
@pytest.mark.timeout(7200)
@needs("strace")
@pytest.mark.parametrize("window", [1000, 10])
def test_a_power_loss_at_any_call_leaves_a_committed_generation(
    memory_folder: Path, window: int
) -> None:
    assert fail_power_at_each(memory_folder, times=None, draws=3, window=window) > 300
