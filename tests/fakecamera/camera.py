"""The fake camera: scene -> mosaic -> noise and defects -> development -> file."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from fakecamera import defects as truth
from fakecamera import scenes
from fakecamera.defects import Defect, Plane
from fakecamera.develop import Development, develop, mosaic, render
from fakecamera.photofile import Exposure, from_jpeg, from_tiff, to_jpeg, to_tiff, with_date_stamp

SceneKind = Literal["varied", "tripod", "burst", "cap"]
Frame = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

FULL_WELL_E = 9000.0
READ_NOISE_E = 6.0
PATCH_PX = 12  # enough for demosaicing, noise reduction and sharpening round one photosite


@dataclass(frozen=True)
class Shot:
    """One photo with its truth.

    Attributes
    ----------
    index : int
        The how-manieth photo of this camera.
    name : str
        A file name.
    defects : tuple of Defect
        Those that this photo has.
    exposure : Exposure
        As EXIF says it.
    excess_dn : (len(camera's defects), channels) float32
        What each defect adds at its own pixel in this photo, before JPEG; 0 before its onset.
    """

    index: int
    name: str
    defects: tuple[Defect, ...]
    exposure: Exposure
    excess_dn: npt.NDArray[np.float32]
    picture: Frame
    _clean_picture: Callable[[], Frame]
    _encode: Callable[[Frame], bytes]
    _decode: Callable[[bytes], Frame]

    @cached_property
    def jpeg(self) -> bytes:
        """The file's bytes, with the defects (a TIFF if the camera writes 16 bits)."""
        return self._encode(self.picture)

    @cached_property
    def frame(self) -> Frame:
        """The frame that the file decodes to (height, width, channels)."""
        return self._decode(self.jpeg)

    @cached_property
    def clean_picture(self) -> Frame:
        """What the camera would have encoded without the defects."""
        return self._clean_picture()

    @cached_property
    def clean_jpeg(self) -> bytes:
        """The same photo by a camera without the defects."""
        return self._encode(self.clean_picture)

    @cached_property
    def clean_frame(self) -> Frame:
        """The frame that the photo without the defects decodes to."""
        return self._decode(self.clean_jpeg)

    @property
    def captured_at(self) -> dt.datetime:
        """When it was taken, by the camera's clock, without zone."""
        return self.exposure.captured_at

    @property
    def iso(self) -> int:
        """ISO speed."""
        return self.exposure.iso

    @property
    def exposure_s(self) -> float:
        """Exposure time."""
        return self.exposure.exposure_s


class FakeCamera:
    """A camera body; photo ``index`` depends on ``seed`` and ``index`` alone.

    Parameters
    ----------
    width, height : int
        Pixels of the frame, both even.
    seed : int
        Of everything: scenes, noise, fixed pattern, exposures.
    defects : sequence of Defect
        The truth.
    development : Development or None
        How it makes pictures; None: the default.
    make, model, serial : str
        For EXIF; an empty make: files without EXIF.
    grey16 : bool
        True: raw data as 16-bit grey TIFF instead of developed JPEG.
    date_stamp : bool
        True: burns the date into the picture.
    prnu : float
        Spread of the pixels' response (fixed pattern).
    minutes_apart : float
        Between two photos.
    dust : (height, width) float32 or None
        Share of the light that specks on the sensor take at the smallest aperture; each photo's
        own aperture lets them take 0.3 to 1 of it.
    """

    def __init__(
        self,
        width: int = 320,
        height: int = 240,
        *,
        seed: int = 0,
        defects: Sequence[Defect] = (),
        development: Development | None = None,
        make: str = "Fake",
        model: str = "Camera 1",
        serial: str = "0001",
        grey16: bool = False,
        date_stamp: bool = False,
        prnu: float = 0.01,
        minutes_apart: float = 45.0,
        orientation: int = 1,
        dust: Plane | None = None,
    ) -> None:
        if width % 2 or height % 2:
            raise ValueError("the mosaic needs an even width and height")
        self.width, self.height, self.seed = width, height, seed
        self.defects = tuple(defects)
        self.development = development or Development()
        self.make, self.model, self.serial = make, model, serial
        self.grey16, self.date_stamp = grey16, date_stamp
        self.minutes_apart, self.orientation = minutes_apart, orientation
        self.dust = dust
        self.index = 0
        pattern = np.random.default_rng([seed, 1]).standard_normal((height, width))
        self._response = (1 + prnu * pattern).astype(np.float32)

    def shoot(self, count: int = 1, *, scene: SceneKind = "varied") -> list[Shot]:
        """Return the next ``count`` photos.

        ``tripod`` and ``burst`` keep one scene through this call (a burst moves by a few pixels),
        ``cap`` is a lens cap frame.
        """
        first = self.index
        self.index += count
        return [self._shot(index, first, scene) for index in range(first, first + count)]

    def _shot(self, index: int, first: int, kind: SceneKind) -> Shot:
        rng = np.random.default_rng([self.seed, 2, index])
        exposure = self._exposure(index, rng)
        light = self._response * mosaic(self._scene(rng, first, kind))
        if self.dust is not None:
            aperture = np.random.default_rng([self.seed, 4, index]).uniform(0.3, 1)
            light = light * (1 - np.float32(aperture) * self.dust)
        raw = _with_noise(light, exposure.iso, rng)
        present = tuple(defect for defect in self.defects if defect.is_there(index))
        spoiled = raw.copy()
        truth.apply(spoiled, _of_the_mosaic(present), exposure.iso, exposure.exposure_s)
        return Shot(
            index,
            f"IMG_{index:04d}.{'TIF' if self.grey16 else 'JPG'}",
            present,
            exposure,
            self._excess(raw, spoiled, exposure, index),
            self._picture(spoiled, present, exposure),
            lambda: self._picture(raw, (), exposure),
            lambda frame: self._encode(frame, exposure),
            from_tiff if self.grey16 else from_jpeg,
        )

    def _exposure(self, index: int, rng: np.random.Generator) -> Exposure:
        iso = int(rng.choice([80, 100, 100, 200, 200, 400, 800]))
        seconds = float(np.exp(rng.uniform(np.log(1 / 1000), np.log(1 / 4))))
        start = dt.datetime(2024, 5, 1, 9, 0)  # noqa: DTZ001  a camera's clock has no zone
        when = start + dt.timedelta(minutes=self.minutes_apart * index)
        return Exposure(
            self.make, self.model, self.serial, when, iso, seconds, orientation=self.orientation
        )

    def _scene(self, rng: np.random.Generator, first: int, kind: SceneKind) -> scenes.Scene:
        if kind == "cap":
            return np.zeros((self.height, self.width, 3), np.float32)
        if kind == "varied":
            return scenes.varied(rng, self.height, self.width)
        still = np.random.default_rng([self.seed, 3, first])
        margin = 4
        scene = scenes.varied(still, self.height + margin, self.width + margin)
        row, column = rng.integers(0, margin, 2) if kind == "burst" else (0, 0)
        return scene[row : row + self.height, column : column + self.width]

    def _picture(self, raw: Plane, present: Sequence[Defect], exposure: Exposure) -> Frame:
        if self.grey16:
            grey: Frame = np.clip(raw * 40000 + 2000, 0, 65535).astype(np.uint16)[..., None]
            return grey
        picture = develop(raw, self.development)
        for defect in present:
            if defect.channel is not None:
                at = (defect.row, defect.column, defect.channel)
                picture[at] = defect.read(float(picture[at]), exposure.iso, exposure.exposure_s)
        frame = render(picture, self.development)
        if self.date_stamp:
            frame = with_date_stamp(frame, exposure.captured_at.strftime("%d.%m.%Y %H"))
        return frame

    def _encode(self, frame: Frame, exposure: Exposure) -> bytes:
        said = exposure if exposure.make else None
        if self.grey16:
            return to_tiff(frame.astype(np.uint16), said)
        how = self.development
        return to_jpeg(
            frame.astype(np.uint8), said, quality=how.quality, subsampling=how.subsampling
        )

    def _excess(
        self, raw: Plane, spoiled: Plane, exposure: Exposure, index: int
    ) -> npt.NDArray[np.float32]:
        channels = 1 if self.grey16 else 3
        excess = np.zeros((len(self.defects), channels), np.float32)
        for number, defect in enumerate(self.defects):
            if not defect.is_there(index):
                continue
            top, left = (_patch_start(defect.row), _patch_start(defect.column))
            rows = np.arange(top, top + PATCH_PX) % self.height  # wraps at the edges: parity stays
            columns = np.arange(left, left + PATCH_PX) % self.width
            at = np.ix_(rows, columns)
            moved = Defect(
                defect.row - top, defect.column - left, defect.kind, defect.level, defect.offset,
                defect.rate, defect.response, channel=defect.channel,
            )  # fmt: skip
            after = self._bare(spoiled[at], (moved,), exposure)[moved.row, moved.column]
            before = self._bare(raw[at], (), exposure)[moved.row, moved.column]
            excess[number] = after.astype(np.float32) - before
        return excess

    def _bare(self, raw: Plane, present: Sequence[Defect], exposure: Exposure) -> Frame:
        stamped, self.date_stamp = self.date_stamp, False
        try:
            return self._picture(raw, present, exposure)
        finally:
            self.date_stamp = stamped


def _patch_start(position: int) -> int:
    return position // 2 * 2 - PATCH_PX // 2 + (PATCH_PX // 2) % 2


def _of_the_mosaic(present: Sequence[Defect]) -> tuple[Defect, ...]:
    return tuple(defect for defect in present if defect.channel is None)


def _with_noise(light: Plane, iso: int, rng: np.random.Generator) -> Plane:
    """Add shot and read noise at ``iso``; ``light`` stays."""
    gain = np.float32(iso / 100 / FULL_WELL_E)
    spread = np.sqrt(light * gain + np.float32((READ_NOISE_E * gain) ** 2))
    noisy: Plane = light + spread * rng.standard_normal(light.shape, dtype=np.float32)
    return noisy
