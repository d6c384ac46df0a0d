"""Photos arrive, change, go and come again, the process dies anywhere: nothing counts twice."""

import contextlib
import itertools
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from rig import Rig, digest_and_frame, memory, photos

from hotpixeld.edge.database import open_database
from hotpixeld.edge.ledger import Ledger

POOL = 8
NAMES = st.sampled_from(
    ["a.png", "b.png", "c.png", "sub/a.png", "sub/\n\x1b[31m.png", "d\udcff.png"]
)
PHOTO = st.integers(0, POOL - 1)


class ImportFolder(RuleBasedStateMachine):
    """An import folder, and a daemon that runs over it now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=memory()))
        self.rig = Rig(self.folder, count=0)
        self.rig.photos = photos(POOL)
        self.contents = list(self.rig.photos.values())
        self.there: dict[str, int | None] = {}  # None: a photo that is not whole
        self.handled: set[int] = set()
        self.has_run = False

    def teardown(self) -> None:
        try:
            if self.has_run:
                self.run()
        finally:
            shutil.rmtree(self.folder)

    @rule(name=NAMES, photo=PHOTO)
    def arrive_or_replace(self, name: str, photo: int) -> None:
        path = self.rig.imports / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(self.contents[photo])
        self.there[name] = photo

    @rule(photo=PHOTO)
    def arrive_under_every_name(self, photo: int) -> None:
        for name in ("x.png", "y.png", "z.png"):
            self.arrive_or_replace(name, photo)

    @rule()
    def arrive_all(self) -> None:
        for photo in range(POOL):
            self.arrive_or_replace(f"all{photo}.png", photo)

    @rule(name=NAMES, new=NAMES)
    def rename(self, name: str, new: str) -> None:
        if name in self.there and new != name:
            (self.rig.imports / new).parent.mkdir(exist_ok=True)
            (self.rig.imports / name).rename(self.rig.imports / new)
            self.there[new] = self.there.pop(name)

    @rule(name=NAMES, share=st.floats(0, 0.99))
    def truncate(self, name: str, share: float) -> None:
        if name in self.there:
            path = self.rig.imports / name
            os.truncate(path, int(path.stat().st_size * share))
            self.there[name] = None

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.there:
            (self.rig.imports / name).unlink()
            del self.there[name]

    @rule(name=NAMES)
    def bring_a_copy_back(self, name: str) -> None:
        copies = self.rig.copies()
        if copies:
            path = self.rig.imports / name
            path.parent.mkdir(exist_ok=True)
            shutil.copy(min(copies), path)
            self.there[name] = None

    @rule()
    def run(self) -> None:
        self.rig.run()
        self.has_run = True
        self.handled |= {photo for photo in self.there.values() if photo is not None}
        states = self.rig.statistics()
        counted = [s for s in states if s in ("folded", "waiting")]
        assert len(counted) == len(self.handled)
        assert len(self.handled) < 3 or "waiting" not in states
        assert not {"pending", "lost"} & set(states)
        assert not self.rig.temporaries()

    @rule(step=st.integers(1, 60))
    def crash(self, step: int) -> None:
        """Let a run end as by SIGKILL at the ``step``-th sync, rename or unlink of ours."""
        child = os.fork()
        if child == 0:
            left = itertools.count(step, -1)

            def ending(real: Callable[..., Any]) -> Callable[..., Any]:
                def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 (handed on)
                    if not next(left):
                        os._exit(0)
                    return real(*arguments, **options)

                return call

            for name in ("fsync", "replace", "unlink", "open"):
                setattr(os, name, ending(getattr(os, name)))
            self.rig.run_and_leave()
        os.waitpid(child, 0)
        self.has_run = True
        # what the ledger has counts from now on, even if it leaves the import folder at once
        with contextlib.closing(open_database(self.rig.state, create=True)) as db:
            counted = {
                row.digest for row in Ledger(db).photos(states=("waiting", "pending", "folded"))
            }
        self.handled |= {
            photo
            for photo, data in enumerate(self.contents)
            if digest_and_frame(data)[0] in counted
        }

    @invariant()
    def sums_are_exact_and_copies_whole(self) -> None:
        if self.has_run:
            self.rig.check()


@pytest.mark.parametrize(
    "examples", [10, pytest.param(500, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])]
)
def test_whatever_happens_in_the_import_folder_each_photo_counts_once(examples: int) -> None:
    random.seed(examples)
    run_state_machine_as_test(
        ImportFolder,
        settings=settings(
            max_examples=examples,
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
