"""Pixels as people type and read them."""

from collections.abc import Sequence
from typing import Any

from hotpixeld.cli.terminal import print_table
from hotpixeld.errors import UsageError


def print_pixels(pixels: Sequence[dict[str, Any]]) -> None:
    """Print pixels as a table, best first."""
    print_table(
        ("x,y", "state", "kind", "score", "excess", "shows in", "since", "why"),
        [
            (
                f"{p['x']},{p['y']}",
                p["state"],
                p["kind"],
                p["score"],
                "/".join(f"{value:+.0f}" for value in p["excess_dn"]),
                f"{100 * p['shows_in']:.0f} %",
                p["since"]["by"] or "",
                p["reason"],
            )
            for p in pixels
        ],
    )


def parse_pixels(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Return (x, y) of each ``X,Y``.

    Raises
    ------
    UsageError
        One is not two whole numbers that are not negative.
    """
    pixels = []
    for text in texts:
        x, comma, y = text.partition(",")
        if not (comma and x.isascii() and x.isdigit() and y.isascii() and y.isdigit()):
            raise UsageError(f"{text!r} is not a pixel; write X,Y as in 411,236")
        pixels.append((int(x), int(y)))
    return pixels
