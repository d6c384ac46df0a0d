"""What an old epoch of an archive says of a sensor's defects: since when, and until when."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hotpixeld.core import reasons
from hotpixeld.core.defects import Candidate
from hotpixeld.edge.pixels import PixelRow

_NEAR_PX = 1


@dataclass(frozen=True)
class Span:
    """When an epoch's photos were taken; empty where they do not say.

    Attributes
    ----------
    before : str
        The last photo of the epoch before it, if that was ranked.
    """

    before: str
    first: str
    last: str


def with_old_epoch(
    pixels: Sequence[PixelRow], candidates: Sequence[Candidate], span: Span
) -> list[PixelRow]:
    """Return a sensor's pixels with what the ranking of an earlier epoch adds.

    A defect that the epoch confirms began by its last photo, and after the epoch before it, which
    did not confirm it. One that is not known otherwise is kept as retired: it may have healed.
    """
    known = list(pixels)
    for candidate in candidates:
        if candidate.state != "confirmed":
            continue
        at = _place_of(known, candidate)
        if at is None:
            known.append(
                PixelRow(
                    candidate.row,
                    candidate.column,
                    "retired",
                    reasons.HEALED,
                    candidate,
                    since_after=span.before or None,
                    since_by=span.last or None,
                    last_seen=span.last or None,
                )
            )
            continue
        pixel = known[at]
        is_earlier = pixel.since_by is None or bool(span.last and span.last < pixel.since_by)
        known[at] = replace(
            pixel,
            since_after=(span.before or None) if is_earlier else pixel.since_after,
            since_by=(span.last or None) if is_earlier else pixel.since_by,
            last_seen=max(filter(None, (pixel.last_seen, span.last)), default=None),
        )
    return known


def _place_of(pixels: Sequence[PixelRow], candidate: Candidate) -> int | None:
    for number, pixel in enumerate(pixels):
        away = max(abs(pixel.row - candidate.row), abs(pixel.column - candidate.column))
        if away <= _NEAR_PX:
            return number
    return None
