"""`make demo`: a fake camera with a stuck pixel drops photos while the daemon runs."""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from fakecamera import Defect, FakeCamera
from running import running, wait_for

STUCK = Defect(150, 211, level=0.95)
PHOTOS = 18
ENLARGED = 10
HALF_PX = 16


def main() -> None:
    """Run the demo; the last line names the picture to open."""
    folder = Path(tempfile.mkdtemp(prefix="hotpixeld-demo-"))
    camera = FakeCamera(480, 320, seed=11, defects=[STUCK])
    say(f"a fake camera with a stuck pixel at {STUCK.column},{STUCK.row}; everything in {folder}")
    with running(folder) as daemon:
        for shot in camera.shoot(PHOTOS):
            daemon.drop(shot.name, shot.jpeg)
        say(f"{PHOTOS} photos dropped into {daemon.imports}")
        wait_for(daemon.confirmed, "a pixel is confirmed")
        for x, y in sorted(daemon.confirmed()):
            say(f"confirmed: {x},{y}")
        (last,) = camera.shoot(1)
        daemon.drop("after.jpg", last.jpeg)
        wait_for((daemon.repaired / "after.jpg").exists, "the next photo comes out repaired")
        picture = folder / "before_and_after.png"
        copy = (daemon.repaired / "after.jpg").read_bytes()
        side_by_side(last.jpeg, copy, STUCK.column, STUCK.row).save(picture)
        daemon.stop()
    say("the next photo, before and after:")
    say(str(picture))


def side_by_side(before: bytes, after: bytes, x: int, y: int) -> Image.Image:
    """Return the surroundings of a pixel in both, enlarged: so the README's picture was made."""
    box = (x - HALF_PX, y - HALF_PX, x + HALF_PX + 1, y + HALF_PX + 1)
    side = (2 * HALF_PX + 1) * ENLARGED
    picture = Image.new("RGB", (2 * side + ENLARGED, side), "white")
    for number, data in enumerate((before, after)):
        crop = Image.open(io.BytesIO(data)).crop(box).resize((side, side), Image.Resampling.NEAREST)
        picture.paste(crop, (number * (side + ENLARGED), 0))
    return picture


def say(text: str) -> None:
    """Print one line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
