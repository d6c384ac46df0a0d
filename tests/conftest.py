"""What holds for every test."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import hotpixeld  # noqa: F401 (before numpy: it sets the number of BLAS threads)

# A busy machine is slow, not wrong: how long an example takes is no finding.
settings.register_profile("hotpixeld", deadline=None)
settings.load_profile("hotpixeld")


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A folder where a sync costs nothing, if there is such a place."""
    from rig import memory  # noqa: PLC0415 (it imports numpy)

    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        yield Path(folder)
