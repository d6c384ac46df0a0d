"""Damaged and hostile files: a clear refusal or a right result, in bounded time and memory."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from hotpixeld.core.jpeg.markers import read_layout
from hotpixeld.core.jpeg.rewrite import repair_blocks
from hotpixeld.core.jpeg.unsupported import JpegUnsupported
from hotpixeld.core.patch import Patch
from jpegmaker import VARIANTS, coefficients, damaged, frame_of, header_of, spotless

FUZZED = [name for name in VARIANTS if name != "several chunks"]
ALLOWED_BYTES = 64 << 20  # such a small file must not ask for more


def outcome(data: bytes, patch: Patch) -> bytes | None:
    """Return the repaired file, or None where it was refused."""
    try:
        return repair_blocks(data, patch)
    except JpegUnsupported:
        return None
    except ValueError as error:  # the damage changed the size of the picture
        assert "the patch" in str(error)  # noqa: PT017  most cases raise nothing
        return None


def assert_right(data: bytes, repaired: bytes, patch: Patch) -> None:
    """Hold an accepted result against the file as an independent decoder reads both."""
    header = header_of(data)
    assert repaired[: header.scan_start] == data[: header.scan_start]
    high, wide = 8 * header.down, 8 * header.across
    mcus = {*zip((patch.rows // high).tolist(), (patch.columns // wide).tolist(), strict=True)}
    planes = zip(coefficients(data), coefficients(repaired), header.components, strict=False)
    for before, after, component in planes:
        for row, column in np.argwhere((before != after).any(axis=(2, 3))).tolist():
            assert (row // component.down, column // component.across) in mcus


def cases(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(seed)
    for number in range(count):
        variant = FUZZED[number % len(FUZZED)]
        yield variant, damaged(_file(variant), rng)


def _file(variant: str) -> bytes:
    if variant not in _FILES:
        _FILES[variant] = VARIANTS[variant]()
    return _FILES[variant]


_FILES: dict[str, bytes] = {}


def sweep(count: int, seed: int) -> tuple[int, int]:
    """Run the damaged files; return how many were repaired and how many refused."""
    patches = {variant: spotless(frame_of(_file(variant))) for variant in FUZZED}
    repaired = refused = 0
    for variant, data in cases(count, seed):
        result = outcome(data, patches[variant])
        if result is None:
            refused += 1
            continue
        repaired += 1
        if repaired % 10 == 0 and _readable(data):
            assert_right(data, result, patches[variant])
    return repaired, refused


def _readable(data: bytes) -> bool:
    """Tell whether the independent decoder reads the damaged file at all."""
    try:
        coefficients(data)
    except (OSError, RuntimeError, ValueError):
        return False
    return True


def test_damaged_files_are_refused_or_repaired_rightly() -> None:
    repaired, refused = sweep(450, seed=1)
    assert repaired > 50
    assert refused > 50


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_damaged_files_are_refused_or_repaired_rightly(seed: int) -> None:
    repaired, refused = sweep(1000, seed)
    assert repaired > 100
    assert refused > 100


@pytest.mark.parametrize("variant", ["4:2:0", "restart by blocks", "CMYK", "camera-like"])
def test_a_file_cut_anywhere_is_refused(variant: str) -> None:
    data = _file(variant)
    patch = spotless(frame_of(data))
    header = header_of(data)
    layout = read_layout(data)
    edges = [segment.start + shift for segment in layout.segments for shift in range(-5, 10)]
    lengths = {0, 1, 2, header.scan_start, header.scan_end, *edges, *range(0, header.scan_end, 97)}
    for length in sorted(length for length in lengths if 0 <= length <= header.scan_end):
        for take in (lambda cut: repair_blocks(cut, patch), read_layout):
            with pytest.raises(JpegUnsupported):
                take(data[:length])


def test_a_picture_that_claims_to_be_huge_costs_no_memory() -> None:
    data = bytearray(_file("4:2:0"))
    start = read_layout(bytes(data)).frame.start + 4
    data[start + 1 : start + 5] = b"\xff\xff\xff\xff"
    patch = Patch(np.array([3]), np.array([3]), np.zeros((1, 3), np.uint8))
    tracemalloc.start()
    try:
        with pytest.raises(JpegUnsupported) as refusal:
            repair_blocks(bytes(data), patch)
        assert tracemalloc.get_traced_memory()[1] < ALLOWED_BYTES
    finally:
        tracemalloc.stop()
    assert refusal.value.reason == "scan-damaged"


@pytest.mark.parametrize("filler", [b"\x00", b"\x55", b"\xaa", b"\xfe"])
def test_a_scan_of_one_byte_over_and_over_ends(filler: bytes) -> None:
    data = _file("4:2:0")
    header = header_of(data)
    start = read_layout(data).frame.start + 4
    big = bytearray(data[: header.scan_start] + filler * 200_000 + b"\xff\xd9")
    big[start + 1 : start + 5] = (2000).to_bytes(2, "big") * 2
    patch = Patch(np.array([3]), np.array([3]), np.zeros((1, 3), np.uint8))
    result = outcome(bytes(big), patch)
    assert result is None or len(result) >= len(big)
