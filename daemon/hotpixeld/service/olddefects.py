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
        The last photo before the epoch.
    """

    before: str
    first: str
    last: str


@dataclass(frozen=True)
class OldDefects:
    """A sensor's pixels with what the ranking of an earlier epoch adds.

    Attributes
    ----------
    pixels : tuple of PixelRow
    new : tuple of int
        Those of them that are dated to the epoch: they are not known from any time before it.
    vanished : tuple of int
        Those that the epoch before confirmed, and this one does not.
    """

    pixels: tuple[PixelRow, ...]
    new: tuple[int, ...]
    vanished: tuple[int, ...]


def with_old_epoch(
    pixels: Sequence[PixelRow], candidates: Sequence[Candidate], span: Span
) -> OldDefects:
    """Return a sensor's pixels with what the ranking of an earlier epoch adds.

    A defect that the epoch confirms began by its last photo, and after the epoch before it, which
    did not confirm it. One that is not known otherwise is kept as retired: it may have healed.
    """
    known = list(pixels)
    new, confirmed = [], set()
    for candidate in candidates:
        if candidate.state != "confirmed":
            continue
        at = _place_of(known, candidate)
        if at is None:
            at = len(known)
            place = candidate.row, candidate.column
            known.append(PixelRow(*place, "retired", reasons.HEALED, candidate))
        pixel = known[at]
        confirmed.add(at)
        last_seen = max(filter(None, (pixel.last_seen, span.last)), default=None)
        known[at] = replace(pixel, last_seen=last_seen)
        if pixel.since_by is None or (span.last and span.last < pixel.since_by):
            new.append(at)
            since = span.before or None, span.last or None
            known[at] = replace(known[at], since_after=since[0], since_by=since[1])
    vanished = [
        at
        for at, pixel in enumerate(known)
        if at not in confirmed and span.before and pixel.last_seen == span.before
    ]
    return OldDefects(tuple(known), tuple(new), tuple(vanished))


def _place_of(pixels: Sequence[PixelRow], candidate: Candidate) -> int | None:
    for number, pixel in enumerate(pixels):
        away = max(abs(pixel.row - candidate.row), abs(pixel.column - candidate.column))
        if away <= _NEAR_PX:
            return number
    return None
