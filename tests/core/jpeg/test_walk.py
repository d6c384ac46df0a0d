"""The lockstep walk against the plain one."""

import numpy as np
import pytest
from PIL import Image

from hotpixeld.core import kernel
from hotpixeld.core.jpeg import walk
from hotpixeld.core.jpeg.blocks import coding_of
from hotpixeld.core.jpeg.scan import intervals
from hotpixeld.core.jpeg.unsupported import JpegUnsupported
from jpegmaker import encoded, header_of, scene

PICTURES = {
    "4:2:0": lambda: encoded(scene(width=440, height=500), quality=96, subsampling=2),
    "4:4:4 optimised": lambda: encoded(
        scene(width=440, height=500), quality=95, subsampling=0, optimize=True
    ),
    "grey": lambda: encoded(scene("L", 440, 500), quality=98),
    "one table for all": lambda: encoded(scene(width=440, height=500), quality=92, keep_rgb=True),
    "a flat sky": lambda: encoded(_half_flat(), quality=95, subsampling=2),
}


def _half_flat() -> Image.Image:
    """Flat areas have a period of their own: a wrong guess never finds the right step there."""
    picture = Image.new("RGB", (2400, 2000), (255, 255, 255))
    picture.paste(scene(width=440, height=500), (0, 0))
    picture.paste(scene(width=440, height=500), (1900, 1400))
    return picture


@pytest.mark.parametrize("picture", PICTURES)
def test_lanes_find_what_a_serial_decoder_finds(
    picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = PICTURES[picture]()
    header = header_of(data)
    (interval,) = intervals(data, header)
    stream = np.frombuffer(interval.unstuffed(data), np.uint8)
    with kernel.using(None):
        in_lanes = walk.block_starts(stream, coding_of(header), interval.mcus)
        assert len(stream) > walk._SERIAL_BYTES
        monkeypatch.setattr(walk, "_SERIAL_BYTES", 1 << 30)
        serial = walk.block_starts(stream, coding_of(header), interval.mcus)
        assert np.array_equal(in_lanes, serial)
    assert 0 <= 8 * len(stream) - in_lanes[-1] < 8


@pytest.mark.parametrize("arithmetic", [kernel.COMPILED, None])
@pytest.mark.parametrize("picture", PICTURES)
def test_a_scan_that_is_cut_or_too_short_is_refused(
    picture: str, arithmetic: kernel.Kernel | None
) -> None:
    data = PICTURES[picture]()
    header = header_of(data)
    (interval,) = intervals(data, header)
    stream = np.frombuffer(interval.unstuffed(data), np.uint8)
    for end in (len(stream) // 2, len(stream) - 3, 100, 0):
        with kernel.using(arithmetic), pytest.raises(JpegUnsupported) as refusal:
            walk.walk(stream[:end], coding_of(header), interval.mcus, np.array([0, 1]))
        assert refusal.value.reason == "scan-damaged"
