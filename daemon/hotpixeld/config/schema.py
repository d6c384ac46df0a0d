"""Every key of the config file: its type, default, range and meaning.

The validator, the JSON Schema, the example's test and the man page all come from these classes.
Fields are named for the code (with units); the alias is the key as it stands in the file.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from hotpixeld.config.values import (
    Bytes,
    CopyName,
    Folder,
    Folders,
    Globs,
    Memory,
    MetricsPath,
    Pixel,
    PixelCount,
    ReportPath,
    Rescan,
    Settle,
    empty_if_none,
    no_items_if_none,
)
from hotpixeld.core.sensor import Sensor


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", validate_default=True)


class Watch(_Section):
    """How new photos are noticed."""

    mode: Literal["auto", "inotify", "poll"] = Field(
        default="auto", description="auto: file events where the file system has them, else polling"
    )
    settle_s: Settle = Field(
        default="2s",
        alias="settle",
        validate_default=True,
        description="quiet time that a file being written must show",
    )
    rescan_s: Rescan = Field(
        default="5min",
        alias="rescan",
        validate_default=True,
        description="time between two full looks at the folders, whatever the events say",
    )
    ignore: Globs = Field(
        default=(), description="globs, in addition to the built-in temporary names"
    )


class Detection(_Section):
    """When and how strictly pixels are judged."""

    min_photos: int = Field(
        default=15,
        ge=2,
        le=65_000,
        description="rank once this many different photos of a sensor are folded",
    )
    every: int = Field(
        default=5,
        ge=1,
        le=65_000,
        description="and again after at least this many more "
        "(rarer as photos grow many, in quiet moments)",
    )
    window: int = Field(
        default=1000,
        ge=10,
        le=65_000,  # so many squares of 8-bit values fit into 32 bits
        description="about so many photos count; older ones are forgotten",
    )
    false_alarms: float = Field(
        default=0.01,
        gt=0,
        le=100,
        allow_inf_nan=False,
        description="expected number of good pixels confirmed by mistake over a sensor's life",
    )
    skip_similar: bool = Field(
        default=True, description="do not fold bursts, tripod series, near-duplicates"
    )

    @field_validator("window")
    @classmethod
    def _window_holds_min_photos(cls, window: int, info: ValidationInfo) -> int:
        if window < (least := info.data.get("min_photos", 0)):
            raise ValueError(f"must be at least min_photos ({least}), or nothing is ever ranked")
        return window


class Confirmation(_Section):
    """Who confirms a defect, and the brake."""

    mode: Literal["automatic", "manual"] = Field(
        default="automatic", description="manual: a person confirms each (pixels confirm)"
    )
    max_new: int = Field(
        default=200,
        ge=0,
        description="more new defects than this in one ranking: hold them back, "
        "say so and how to accept",
    )


class Repair(_Section):
    """What is repaired, and how a JPEG is written."""

    when: Literal["visible", "always"] = Field(
        default="visible", description="visible: only where the defect shows in that photo"
    )
    jpeg: Literal["blocks", "reencode"] = Field(
        default="blocks", description="blocks: only the touched blocks are re-coded"
    )
    quality: int = Field(
        default=97,
        ge=1,
        le=100,
        description="for reencode where the photo's own tables cannot be used",
    )
    backlog: bool = Field(
        default=True,
        description="also repair photos that came before the confirmation, and again when the "
        "map grows, while the copy is as we wrote it",
    )


class Copies(_Section):
    """The repaired copies."""

    name: CopyName = Field(
        default="{name}",
        description="{name} {stem} {ext} {date} {camera}; keeps subfolders; "
        "the extension follows what is written",
    )
    unaffected: Literal["skip", "copy"] = Field(
        default="skip",
        description="photos in which nothing had to be repaired "
        "(copy: reflink where the file system can)",
    )
    min_free_bytes: Bytes = Field(
        default="500MiB",
        alias="min_free",
        validate_default=True,
        description="space to leave free on the file systems of output and state",
    )


class Limits(_Section):
    """What the daemon may use, and what it refuses."""

    memory_bytes: Memory = Field(
        default="auto",
        alias="memory",
        validate_default=True,
        description="e.g. 1GiB; auto: half of what machine or cgroup allows, at most 2GiB",
    )
    max_pixels: PixelCount = Field(
        default="400M",
        alias="pixels",
        ge=1,
        validate_default=True,
        description="larger images are refused before they are decoded",
    )


class Log(_Section):
    """The log on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least level that is written"
    )
    format: Literal["auto", "text", "json", "journald"] = Field(
        default="auto", description="auto: journald priorities under systemd, text on a terminal"
    )


