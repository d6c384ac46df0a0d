"""Feeds a kernel built with a sanitizer what it should take and what it should refuse.

Run by `test_kernel.py` in a process of its own, which the sanitizer ends at the first fault:
``python kernel_fuzz.py MODULE SEED ROUNDS``.
"""

import contextlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_DTYPES = ("uint8", "uint16", "uint32", "uint64", "int16", "int32", "float32")


def main(file: str, seed: int, rounds: int) -> None:
    """Call every function so often, with values that mostly fit and sometimes do not."""
    kernel, generator = _loaded(file), np.random.default_rng(seed)
    accepted = 0
    for _ in range(rounds):
        for call in CALLS:
            with contextlib.suppress(ValueError, TypeError, BufferError):
                call(kernel, generator)
                accepted += 1
    sys.stdout.write(f"{accepted} of {len(CALLS) * rounds} calls accepted\n")


def _loaded(file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("_kernel", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _rarely(generator: np.random.Generator) -> bool:
    return bool(generator.random() < 0.04)


def _shape(generator: np.random.Generator) -> tuple[int, int, int]:
    width = generator.choice([1, 2, 3, 7, 40, 1023, 1025, 2047, 2049])
    return int(generator.integers(1, 30)), int(width), int(generator.integers(1, 5))


def _frames(generator: np.random.Generator, shape: tuple[int, int, int]) -> list[Array]:
    dtype = np.dtype(str(generator.choice(_DTYPES[:2])))
    frames = []
    for _ in range(int(generator.integers(1, 6))):
        height, width, channels = shape if not _rarely(generator) else _shape(generator)
        padding = int(generator.integers(0, 3))
        kept = dtype if not _rarely(generator) else np.dtype(str(generator.choice(_DTYPES)))
        size = height * width * (channels + padding) * kept.itemsize
        # what is padding after the last pixel is not there: a read beyond it is a fault
        raw = np.frombuffer(generator.bytes(size - padding * kept.itemsize), np.uint8).copy()
        pixel = (channels + padding) * kept.itemsize
        strides = (width * pixel, pixel, kept.itemsize)
        frames.append(np.ndarray((height, width, channels), kept, raw.data, strides=strides))
    return frames


def _sums(generator: np.random.Generator, shape: tuple[int, int, int], dtype: type) -> Array:
    kept = np.dtype(dtype if not _rarely(generator) else str(generator.choice(_DTYPES)))
    return np.zeros(shape if not _rarely(generator) else _shape(generator), kept)


def _rows(generator: np.random.Generator, height: int) -> tuple[int, int]:
    if _rarely(generator):
        return int(generator.integers(-5, 40)), int(generator.integers(-5, 40))
    top = int(generator.integers(0, height))
    return top, int(generator.integers(top, height + 1))


def _fold(kernel: ModuleType, generator: np.random.Generator) -> None:
    shape = _shape(generator)
    frames = _frames(generator, shape)
    wide = np.uint32 if frames[0].dtype == np.uint8 else np.uint64
    narrow = np.uint16 if generator.random() < 0.5 and wide is np.uint32 else np.uint32
    sums, squares = _sums(generator, shape, narrow), _sums(generator, shape, wide)
    residual = _sums(generator, shape, np.int32 if generator.random() < 0.5 else np.int16)
    third = None if generator.random() < 0.3 else residual
    kernel.fold(frames, sums, squares, third, *_rows(generator, shape[0]))


def _residuals(kernel: ModuleType, generator: np.random.Generator) -> None:
    shape = _shape(generator)
    total = _sums(generator, shape, np.int32 if generator.random() < 0.5 else np.int16)
    kernel.add_residuals(_frames(generator, shape), total, *_rows(generator, shape[0]))


def _sites(kernel: ModuleType, generator: np.random.Generator) -> None:
    shape, count = _shape(generator), int(generator.integers(0, 5))
    sites = generator.integers(0, [shape[:2]] * count or 1, (count, 2)).astype(np.int64)
    if count and _rarely(generator):
        sites[0] = generator.integers(-4, 50, 2)
    out = np.zeros((count + _rarely(generator), shape[2]), np.int32)
    kernel.residual_at(_frames(generator, shape)[:1], sites, out)


def _greys(kernel: ModuleType, generator: np.random.Generator) -> None:
    shape = _shape(generator)
    top, bottom = _rows(generator, shape[0])
    out = np.zeros(shape[1] + _rarely(generator), np.uint32)
    (frame, *_) = _frames(generator, shape)
    step = int(generator.integers(1 - _rarely(generator), 40))
    kernel.grey_sums(frame, out, top, bottom, step if generator.random() < 0.9 else 2**62)


def _walk(kernel: ModuleType, generator: np.random.Generator) -> None:
    blocks, count = int(generator.integers(1, 7)), int(generator.integers(1, 4))
    length = 65_536 * count + (_rarely(generator) and int(generator.integers(-99, 99)))
    tables = generator.integers(0, 65_536, length).astype(np.uint16)
    if generator.random() < 0.7:  # else nothing that a Huffman table would say
        symbol = generator.choice([0, 1, 1, 2, 3, 0x11, 0x52, 0xF0, 0xF1, 9], length)
        tables = (symbol | generator.integers(1, 9, length) << 8).astype(np.uint16)
    dc, ac = (bytes(generator.integers(0, count, blocks).tolist()) for _ in range(2))
    owners = bytes(generator.integers(0, 4 + _rarely(generator), blocks).tolist())
    if _rarely(generator):
        dc = generator.bytes(int(generator.integers(0, 70)))
    stream = np.frombuffer(generator.bytes(int(generator.integers(0, 300))), np.uint8)
    mcus = int(generator.integers(1, 60)) - 2 * _rarely(generator)
    wanted = np.unique(generator.integers(-_rarely(generator), max(mcus, 1), 5)).astype(np.int64)
    starts = np.zeros((len(wanted) + _rarely(generator), blocks + 1), np.int64)
    values = np.zeros((len(wanted), blocks), np.int64)
    kernel.walk(stream, tables, dc, ac, owners, mcus, wanted, starts, values)
    positions = generator.integers(-_rarely(generator), 8 * len(stream) + 1, len(dc))
    room = (np.zeros((len(dc), each), np.int64) for each in (64 - _rarely(generator), 1, 1))
    kernel.read_blocks(stream, tables, dc, ac, positions, *room)


def _bits(kernel: ModuleType, generator: np.random.Generator) -> None:
    one, other = (
        generator.choice(np.array([0, 7, 255], np.uint8), int(generator.integers(0, 90)))
        for _ in range(2)
    )
    one_at, other_at = (int(generator.integers(0, 8 * len(each) + 1)) for each in (one, other))
    most = min(8 * len(one) - one_at, 8 * len(other) - other_at)
    count = most if generator.random() < 0.5 else int(generator.integers(0, most + 1))
    if _rarely(generator):
        count, one_at = generator.integers(-9, 900, 2).tolist()
    kernel.same_bits(one, one_at, other, other_at, count)
    kernel.copy_bits(one, one_at, count, other.copy(), other_at)
    kernel.stuff(one, np.zeros(2 * len(one) - _rarely(generator), np.uint8))
    start, end = sorted(generator.integers(-_rarely(generator), len(one) + 1, 2).tolist())
    kernel.find_marker(one, int(generator.integers(-_rarely(generator), len(one) + 1)))
    kernel.unstuff(one, start, end + _rarely(generator), np.zeros(end - start, np.uint8))


def _any_array(generator: np.random.Generator, shape: tuple[int, ...], kind: type) -> Array:
    """Return an array of any bits, and now and then one that does not fit."""
    if _rarely(generator):
        kind = (np.int16, np.int32, np.uint64, np.float32)[int(generator.integers(0, 4))]
    if _rarely(generator):
        shape = tuple(int(generator.integers(0, length + 2)) for length in shape)
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    return np.frombuffer(generator.bytes(size), np.uint8).copy().view(kind).reshape(shape)


def _steadiness(kernel: ModuleType, generator: np.random.Generator) -> None:
    height, width, channels = _shape(generator)
    top, bottom = _rows(generator, height)
    kind: type = np.uint32 if generator.random() < 0.5 else np.uint64
    sums, squares = (_any_array(generator, (height, width, channels), kind) for _ in range(2))
    out = np.zeros((max(0, bottom - top), width, channels), np.int16)
    least = np.zeros(len(out) + _rarely(generator), np.uint64)
    table = np.zeros(3584 - _rarely(generator), np.int32)
    count = int(
        generator.choice([0, 1, 7, 300, 65_000, 2**30], p=[0.02, 0.2, 0.2, 0.26, 0.3, 0.02])
    )
    kernel.steadiness((sums, squares), (count, generator.random()), table, top, (out, least))


def _sums_over_blocks(kernel: ModuleType, generator: np.random.Generator) -> None:
    height, width, channels = _shape(generator)
    kind: type = np.int32 if generator.random() < 0.5 else np.int16
    values = _any_array(generator, (height, width, channels), kind)
    blocks = -(-height // 16), -(-width // 16), channels
    limits = _any_array(generator, (channels,), np.int32)
    kernel.block_sums(values, limits, _any_array(generator, blocks, np.int32))
    total, size = (np.zeros((16, 16, channels + _rarely(generator)), np.int64) for _ in range(2))
    kernel.phase_sums(values, _any_array(generator, blocks, np.float32), 9.0, total, size)


def _matched(kernel: ModuleType, generator: np.random.Generator) -> None:
    height, width, _ = _shape(generator)
    values = _any_array(generator, (height + 2, width, 3), np.int32)
    weights = _any_array(generator, (3, 9), np.float32)
    kernel.matched(values, weights, _any_array(generator, (height, width, 3), np.int16))


def _screen(kernel: ModuleType, generator: np.random.Generator) -> None:
    height, width, channels = _shape(generator)
    blocks = -(-height // 16), -(-width // 16), channels
    rooms = tuple(
        tuple(np.zeros(height * width * channels - _rarely(generator), kind) for kind in kinds)
        for kinds in ((np.int32, np.float32), (np.int32, np.float32))
    )
    kernel.screen(
        tuple(_any_array(generator, (height, width, channels), k) for k in (np.int32, np.int16)),
        tuple(_any_array(generator, blocks, np.float32) for _ in range(2)),
        _any_array(generator, (4, 16, 16, channels), np.float32),
        tuple(generator.normal(0, 3, 3).tolist()),
        rooms,
    )


CALLS = (
    _fold,
    _greys,
    _residuals,
    _sites,
    _walk,
    _bits,
    _steadiness,
    _sums_over_blocks,
    _screen,
    _matched,
)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
