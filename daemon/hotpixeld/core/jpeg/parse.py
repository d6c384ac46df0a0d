"""Reads what the markers of a JPEG file say: with which tables its scan is coded.

After ITU-T T.81, annex B; which colours the components stand for follows libjpeg.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from hotpixeld.core.jpeg.huffman import HuffmanTable
from hotpixeld.core.jpeg.markers import (
    APP0,
    APP14,
    BASELINE_FRAMES,
    DHT,
    DNL,
    DQT,
    DRI,
    SOS,
    JpegLayout,
)
from hotpixeld.core.jpeg.unsupported import JpegUnsupported

Colour = Literal["grey", "rgb", "ycc", "cmyk", "ycck"]

#: Row-major index of each coefficient in the order of the scan.
ZIGZAG: npt.NDArray[np.intp] = np.array(
    sorted(
        range(64),
        key=lambda i: (i // 8 + i % 8, i // 8 if (i // 8 + i % 8) % 2 else i % 8),
    ),
    np.intp,
)

_OTHER_PROCESSES = {
    0xC2: "progressive",
    0xC3: "lossless",
    0xC5: "hierarchical",
    0xC6: "hierarchical",
    0xC7: "hierarchical",
    0xCB: "lossless",
    0xCF: "arithmetic",
    0xC9: "arithmetic",
    0xCA: "arithmetic",
    0xCD: "hierarchical",
    0xCE: "hierarchical",
}


@dataclass(frozen=True)
class Component:
    """One component of the frame and the tables that code it.

    Attributes
    ----------
    across, down : int
        Sampling factors: blocks per MCU.
    quantisation : (64,) int64
        Row-major quantisation steps.
    """

    identifier: int
    across: int
    down: int
    quantisation: npt.NDArray[np.int64]
    dc: HuffmanTable
    ac: HuffmanTable


@dataclass(frozen=True)
class Header:
    """What the markers before a baseline scan say.

    Attributes
    ----------
    scan_start, scan_end : int
        The entropy-coded bytes are ``data[scan_start:scan_end]``; EOI follows after fill bytes.
    restart_interval : int
        MCUs between restart markers, 0 where there are none.
    """

    width: int
    height: int
    components: tuple[Component, ...]
    colour: Colour
    restart_interval: int
    scan_start: int
    scan_end: int

    @property
    def across(self) -> int:
        """Greatest horizontal sampling factor; an MCU is 8 times as many pixels wide."""
        return max(component.across for component in self.components)

    @property
    def down(self) -> int:
        """Greatest vertical sampling factor."""
        return max(component.down for component in self.components)

    @property
    def mcus_across(self) -> int:
        """MCUs in a row."""
        return -(-self.width // (8 * self.across))

    @property
    def mcus(self) -> int:
        """MCUs in the scan."""
        return self.mcus_across * -(-self.height // (8 * self.down))

    @property
    def interval_mcus(self) -> int:
        """MCUs in a restart interval, the last one excepted; without markers all are one."""
        return self.restart_interval or self.mcus

    @property
    def block_components(self) -> tuple[int, ...]:
        """Component index of each block of an MCU, in the order of the scan."""
        return tuple(
            index
            for index, component in enumerate(self.components)
            for _ in range(component.across * component.down)
        )


@dataclass
class _Tables:
    """What the segments have defined so far."""

    quantisation: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict)
    huffman: dict[tuple[int, int], HuffmanTable] = field(default_factory=dict)
    restart_interval: int = 0
    frame: bytes = b""
    jfif: bool = False
    adobe_transform: int | None = None

    def read_quantisation(self, payload: bytes) -> None:
        while payload:
            wide, name = payload[0] >> 4, payload[0] & 15
            size = 128 if wide else 64
            if wide > 1 or len(payload) < 1 + size:
                raise JpegUnsupported("header-damaged", "quantisation table is cut short")
            steps = np.frombuffer(payload[1 : 1 + size], ">u2" if wide else "u1")
            table = np.zeros(64, np.int64)
            table[ZIGZAG] = steps
            if not table.all():
                raise JpegUnsupported("header-damaged", "quantisation step of 0")
            self.quantisation[name] = table
            payload = payload[1 + size :]

    def read_huffman(self, payload: bytes) -> None:
        while payload:
            counts = payload[1:17]
            size = sum(counts)
            if len(payload) < 17 + size or len(counts) < 16:
                raise JpegUnsupported("header-damaged", "Huffman table is cut short")
            self.huffman[payload[0] >> 4, payload[0] & 15] = HuffmanTable.read(
                counts, payload[17 : 17 + size]
            )
            payload = payload[17 + size :]

    def read(self, marker: int, payload: bytes) -> None:
        if marker == DQT:
            self.read_quantisation(payload)
        elif marker == DHT:
            self.read_huffman(payload)
        elif marker == DRI:
            if len(payload) < 2:
                raise JpegUnsupported("header-damaged", "restart interval is cut short")
            self.restart_interval = int.from_bytes(payload[:2], "big")
        elif marker == APP0 and payload[:5] == b"JFIF\0":
            self.jfif = True
        elif marker == APP14 and payload[:5] == b"Adobe" and len(payload) >= 12:
            self.adobe_transform = payload[11]
        elif marker in _OTHER_PROCESSES:
            raise JpegUnsupported(_OTHER_PROCESSES[marker], f"SOF{marker - 0xC0}")
        elif marker in BASELINE_FRAMES:
            if self.frame:
                raise JpegUnsupported("header-damaged", "two frame headers")
            self.frame = payload


def read_header(data: bytes, layout: JpegLayout) -> Header:
    """Read what the markers of a baseline JPEG say whose one scan holds every component.

    Raises
    ------
    JpegUnsupported
        Reasons: ``header-damaged``, ``progressive``, ``arithmetic``, ``lossless``,
        ``hierarchical``, ``depth``, ``components``, ``sampling``, ``several-scans``.
    """
    tables = _Tables()
    found: Header | None = None
    for segment in layout.segments:
        payload = segment.payload(data)
        if segment.marker == SOS:
            if found is not None:
                raise JpegUnsupported("several-scans", "more than one scan")
            found = _header_at_scan(tables, payload, layout.scans[0][0], _scan_end(data, layout))
        elif found is not None and segment.marker in {DHT, DQT, DNL}:
            raise JpegUnsupported("several-scans", "tables after the scan")
        else:
            tables.read(segment.marker, payload)
    if found is None:
        raise JpegUnsupported("header-damaged", "no scan")
    return found


def _scan_end(data: bytes, layout: JpegLayout) -> int:
    """Return where the entropy-coded bytes end, before any fill bytes."""
    start, end = layout.scans[0]
    while end > start and data[end - 1] == 0xFF:
        end -= 1
    return end


def _header_at_scan(tables: _Tables, scan: bytes, start: int, end: int) -> Header:
    frame = tables.frame
    if len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        raise JpegUnsupported("header-damaged", "frame header is cut short or missing")
    if frame[0] != 8:
        raise JpegUnsupported("depth", f"{frame[0]} bits")
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    if not height or not width:
        raise JpegUnsupported("header-damaged", f"{width}x{height} pixels")
    count = frame[5]
    if count not in (1, 3, 4):
        raise JpegUnsupported("components", f"{count} components")
    if not scan or len(scan) < 4 + 2 * scan[0]:
        raise JpegUnsupported("header-damaged", "scan header is cut short")
    if scan[0] != count:
        raise JpegUnsupported("several-scans", f"the scan holds {scan[0]} of {count} components")
    components = tuple(
        _component(tables, frame[6 + 3 * i : 9 + 3 * i], scan[1 + 2 * i : 3 + 2 * i], count)
        for i in range(count)
    )
    across, down = max(c.across for c in components), max(c.down for c in components)
    if any(across % c.across or down % c.down for c in components):
        raise JpegUnsupported("sampling", "factors that do not divide")
    if sum(c.across * c.down for c in components) > 10:
        raise JpegUnsupported("sampling", "more than 10 blocks in an MCU")
    return Header(
        width,
        height,
        components,
        _colour(tables, components),
        tables.restart_interval,
        start,
        end,
    )


def _component(tables: _Tables, frame: bytes, scan: bytes, count: int) -> Component:
    if frame[0] != scan[0]:
        raise JpegUnsupported("header-damaged", "the scan names other components than the frame")
    across, down = (1, 1) if count == 1 else (frame[1] >> 4, frame[1] & 15)
    if not (1 <= across <= 4 and 1 <= down <= 4):
        raise JpegUnsupported("header-damaged", f"sampling {across}x{down}")
    try:
        return Component(
            frame[0],
            across,
            down,
            tables.quantisation[frame[2]],
            tables.huffman[0, scan[1] >> 4],
            tables.huffman[1, scan[1] & 15],
        )
    except KeyError as error:
        raise JpegUnsupported("header-damaged", f"table {error} is missing") from error


def _colour(tables: _Tables, components: tuple[Component, ...]) -> Colour:
    if len(components) == 1:
        return "grey"
    if len(components) == 4:
        return "cmyk" if tables.adobe_transform in (None, 0) else "ycck"
    if tables.jfif:
        return "ycc"
    if tables.adobe_transform is not None:
        return "rgb" if tables.adobe_transform == 0 else "ycc"
    return "rgb" if [c.identifier for c in components] == [82, 71, 66] else "ycc"
