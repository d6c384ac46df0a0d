"""The compiled kernel against numpy, to the bit; and under a sanitizer."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotpixeld.core import kernel
from hotpixeld.core.jpeg.blocks import coding_of, read_blocks
from hotpixeld.core.jpeg.markers import read_layout
from hotpixeld.core.jpeg.scan import Interval, intervals, stuffed
from hotpixeld.core.jpeg.splice import Replacement, same_bits, spliced
from hotpixeld.core.jpeg.unsupported import JpegUnsupported
from hotpixeld.core.jpeg.walk import walk
from hotpixeld.core.moments import Moments
from hotpixeld.core.residual import residual_at
from hotpixeld.core.similarity import signature
from jpegmaker import encoded, header_of, scene
from kernels import built

ROOT = Path(__file__).parents[2]
SOURCES = sorted(str(path) for path in (ROOT / "kernel").glob("*.c"))
FUZZ = Path(__file__).parent / "kernel_fuzz.py"

compiler = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="NO gcc: THE KERNEL IS NOT FUZZED UNDER A SANITIZER"
)

Frame = npt.NDArray[Any]
_MARKER_SHARES = [0.3, 0.48, 0.1, 0.05, 0.03, 0.03, 0.01]


def frames_of(
    shape: tuple[int, int, int], dtype: npt.DTypeLike, count: int, padding: int, seed: int
) -> list[Frame]:
    """Return frames of noise, black, white and slopes; with padding they are views, as Pillow's."""
    generator = np.random.default_rng(seed)
    height, width, channels = shape
    most = int(np.iinfo(np.dtype(dtype)).max)
    frames = []
    for _ in range(count):
        whole = generator.integers(0, most + 1, (height, width, channels + padding), dtype=dtype)
        whole[: height // 4] = 0
        whole[height // 4 : height // 3] = most
        whole[height // 2 :] //= int(generator.integers(1, 40))
        frames.append(whole[..., :channels])
    return frames


@built
@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 60) | st.sampled_from([1023, 1024, 1025, 2047, 2048, 2049, 2060]),
    channels=st.integers(1, 4),
    deep=st.booleans(),
    few=st.booleans(),
    count=st.integers(1, 9),
    padding=st.integers(0, 2),
    seed=st.integers(0, 2**32),
)
def test_compiled_and_numpy_moments_are_the_same_bits(
    *,
    height: int,
    width: int,
    channels: int,
    deep: bool,
    few: bool,
    count: int,
    padding: int,
    seed: int,
) -> None:
    shape, dtype = (height, width, channels), np.uint16 if deep else np.uint8
    frames = frames_of(shape, dtype, count, padding, seed)
    arrays, sites = [], np.array([[0, 0], [height - 1, width - 1], [height // 2, width // 2]])
    for each in (kernel.COMPILED, None):
        with kernel.using(each):
            moments = Moments.empty(shape, 16 if deep else 8, few=few)
            moments.fold(frames)
            assert moments.residual.itemsize == (2 if few and not deep else 4)
            at_sites = residual_at(frames[0], sites)
            arrays.append(
                {
                    **moments.arrays(),
                    "at_sites": at_sites,
                    "signature": np.frombuffer(signature(frames[0]), np.int8),
                }
            )
    for name, array in arrays[0].items():
        assert np.array_equal(array, arrays[1][name]), name
        assert array.dtype == arrays[1][name].dtype


@built
def test_more_frames_than_one_call_takes_and_odd_layouts_are_the_same_bits() -> None:
    frames = frames_of((20, 30, 3), np.uint8, 70, 0, 5)
    odd = [frame[::-1, ::-1].copy()[::-1, ::-1] for frame in frames]
    one, other, numpys = (Moments.empty((20, 30, 3), 8) for _ in range(3))
    one.fold(frames)
    other.fold(odd)
    with kernel.using(None):
        numpys.fold(frames)
    for name, array in numpys.arrays().items():
        assert np.array_equal(array, one.arrays()[name])
        assert np.array_equal(array, other.arrays()[name])


def by_both(function: Callable[[], object]) -> tuple[object, object]:
    """Return what the kernel and numpy give, or why they refuse."""
    found: list[object] = []
    for each in (kernel.COMPILED, None):
        with kernel.using(each):
            try:
                found.append(function())
            except JpegUnsupported as refusal:
                found.append((refusal.reason, refusal.detail))
    return found[0], found[1]


@built
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("quality", [55, 85, 99])
def test_compiled_and_numpy_walks_are_the_same(mode: str, quality: int) -> None:
    data = encoded(scene(mode, 440, 300), quality=quality, restart_marker_rows=quality % 2)
    header = header_of(data)
    coding = coding_of(header)
    generator = np.random.default_rng(quality)
    for interval in intervals(data, header)[:4]:
        stream = interval.unstuffed(data)
        spoilt = stream.copy()
        spoilt[generator.integers(0, len(stream), 3)] = generator.integers(0, 256, 3)
        wanted = np.unique(generator.integers(0, interval.mcus, 9))

        def walked(scan: npt.NDArray[np.uint8]) -> object:
            try:
                places = walk(scan, coding, interval.mcus, wanted)  # noqa: B023  called at once
            except JpegUnsupported as refusal:  # what it says of the place may differ
                return refusal.reason
            return places.starts.tolist(), places.values.tolist(), places.end

        for scan in (stream, stream[: len(stream) // 2], stream[:3], stream[:0], spoilt):
            one, other = by_both(lambda: walked(scan))  # noqa: B023  as above
            assert one == other


@built
@pytest.mark.parametrize("quality", [55, 85, 99])
def test_compiled_and_numpy_read_the_same_blocks_wherever_they_begin(quality: int) -> None:
    data = encoded(scene("RGB", 440, 300), quality=quality)
    header = header_of(data)
    coding = coding_of(header)
    generator = np.random.default_rng(quality)
    (interval,) = intervals(data, header)
    stream = interval.unstuffed(data)
    at = generator.integers(0, 8 * len(stream) + 1, 400)
    kinds = generator.integers(0, len(coding.dc), 400)
    read = 0
    for some in (slice(n, n + 1 + n % 3) for n in range(390)):

        def blocks() -> object:
            try:
                found = read_blocks(stream, at[some], kinds[some], coding)  # noqa: B023  at once
            except JpegUnsupported as refusal:
                return refusal.reason
            return [part.tolist() for part in found]

        one, other = by_both(blocks)
        assert one == other
        read += isinstance(one, list)
    assert read > 50


@built
def test_compiled_and_numpy_find_the_same_marker() -> None:
    generator = np.random.default_rng(4)
    for _ in range(300):
        length = int(generator.integers(1, 60))
        scan = generator.choice([0, 1, 0xFF, 0xFF, 0xD0, 0xD7, 0xD8], length, p=_MARKER_SHARES)
        data = b"\xff\xd8\xff\xda\0\2" + scan.astype(np.uint8).tobytes()
        data += b"\xff\xd9" * (length % 2)
        one, other = by_both(lambda: read_layout(data))  # noqa: B023  called at once
        assert one == other


@built
@pytest.mark.parametrize("lead", range(8))
def test_compiled_and_numpy_splices_are_the_same(lead: int) -> None:
    generator = np.random.default_rng(lead)
    for length in (1, 2, 9, 11, 12, 40, 3000):
        stream = generator.choice(np.array([0, 1, 254, 255, 255], np.uint8), length)
        ends = np.unique(generator.integers(lead % (8 * length), 8 * length + 1, 8)).tolist()
        replacements = [
            Replacement(start, end, generator.integers(0, 256, 9).astype(np.uint8), lead * 9)
            for start, end in zip(ends[::2], ends[1::2], strict=False)
        ]
        spliced_bytes, same = [], []
        for each in (kernel.COMPILED, None):
            with kernel.using(each):
                spliced_bytes.append(spliced(stream, replacements, ends[-1]).tobytes())
                scan = b"\1" + stuffed(stream).tobytes() + b"\2"
                interval = Interval(1, len(scan) - 1, 0, 1, 0)
                assert np.array_equal(interval.unstuffed(scan), stream)
                for spoilt in (b"\1\xff\1" + scan[3:], scan[:-2] + b"\xff\2"):
                    with pytest.raises(JpegUnsupported):
                        Interval(1, len(spoilt) - 1, 0, 1, 0).unstuffed(spoilt)
                other = stream.copy()
                other[-1] ^= 1
                run = 8 * length - lead
                same.append(
                    [
                        same_bits(stream, lead, np.roll(stream, 1), lead + 8, max(run - 8, 0)),
                        same_bits(stream, lead, stream.copy(), lead, run),
                        same_bits(stream, lead, other, lead, run),
                        same_bits(stream, lead, other, lead, run - 1),
                        same_bits(stream, lead, stream, lead, run + 1),
                    ]
                )
        assert spliced_bytes[0] == spliced_bytes[1]
        assert same[0] == same[1] == [True, True, False, True, False]


@built
def test_what_does_not_fit_is_refused_and_nothing_is_changed() -> None:
    compiled = kernel.COMPILED
    assert compiled is not None
    (frame,) = frames_of((6, 7, 3), np.uint8, 1, 0, 1)
    sums, squares = np.zeros((6, 7, 3), np.uint32), np.zeros((6, 7, 3), np.uint32)
    residual = np.zeros((6, 7, 3), np.int32)
    cases: list[tuple[list[Frame], int, int]] = [
        ([], 0, 6),
        ([frame] * 65, 0, 6),
        ([frame], -1, 6),
        ([frame], 0, 7),
        ([frame], 4, 3),
        ([frame[:, :, ::-1]], 0, 6),
        ([frame[::-1]], 0, 6),
        ([frame[:5]], 0, 5),
        ([frame, frame[:, :6]], 0, 6),
        ([frame.astype(np.int8)], 0, 6),
    ]
    for frames, top, bottom in cases:
        with pytest.raises(ValueError, match=r"frame|rows|sums"):
            compiled.fold(frames, sums, squares, residual, top, bottom)
    with pytest.raises(ValueError, match="sums"):
        compiled.fold([frame], sums, squares.astype(np.uint64), residual, 0, 6)
    with pytest.raises(ValueError, match="sums"):
        compiled.fold([frame], sums, squares, residual[:5], 0, 5)
    read_only = squares.copy()
    read_only.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        compiled.fold([frame], sums, read_only, residual, 0, 6)
    assert not sums.any()
    assert not squares.any()
    assert not residual.any()


def test_without_a_compiler_the_build_works_and_makes_no_kernel(tmp_path: Path) -> None:
    for name in ("setup.py", "pyproject.toml", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "README.md").touch()
    shutil.copytree(ROOT / "kernel", tmp_path / "kernel")
    shutil.copytree(ROOT / "daemon", tmp_path / "daemon", ignore=shutil.ignore_patterns("*.so"))
    command = [sys.executable, "-W", "ignore", "setup.py", "-q", "build", "--build-base", "built"]
    environment = os.environ | {"CC": "/nonexistent/cc", "LDSHARED": "/nonexistent/cc"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert list((tmp_path / "built").rglob("walk.py"))
    assert not list((tmp_path / "built").rglob("_kernel*.so"))


@compiler
@pytest.mark.parametrize("rounds", [150, pytest.param(20_000, marks=pytest.mark.soak)])
def test_the_kernel_reads_and_writes_only_what_it_was_given(tmp_path: Path, rounds: int) -> None:
    library = tmp_path / "_kernel.so"
    include = sysconfig.get_paths()["include"]
    sanitize = "-fsanitize=address,undefined"
    options = "-g -O1 -std=c11 -Wall -Wextra -Werror -shared -fPIC -fno-sanitize-recover=all"
    subprocess.run(
        ["gcc", *options.split(), sanitize, f"-I{include}", *SOURCES, "-o", str(library)],
        check=True,
    )
    libraries = [
        subprocess.run(
            ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    done = subprocess.run(
        [sys.executable, str(FUZZ), str(library), "7", str(rounds)],
        env=os.environ
        | {
            "LD_PRELOAD": ":".join(libraries),
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0",
            "PYTHONMALLOC": "malloc",
            "OPENBLAS_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    accepted, _, calls = done.stdout.split()[:3]
    assert int(calls) // 2 < int(accepted) < int(calls)
