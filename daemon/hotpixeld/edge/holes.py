"""Zeros where image data must be: what a half-written file looks like when it decodes cleanly.

A preallocated file whose data has not all arrived, or a sparse one, holds whole pages of zeros.
Decoders take them for black or for noise without a word. A zero run that an image truly contains
begins and ends anywhere; a hole begins and ends on a page, so that is what tells them apart.
"""

import re

PAGE_BYTES = 4096
_SLACK_BYTES = 8  # good data next to a hole may itself end or begin with a few zeros
_NOT_ZERO = re.compile(rb"[^\0]")


def zero_run(data: bytes, start: int, end: int, least_bytes: int) -> tuple[int, int] | None:
    """Return the first run of at least ``least_bytes`` zeros in ``data[start:end]``, or None."""
    samples = data[start + least_bytes - 1 : end : least_bytes]  # one of them lies in such a run
    index = samples.find(b"\0")
    while index >= 0:
        at = start + (index + 1) * least_bytes - 1
        before = data[at - least_bytes + 1 : at]
        first = at - (len(before) - len(before.rstrip(b"\0")))
        stop = _NOT_ZERO.search(data, at, end)
        last = stop.start() if stop else end
        if last - first >= least_bytes:
            return first, last
        index = samples.find(b"\0", index + 1)
    return None


def find_hole(data: bytes, start: int, end: int) -> int | None:
    """Return where a hole begins in the image data ``data[start:end]``, or None.

    A hole is a run of zeros over at least one page that begins on a page boundary of the file
    (or with the image data) and ends on one (or with the image data).
    """
    position = start
    while run := zero_run(data, position, end, PAGE_BYTES - _SLACK_BYTES):
        first, stop = run
        begins = first == start or -first % PAGE_BYTES <= _SLACK_BYTES
        ends = stop == end or stop % PAGE_BYTES <= _SLACK_BYTES
        if begins and ends and (first, stop) != (start, end):
            return first
        if (first, stop) == (start, end):
            return None  # all black or not yet written: the caller decides
        position = stop
    return None
