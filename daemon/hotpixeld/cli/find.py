"""`find`: one shot, no config, no state."""

import argparse
import sys
from typing import Any

from hotpixeld.cli.pixeltext import print_pixels
from hotpixeld.cli.terminal import print_json, say
from hotpixeld.edge.pixels import PixelRow, pixel_document
from hotpixeld.errors import UsageError
from hotpixeld.service.finding import Finding, SensorFinding, find


def execute(options: argparse.Namespace) -> int:
    """Rank the pixels of the photos; return 1 where no photo was usable."""
    if options.jobs < 1 or options.top < 0:
        raise UsageError("--jobs must be at least 1, --top at least 0")
    finding = find(options.photos, jobs=options.jobs)
    if options.json:
        print_json(_document(finding, options.top))
    else:
        _print(finding, options.top)
    if not finding.sensors:
        sys.stderr.write("hotpixeld: no photo was usable\n")
    return 0 if finding.sensors else 1


def _document(finding: Finding, top: int) -> dict[str, Any]:
    return {
        "sensors": [_sensor_document(sensor, top) for sensor in finding.sensors],
        "seconds": round(finding.seconds, 3),
        "skipped": [{"path": str(s.path), "reason": s.reason} for s in finding.skipped],
    }


def _sensor_document(finding: SensorFinding, top: int) -> dict[str, Any]:
    sensor, ranking = finding.sensor, finding.ranking
    document: dict[str, Any] = {
        "sensor": {
            "key": sensor.key,
            "make": sensor.make,
            "model": sensor.model,
            "serial": sensor.serial,
            "width": sensor.width,
            "height": sensor.height,
        },
        "photos": finding.photos,
        "held_reason": None,
        "pixels": [],
        "least_variance": [],
        "variance": None,
    }
    if ranking is None:
        return document | {"held_reason": "few-photos"}
    return document | {
        "held_reason": ranking.held_reason,
        "pixels": [
            pixel_document(PixelRow(c.row, c.column, c.state, c.reason, c))
            for c in ranking.candidates[:top]
        ],
        "least_variance": [
            [s.column, s.row, s.channel, s.variance_dn2, s.sum_of_squared_differences_dn2]
            for s in ranking.least_variance
        ],
        "variance": {
            "least": ranking.variance.least,
            "greatest": ranking.variance.greatest,
            "mean": ranking.variance.mean,
        },
    }


def _print(finding: Finding, top: int) -> None:
    for skipped in finding.skipped:
        say(f"skipped {skipped.path}: {skipped.reason}")
    for sensor in finding.sensors:
        document = _sensor_document(sensor, top)
        say(f"{document['sensor']['key']}: {sensor.photos} photos")
        if document["variance"] is None:
            say("  too few photos to rank")
            continue
        variance = document["variance"]
        say(
            f"variance: least {variance['least']:.4g}, greatest {variance['greatest']:.4g}, "
            f"mean {variance['mean']:.4g}"
        )
        say("the ten least (x, y, channel: variance, sum of squared differences):")
        for x, y, channel, least, squares in document["least_variance"]:
            say(f"  {x}, {y}, {channel}: {least:.4g}, {squares:.4g}")
        if document["held_reason"]:
            say(f"held back: {document['held_reason']}")
        say("the ranking:")
        print_pixels(document["pixels"])
    say(f"{finding.seconds:.1f} s")
