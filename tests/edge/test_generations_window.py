"""A window of a generation's file is the same part of the whole, wherever the bands end."""

from pathlib import Path

import numpy as np
import pytest

from hotpixeld.core.moments import Moments
from hotpixeld.edge.generations import read_generation, read_window, write_generation
from hotpixeld.errors import StateError


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file whose arrays are larger than a band of 4 MiB."""
    moments = Moments.empty((640, 720, 3), 8)
    rng = np.random.default_rng(3)
    moments.fold([rng.integers(0, 256, (640, 720, 3)).astype(np.uint8) for _ in range(3)])
    path = tmp_path_factory.mktemp("moments") / "one.moments"
    write_generation(path, moments, lambda: None)
    return path


@pytest.mark.parametrize("top", [0, 300, 470, 607])
@pytest.mark.parametrize("left", [0, 350, 687])
def test_a_window_holds_what_the_whole_holds_there(file: Path, top: int, left: int) -> None:
    rows, columns = slice(top, top + 33), slice(left, left + 33)
    window, whole = read_window(file, rows, columns), read_generation(file, lambda: None)
    assert window.count == whole.count == 3
    for name, array in whole.arrays().items():
        assert np.array_equal(window.arrays()[name], array[rows, columns])


def test_a_file_that_was_cut_short_has_no_window(file: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.moments"
    cut.write_bytes(file.read_bytes()[:1_000_000])
    before = cut.read_bytes()
    with pytest.raises(StateError):
        read_window(cut, slice(600, 633), slice(0, 33))
    assert cut.read_bytes() == before
