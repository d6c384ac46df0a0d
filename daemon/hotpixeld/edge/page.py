"""The report as a page: one self-contained HTML file from the template in the package."""

from collections.abc import Mapping
from importlib import resources

from jinja2 import Environment, StrictUndefined

from hotpixeld.edge.logs import printable


def render(content: Mapping[str, object]) -> str:
    """Return the page; every text in it is escaped, and text from outside made printable."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["printable"] = lambda text: printable(str(text))
    environment.filters["day"] = lambda time: str(time)[:16].replace("T", " ")
    source = resources.files("hotpixeld").joinpath("templates/report.html").read_text("utf-8")
    return environment.from_string(source).render(content)
