"""Plots as plain SVG text; colours come from the page's style, which knows dark and light."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 420, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 22, 8, 10, 26


@dataclass(frozen=True)
class Strength:
    """How far a defect stands off its surroundings in one photo, in local spreads."""

    when: str
    spreads: float


@dataclass(frozen=True)
class Mark:
    """A pixel on the map of a sensor."""

    x: int
    y: int
    state: str
    title: str
    link: str


def strength_plot(points: Sequence[Strength], *, shown: float, limit: float, name: str) -> Markup:
    """Draw one dot a photo in order of capture, and the line above which the defect shows.

    Parameters
    ----------
    shown
        From here on a defect counts as showing in a photo.
    limit
        The strengths are clipped here.
    name
        What a screen reader says.
    """
    low = min(0.0, *(point.spreads for point in points)) if points else 0.0
    span = limit - low

    def y_of(spreads: float) -> float:
        inner = _HEIGHT - _TOP - _BOTTOM
        return _TOP + inner * (1 - (min(spreads, limit) - low) / span)

    def x_of(number: int) -> float:
        inner = _WIDTH - _LEFT - _RIGHT
        return _LEFT + inner * (number + 0.5) / max(1, len(points))

    parts = [_grid_line(y_of(level), f"{level:g}") for level in (0.0, limit / 2, limit)]
    parts.append(
        f'<line class="threshold" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" '
        f'y1="{y_of(shown):.1f}" y2="{y_of(shown):.1f}"/>'
    )
    for number, point in enumerate(points):
        title = escape(f"{point.when}: {point.spreads:.1f}")
        kind = "dot" if point.spreads >= shown else "dot hollow"
        parts.append(
            f'<circle class="{kind}" cx="{x_of(number):.1f}" cy="{y_of(point.spreads):.1f}" '
            f'r="{4 if len(points) <= 60 else 2.5}"><title>{title}</title></circle>'
        )
    if points:
        parts.append(_label(_LEFT, _HEIGHT - 8, points[0].when[:10], "start"))
        parts.append(_label(_WIDTH - _RIGHT, _HEIGHT - 8, points[-1].when[:10], "end"))
    return _svg("plot", "img", (_WIDTH, _HEIGHT), name, parts)


def sensor_map(width_px: int, height_px: int, marks: Sequence[Mark], *, name: str) -> Markup:
    """Draw a sensor with its pixels: full dots confirmed, rings held, crosses candidates."""
    unit = max(width_px, height_px) / 75
    parts = [f'<rect class="sensor" x="0" y="0" width="{width_px}" height="{height_px}"/>']
    for mark in marks:
        x, y = mark.x + 0.5, mark.y + 0.5
        if mark.state == "candidate":
            arm = unit * 0.7
            shape = (
                f'<path class="cross" style="stroke-width:{unit * 0.35:.2f}" d="M{x - arm:.1f} '
                f"{y - arm:.1f}l{2 * arm:.1f} {2 * arm:.1f}m0 {-2 * arm:.1f}"
                f'l{-2 * arm:.1f} {2 * arm:.1f}"/>'
            )
        else:
            kind = "full" if mark.state == "confirmed" else "ring"
            shape = (
                f'<circle class="{kind}" style="stroke-width:{unit * 0.4:.2f}" cx="{x}" '
                f'cy="{y}" r="{unit:.1f}"/>'
            )
        titled = f"<g><title>{escape(mark.title)}</title>{shape}</g>"
        parts.append(f'<a href="#{escape(mark.link)}">{titled}</a>' if mark.link else titled)
    return _svg("map", "group", (width_px, height_px), name, parts)


def _svg(kind: str, role: str, size: tuple[int, int], name: str, parts: Sequence[str]) -> Markup:
    inner = "".join(parts)
    width, height = size
    return Markup(  # noqa: S704 (every text in it was escaped above)
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="{role}" '
        f'aria-label="{escape(name)}">{inner}</svg>'
    )


def _grid_line(y: float, label: str) -> str:
    line = f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + _label(_LEFT - 6, y + 4, label, "end")


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
