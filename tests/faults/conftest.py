"""What all fault tests share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import memory


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A folder where a sync costs nothing, if there is such a place."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        yield Path(folder)
