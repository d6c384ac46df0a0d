"""Which camera body, at which geometry, a photo comes from."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["jpeg", "tiff", "png", "gif", "webp", "heic", "raw"]


@dataclass(frozen=True)
class Sensor:
    """One camera body at one geometry; photos of one sensor are folded together.

    Attributes
    ----------
    make, model, serial : str
        From EXIF, stripped; empty where the photo does not say.
    width, height : int
        Stored pixels, before any EXIF rotation.
    channels : int
        Channels of the frame, without alpha: 1 grey, 3 RGB, 4 CMYK.
    depth_bits : int
        8 or 16.
    kind : str
        The file kind; MPO counts as ``jpeg``.
    """

    make: str
    model: str
    serial: str
    width: int
    height: int
    channels: int
    depth_bits: int
    kind: Kind

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of its frames."""
        return self.height, self.width, self.channels

    @property
    def key(self) -> str:
        """A short stable name such as ``coolpix-l6-2816x2112-3f2a``."""
        identity = "\0".join(
            str(part)
            for part in (
                self.make,
                self.model,
                self.serial,
                self.width,
                self.height,
                self.channels,
                self.depth_bits,
                self.kind,
            )
        )
        digest = hashlib.sha256(identity.encode()).hexdigest()[:4]
        name = re.sub(r"[^a-z0-9]+", "-", self.model.lower()).strip("-")[:40] or self.kind
        return f"{name}-{self.width}x{self.height}-{digest}"
