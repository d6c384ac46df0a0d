"""The nouns of detection: candidates, their evidence, and what is decided of them."""

from dataclasses import dataclass
from typing import Literal

DefectKind = Literal["stuck", "hot", "dead"]
PixelState = Literal["candidate", "held", "confirmed", "rejected", "retired"]


@dataclass(frozen=True)
class FootprintPixel:
    """One pixel that a defect spoils.

    Attributes
    ----------
    row, column : int
        Position in the stored frame.
    excess_dn : tuple of float
        Per channel of the frame, how much the running mean stands off its surroundings here.
    spoiled : tuple of bool
        Per channel, True where the defect spoils it.
    """

    row: int
    column: int
    excess_dn: tuple[float, ...]
    spoiled: tuple[bool, ...]


@dataclass(frozen=True)
class Candidate:
    """A suspected defect with its evidence; one per spot.

    Attributes
    ----------
    row, column : int
        The peak, in the stored frame.
    channels : tuple of int
        The channels that the defect spoils.
    kind : str
        ``stuck``, ``hot`` or ``dead``.
    score : float
        -log10 of the expected number of good subpixels of this sensor that would look as extreme;
        greater is surer, at most 300.
    mean_dn, variance_dn2, excess_dn : tuple of float
        At the peak, per channel: running mean, population variance over the photos, and the
        running mean's difference from its surroundings.
    photos : int
        How many photos the evidence rests on.
    shows_in : float
        Share of photos in which it shows, 0 to 1.
    footprint : tuple of FootprintPixel
        Every pixel that the defect spoils, the peak among them.
    state : str
        ``candidate``, ``held`` or ``confirmed``: what the statistics say, before people's words.
    reason : str
        Fixed and short: why it has this state.
    """

    row: int
    column: int
    channels: tuple[int, ...]
    kind: DefectKind
    score: float
    mean_dn: tuple[float, ...]
    variance_dn2: tuple[float, ...]
    excess_dn: tuple[float, ...]
    photos: int
    shows_in: float
    footprint: tuple[FootprintPixel, ...]
    state: PixelState
    reason: str