class KnownPixels(_Section):
    """Pixels of one sensor that a person knows to be defective.

    The sensor is named by its ``key``, or by its size and as much of make, model and serial as is
    needed; what is left out matches any.
    """

    key: str | None = Field(default=None, min_length=1, description="as `sensors list` shows it")
    make: str | None = Field(default=None, description="EXIF make")
    model: str | None = Field(default=None, description="EXIF model")
    serial: str | None = Field(default=None, description="EXIF body serial number")
    width: int | None = Field(default=None, ge=1, description="stored pixels, before EXIF rotation")
    height: int | None = Field(default=None, ge=1, description="stored pixels, before rotation")
    pixels: Annotated[tuple[Pixel, ...], Field(strict=False)] = Field(
        description="[x, y] each: column and row, 0-based from the top left of the stored image"
    )

    @model_validator(mode="after")
    def _names_a_sensor(self) -> "KnownPixels":
        by_description = (self.make, self.model, self.serial, self.width, self.height)
        if self.key is None and (self.width is None or self.height is None):
            raise ValueError("must name its sensor: by key, or by width and height")
        if self.key is not None and any(part is not None for part in by_description):
            raise ValueError("must name its sensor by key or by description, not both")
        for x, y in self.pixels:
            if (self.width and x >= self.width) or (self.height and y >= self.height):
                raise ValueError(f"pixel [{x}, {y}] is outside {self.width}x{self.height}")
        return self

    def matches(self, sensor: Sensor) -> bool:
        """Say whether these pixels are pixels of ``sensor``."""
        if self.key is not None:
            return self.key == sensor.key
        return all(
            wanted is None or wanted == found
            for wanted, found in (
                (self.make, sensor.make),
                (self.model, sensor.model),
                (self.serial, sensor.serial),
                (self.width, sensor.width),
                (self.height, sensor.height),
            )
        )


class Config(_Section):
    """The whole config; paths are absolute."""

    version: Literal[1] = Field(default=1, description="of this file's format")
    import_folders: Folders = Field(
        alias="import", description="one folder or a list; never written to"
    )
    output: Folder = Field(description="where the repaired copies go")
    state: Folder = Field(description="what is known; a change needs a restart")
    watch: Annotated[Watch, BeforeValidator(empty_if_none)] = Field(default_factory=Watch)
    detection: Annotated[Detection, BeforeValidator(empty_if_none)] = Field(
        default_factory=Detection
    )
    confirmation: Annotated[Confirmation, BeforeValidator(empty_if_none)] = Field(
        default_factory=Confirmation
    )
    repair: Annotated[Repair, BeforeValidator(empty_if_none)] = Field(default_factory=Repair)
    copies: Annotated[Copies, BeforeValidator(empty_if_none)] = Field(default_factory=Copies)
    report: ReportPath = Field(
        default="auto", description="auto: report.html in the state folder | a path | false"
    )
    metrics: MetricsPath = Field(
        default=False, description="a path for Prometheus' textfile collector | false"
    )
    limits: Annotated[Limits, BeforeValidator(empty_if_none)] = Field(default_factory=Limits)
    sensors: Annotated[
        tuple[KnownPixels, ...], BeforeValidator(no_items_if_none), Field(strict=False)
    ] = Field(
        default=(),
        description="known pixels: {key, pixels: [[x, y], ...]} "
        "or {make, model, serial, width, height, pixels}",
    )
    log: Annotated[Log, BeforeValidator(empty_if_none)] = Field(default_factory=Log)

    @property
    def report_path(self) -> Path | None:
        """Where the HTML report goes; None: nowhere."""
        if self.report == "auto":
            return self.state / "report.html"
        return self.report or None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the config file, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Config.model_json_schema(by_alias=True),
        "title": "hotpixeld config",
    }
