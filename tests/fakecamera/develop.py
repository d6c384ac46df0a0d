"""From the mosaic to a picture: demosaicing, white balance, noise reduction, tone, sharpening."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Frame = npt.NDArray[np.uint8]

WHITE_BALANCE = (np.float32(1.8), np.float32(1.0), np.float32(1.5))


@dataclass(frozen=True)
class Development:
    """How the camera makes a picture of its raw data.

    Attributes
    ----------
    demosaic : str
        ``bilinear``, or ``gradient``: gradient-corrected (Malvar, He & Cutler 2004).
    sharpen : float
        Weight of an unsharp mask of 3x3.
    denoise : float
        0 to 1: how far small deviations are drawn to their 3x3 mean.
    quality, subsampling : int, str
        Of the JPEG: 1 to 100; ``4:4:4``, ``4:2:2`` or ``4:2:0``.
    """

    demosaic: Literal["bilinear", "gradient"] = "bilinear"
    sharpen: float = 0.5
    denoise: float = 0.0
    quality: int = 92
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"] = "4:2:0"


def mosaic(scene: npt.NDArray[np.float32]) -> Plane:
    """Return (height, width): each photosite sees its own colour, RGGB, before white balance."""
    raw = np.ascontiguousarray(scene[..., 1])
    raw[0::2, 0::2] = scene[0::2, 0::2, 0] / WHITE_BALANCE[0]
    raw[1::2, 1::2] = scene[1::2, 1::2, 2] / WHITE_BALANCE[2]
    return raw


def balance(raw: Plane) -> Plane:
    """Return the mosaic with its white balance, clipped at full scale."""
    raw = raw.copy()
    raw[0::2, 0::2] *= WHITE_BALANCE[0]
    raw[1::2, 1::2] *= WHITE_BALANCE[2]
    return np.clip(raw, 0, 1)


def demosaic(raw: Plane, method: str) -> npt.NDArray[np.float32]:
    """Return (height, width, 3) from an RGGB mosaic of even size."""
    height, width = raw.shape
    far = np.pad(raw, 2, mode="reflect")

    def at(row: int, column: int) -> Plane:
        return far[2 + row : 2 + row + height, 2 + column : 2 + column + width]

    across, down = at(0, -1) + at(0, 1), at(-1, 0) + at(1, 0)
    corners = at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)
    if method == "bilinear":
        green, diagonal = (across + down) / 4, corners / 4
        horizontal, vertical = across / 2, down / 2
    else:
        across2, down2 = at(0, -2) + at(0, 2), at(-2, 0) + at(2, 0)
        green = (4 * raw + 2 * (across + down) - across2 - down2) / 8
        diagonal = (6 * raw + 2 * corners - 1.5 * (across2 + down2)) / 8
        horizontal = (5 * raw + 4 * across - corners - across2 + 0.5 * down2) / 8
        vertical = (5 * raw + 4 * down - corners - down2 + 0.5 * across2) / 8
    picture = np.empty((height, width, 3), np.float32)
    picture[..., 0] = picture[..., 2] = diagonal
    picture[..., 1] = green
    picture[0::2, 1::2, 1], picture[1::2, 0::2, 1] = raw[0::2, 1::2], raw[1::2, 0::2]
    for channel, red_row in ((0, 0), (2, 1)):
        picture[red_row::2, red_row::2, channel] = raw[red_row::2, red_row::2]
        picture[red_row::2, 1 - red_row :: 2, channel] = horizontal[red_row::2, 1 - red_row :: 2]
        picture[1 - red_row :: 2, red_row::2, channel] = vertical[1 - red_row :: 2, red_row::2]
    return picture


def _mean3(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    wide = np.pad(picture, ((1, 1), (0, 0), (0, 0)), mode="edge")
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    wide = np.pad(rows, ((0, 0), (1, 1), (0, 0)), mode="edge")
    return (wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]) * np.float32(1 / 9)


def _tone_table() -> npt.NDArray[np.float32]:
    light = np.linspace(0, 1, 4096)
    gamma = light ** (1 / 2.2)
    return (255 * (gamma + 0.12 * np.sin(2 * np.pi * (gamma - 0.5)) / np.pi)).astype(np.float32)


_TONE = _tone_table()


def develop(raw: Plane, how: Development) -> npt.NDArray[np.float32]:
    """Return the linear picture (height, width, 3), 0 to 1, of a mosaic of even size."""
    picture = demosaic(balance(raw), how.demosaic)
    if how.denoise:
        off = _mean3(picture) - picture
        spread = np.float32(0.01) + np.float32(0.05) * np.abs(picture)
        picture += np.float32(how.denoise) * off * np.exp(-np.abs(off) / spread)
    return picture


def render(picture: npt.NDArray[np.float32], how: Development) -> Frame:
    """Return the 8-bit frame of a linear picture."""
    index = np.clip(picture * 4095 + 0.5, 0, 4095).astype(np.uint16)
    toned = np.take(_TONE, index)
    if how.sharpen:
        toned += np.float32(how.sharpen) * (toned - _mean3(toned))
    frame: Frame = np.clip(toned + 0.5, 0, 255).astype(np.uint8)
    return frame
