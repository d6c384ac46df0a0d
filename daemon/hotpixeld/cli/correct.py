"""`correct`: repair given pixels in one photo."""

import argparse
from pathlib import Path

from hotpixeld.cli.pixeltext import parse_pixels
from hotpixeld.cli.terminal import say
from hotpixeld.errors import UsageError
from hotpixeld.service.correcting import correct


def execute(options: argparse.Namespace) -> int:
    """Write the corrected photo."""
    photo: Path = options.photo
    target = options.output or photo.with_name(f"c_{photo.name}")
    if target.exists() and not options.force:
        raise UsageError(f"{target} exists; --force overwrites it")
    if target.exists() and target.samefile(photo):
        raise UsageError(f"{target} is the photo itself; an original is never written")
    pixels = parse_pixels(options.pixels)
    outcome = correct(
        photo,
        pixels,
        target,
        displayed=options.displayed,
        reencode=options.reencode,
        overwrite=options.force,
    )
    say(f"{outcome.path}: {outcome.repaired_px} pixels repaired ({outcome.method})")
    if not outcome.repaired_px:
        say("what stands there is no more than the photo's own texture: nothing to repair")
    if outcome.note:
        say(outcome.note)
    return 0
