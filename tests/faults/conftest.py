"""What all fault tests share."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")  # noqa: S108 (a fresh folder below it)


@pytest.fixture
def memory_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder where a sync costs nothing, for sweeps over many runs."""
    if not os.access(_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        yield Path(folder)
