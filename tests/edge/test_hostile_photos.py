"""Files cut, flipped, zeroed and spliced at random: refused with a reason, or a photo."""

import random
import resource
import subprocess
import sys
import textwrap
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

import hotpixeld
import pictures
from hotpixeld.core.patch import Patch
from hotpixeld.edge import giffile, jpegfile, pngfile, reasons, tiffpages
from hotpixeld.edge.encode import encode_copy
from hotpixeld.edge.photo import read_photo
from hotpixeld.errors import PhotoError

CASES = [
    ("JPEG", "RGB", {"exif": pictures.exif(), "icc_profile": b"profile" * 50}),
    ("JPEG", "RGB", {"progressive": True}),
    ("JPEG", "L", {"restart_marker_rows": 1}),
    ("MPO", "RGB", {"save_all": True, "append_images": [pictures.image("RGB", seed=2)]}),
    ("PNG", "RGBA", {"exif": pictures.exif(), "dpi": (72, 72)}),
    ("PNG", "P", {}),
    ("PNG", "I;16", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "I;16", {"exif": pictures.exif().tobytes()}),
    ("TIFF", "L", {"compression": "packbits"}),
    ("GIF", "P", {"comment": b"a word"}),
    ("WEBP", "RGB", {"quality": 80, "exif": pictures.exif()}),
    ("WEBP", "RGBA", {"lossless": True}),
]
MAX_PIXELS = 1_000_000
LONGEST_S = 5.0


def mutated(data: bytes, generator: random.Random) -> bytes:
    """Return the file with one to four faults of the kinds that disks, radios and enemies make."""
    changed = bytearray(data)
    for _ in range(generator.choice((1, 1, 2, 4))):
        start = generator.randrange(len(changed))
        length = generator.choice((1, 2, 4, 40, 400))
        match generator.randrange(6):
            case 0:
                del changed[start:]
            case 1:
                changed[start] ^= 1 << generator.randrange(8)
            case 2:
                changed[start : start + length] = bytes(len(changed[start : start + length]))
            case 3:
                changed[start : start + length] = generator.randbytes(length)
            case 4:
                del changed[start : start + length]
            case _:
                copied = changed[start : start + length]
                target = generator.randrange(len(changed))
                changed[target:target] = copied
        if not changed:
            break
    return bytes(changed)


def check_hostile(data: bytes) -> str:
    """Read a file, and repair it if it can be read; return what came of it."""
    began = time.monotonic()
    try:
        photo = read_photo(data, "photo.jpg", max_pixels=MAX_PIXELS)
        height, width, channels = photo.frame.shape
        assert height * width <= MAX_PIXELS
        assert (photo.sensor.height, photo.sensor.width) == (height, width)
        value = np.full((1, channels), 7, photo.frame.dtype)
        patch = Patch(np.array([height // 2]), np.array([width // 2]), value)
        encode_copy(photo, patch, jpeg="blocks", quality=97)
        outcome = "read"
    except PhotoError as error:
        assert error.reason in reasons.ALL  # noqa: PT017 - either outcome is right
        outcome = error.reason
    assert time.monotonic() - began < LONGEST_S
    return outcome


def sweep(seed: int, rounds: int) -> set[str]:
    generator = random.Random(seed)
    outcomes = set()
    for container, mode, options in CASES:
        data = pictures.encoded(pictures.image(mode), container, **options)  # type: ignore[arg-type]
        assert check_hostile(data) == "read"
        for _ in range(rounds):
            outcomes.add(check_hostile(mutated(data, generator)))
    return outcomes


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hostile_files_are_refused_or_read_and_nothing_else() -> None:
    outcomes = sweep(seed=11, rounds=40)
    assert {"read", reasons.DAMAGED, reasons.TRUNCATED} <= outcomes


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_ten_thousand_hostile_files() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sweep(seed=12, rounds=800)
    grown_bytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown_bytes < 200_000_000


def png_of_zeros(side: int) -> bytes:
    compressor = zlib.compressobj(1)
    row = bytes(1 + 3 * side)
    content = b"".join(compressor.compress(row) for _ in range(side)) + compressor.flush()
    return with_png_size(pictures.encoded(pictures.image("RGB"), "PNG"), side, content)


def with_png_size(data: bytes, side: int, content: bytes = b"") -> bytes:
    layout = pngfile.read_layout(data)
    parts = [pngfile.SIGNATURE]
    for chunk in layout.chunks:
        payload = data[chunk.payload]
        if chunk.name == b"IHDR":
            payload = side.to_bytes(4) * 2 + payload[8:]
        if chunk.name == b"IDAT" and content:
            payload = content
        checksum = zlib.crc32(chunk.name + payload).to_bytes(4)
        parts.append(len(payload).to_bytes(4) + chunk.name + payload + checksum)
    return b"".join(parts)


def bombs() -> dict[str, bytes]:
    """Return small files whose headers promise more than 400 megapixels."""
    image = pictures.image("RGB")
    jpeg = bytearray(pictures.encoded(image, "JPEG"))
    frame = jpegfile.read_layout(bytes(jpeg)).frame.start
    jpeg[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    gif = bytearray(pictures.encoded(image, "GIF"))
    descriptor = giffile.read_layout(bytes(gif)).descriptor
    gif[6:10] = gif[descriptor + 5 : descriptor + 9] = b"\xff\xff\xff\xff"
    tiff = bytearray(pictures.encoded(image, "TIFF", compression="tiff_deflate"))
    main = tiffpages.read_layout(bytes(tiff)).main
    for tag in (tiffpages.WIDTH, tiffpages.HEIGHT, tiffpages.ROWS_PER_STRIP):
        field = main.fields[tag]
        tiff[field.values_at : field.values_at + 2] = b"\xff\xff"
    webp = bytearray(pictures.encoded(image, "WEBP", exif=pictures.exif()))
    webp[24:30] = b"\xff" * 6
    return {
        "JPEG": bytes(jpeg),
        "GIF": bytes(gif),
        "TIFF": bytes(tiff),
        "WEBP": bytes(webp),
        "PNG": with_png_size(pictures.encoded(image, "PNG"), 50_000),
    }


@pytest.mark.parametrize("container", ["JPEG", "GIF", "TIFF", "WEBP", "PNG"])
def test_a_header_that_promises_too_much_is_refused_before_decoding(container: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PhotoError) as caught:
        read_photo(bombs()[container], "photo.jpg", max_pixels=400_000_000)
    assert caught.value.reason == reasons.TOO_LARGE
    grown_bytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown_bytes < 50_000_000


def test_a_picture_that_memory_does_not_hold_is_refused_in_silence(tmp_path: Path) -> None:
    bomb = tmp_path / "photo.png"
    bomb.write_bytes(png_of_zeros(12_000))
    assert bomb.stat().st_size < 3_000_000
    program = f"""
        import resource, sys
        from hotpixeld.edge.photo import read_photo
        from hotpixeld.errors import PhotoError
        resource.setrlimit(resource.RLIMIT_AS, (500_000_000, 500_000_000))
        try:
            read_photo(open({str(bomb)!r}, "rb").read(), "photo.png", max_pixels=400_000_000)
        except PhotoError as error:
            print(error.reason)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(hotpixeld.__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"},
    )
    assert (done.stdout, done.stderr, done.returncode) == ("too-large\n", "", 0)
