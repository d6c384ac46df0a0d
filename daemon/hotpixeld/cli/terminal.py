"""How results look: tables on a terminal, tab-separated lines elsewhere, one JSON document."""

import json
import os
import sys
from collections.abc import Iterable, Sequence

from hotpixeld.edge.logs import printable


def print_json(document: object) -> None:
    """Print one JSON document."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=True, allow_nan=False)
    sys.stdout.write("\n")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: drawn on a terminal, else tab-separated with a line of headings."""
    texts = [[printable(str(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in ([*headings], *texts):
            sys.stdout.write("\t".join(line) + "\n")
        return
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 (only a terminal waits for it)
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in headings:
        table.add_column(title, overflow="fold")  # a key or path that is cut short is no use
    for line in texts:
        table.add_row(*(Text(cell) for cell in line))
    plain = bool(os.environ.get("NO_COLOR"))  # rich alone would leave the bold
    Console(soft_wrap=False, color_system=None if plain else "auto").print(table)


def say(text: str = "") -> None:
    """Print one line of a result."""
    sys.stdout.write(printable(text) + "\n")


def heading(text: str, style: str) -> None:
    """Print one line that stands out on a terminal; plain elsewhere, or with NO_COLOR."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        say(text)
        return
    from rich.console import Console  # noqa: PLC0415 (only a terminal waits for it)
    from rich.text import Text  # noqa: PLC0415

    Console(soft_wrap=True).print(Text(printable(text), style))
