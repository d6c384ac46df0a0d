"""Camera RAW photos, with the extra ``raw``.

Next to each other on a Bayer sensor lie sites of different colours, so the frame has one channel
for each of the four sites of a 2x2 cell (in the order top left, top right, bottom left, bottom
right) and half the sensor's visible height and width: neighbours in the frame see the same colour.
Sensors without a 2x2 cell (X-Trans, Foveon) are refused.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from hotpixeld.edge import decode, exif, extras, reasons, tiffpages
from hotpixeld.edge.decode import Frame
from hotpixeld.edge.picture import Picture, pixel_digest
from hotpixeld.errors import PhotoError

CELL_SITES = ((0, 0), (0, 1), (1, 0), (1, 1))


def read(data: bytes, max_pixels: int) -> Picture:
    """Read the sites of a RAW file, not developed in any way.

    Raises
    ------
    PhotoError
        ``needs-raw`` without the extra, ``damaged``, ``unsupported-pixels``, ``too-large``.
    """
    with opened(data, max_pixels) as raw:
        sites = raw.raw_image_visible
        height, width = sites.shape[0] // 2 * 2, sites.shape[1] // 2 * 2
        planes = [sites[row:height:2, column:width:2] for row, column in CELL_SITES]
        frame: Frame = np.ascontiguousarray(np.stack(planes, axis=2))
    is_tiff = data.startswith(tiffpages.SIGNATURES)
    facts = exif.facts_of_block(data if is_tiff else None)
    digest = pixel_digest(f"raw {frame.shape}", frame.tobytes())
    return Picture(frame, digest, "RAW", facts, own_mark=facts.own_mark)


@contextmanager
def opened(data: bytes, max_pixels: int) -> Iterator[Any]:
    """Open a RAW file with LibRaw, unpacked; its memory goes when the block ends.

    Raises
    ------
    PhotoError
        As `read`; whatever LibRaw raises within the block becomes ``damaged``.
    """
    rawpy = extras.module("rawpy", "raw", reasons.NEEDS_RAW)
    try:
        with rawpy.RawPy() as raw:
            raw.open_buffer(io.BytesIO(data))
            decode.check_size(raw.sizes.raw_width, raw.sizes.raw_height, max_pixels)
            raw.unpack()
            _check_cell(rawpy, raw)
            yield raw
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(reasons.TOO_LARGE, "not enough memory", may_pass=True) from error
    except Exception as error:
        raise PhotoError(reasons.DAMAGED, f"{type(error).__name__}: {error}"[:200]) from error


def _check_cell(rawpy: ModuleType, raw: Any) -> None:  # noqa: ANN401 - LibRaw's object
    pattern = raw.raw_pattern
    if raw.raw_type != rawpy.RawType.Flat or pattern is None or pattern.shape != (2, 2):
        raise PhotoError(reasons.UNSUPPORTED_PIXELS, "no 2x2 Bayer cell")
