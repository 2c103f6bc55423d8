"""jAER's AEDAT 2 files: sensor addresses whose layout depends on the camera; the header names its class.

jAER mirrors x and counts y from the bottom, so that here, with y from the top, both are mirrored. Times are
microseconds of the device's clock. v2e writes such files without a name: the user's sensor then chooses the
layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers.base import (
    BLOCK_BYTES,
    Recording,
    Unwrapper,
    blocks,
    check_whole,
    fault,
    make_events,
    opened,
)
from feast_codegen.host.recordings.readers.streams import choose
from feast_codegen.host.recordings.reading import LeftOut, Reading

Words = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Where an address of 32 bits holds x, y and polarity."""

    name: str
    sensor: Sensor
    x_shift: int
    x_mask: int
    y_shift: int
    y_mask: int
    polarity_shift: int
    on: int
    """Value of the polarity's bit for brighter."""
    special: int
    """Bits of what is no polarity event: frames, inertial samples, external events, synchronisation."""
    camera_mask: int = 0
    """Lowest bits that hold the number of one of several cameras."""

    @property
    def unused(self) -> int:
        """Bits that no address of a polarity event has."""
        used = self.x_mask << self.x_shift | self.y_mask << self.y_shift | 1 << self.polarity_shift
        return 0xFFFF_FFFF & ~(used | self.special | self.camera_mask)


def _davis(name: str, width: int, height: int, camera_mask: int = 0) -> Layout:
    return Layout(name, Sensor(width, height), 12, 0x3FF, 22, 0x1FF, 11, 1, 0x8000_0400, camera_mask)


DVS128: Final = Layout("DVS128", Sensor(128, 128), 1, 0x7F, 8, 0x7F, 0, 0, 0x8000)
_SIZES: Final = {
    "128": (128, 128),
    "208": (208, 192),
    "240": (240, 180),
    "346": (346, 260),
    "640": (640, 480),
}
_DAVIS: Final = {number: _davis(f"DAVIS{number}", *size) for number, size in _SIZES.items()}
_MULTI: Final = {number: _davis(f"MultiDAVIS{number}", *_SIZES[number], 0xF) for number in ("240", "346")}
_BY_SENSOR: Final = {str(each.sensor): each for each in (_DAVIS["346"], _DAVIS["240"], _DAVIS["640"], DVS128)}
"""Layouts that the user's sensor chooses where no camera is named."""
_DAVIS_CLASS: Final = re.compile(
    r"davis(?:(128)(?:color)?|(208)pixelparade(?:color)?|(240)[abc]?|(640)(?:color)?|"
    r"(346)(?:a|b|blue|red|cbsi|mini|zynq|bcolor|redcolor))"
)
"""jAER's classes of these cameras, in lower case and without their packages."""
_MULTI_CLASS: Final = re.compile(r"multidavis(240|346)[a-c]?camera(?:chip)?")
_OTHER_CLASSES: Final = re.compile(
    r"dvs(?!128$).*|dvxplorer.*|.*cochlea.*|.*stereo.*|c?davisrgb.*|cdavis.*|multi.*"
)
"""Cameras that are known to store addresses otherwise."""


def open_aedat2(path: Path, start: int, lines: list[str], reading: Reading, left_out: LeftOut) -> Recording:
    """Open a file whose events begin at byte `start`, after these lines.

    Raises FeastError for cameras whose layout is not known, and for a truncated file.
    """
    layout = _layout(path, lines, reading)
    check_whole(path, start, 8, "event", reading, left_out)
    camera = None
    if layout.camera_mask:
        cameras = [str(number) for number in _cameras(path, start, layout)]
        camera = int(choose(path, "camera", cameras, reading, left_out)) if cameras else 0
    elif reading.stream is not None:
        raise FeastError(f"{path}: --stream {reading.stream!r}: the file is of one camera, a {layout.name}")
    width, height = layout.sensor.width, layout.sensor.height

    def chunks() -> Iterator[Events]:
        unwrap = Unwrapper(32)
        for at, data in blocks(path, start, 8):
            words = np.frombuffer(data, ">u4").reshape(-1, 2)
            t_us, address = unwrap(words[:, 1]), words[:, 0].astype(np.int64)
            wanted = address & layout.special == 0
            _check_bits(path, at, layout, address, wanted)
            if camera is not None:
                wanted &= address & layout.camera_mask == camera
            x, y = address >> layout.x_shift & layout.x_mask, address >> layout.y_shift & layout.y_mask
            polarity = (address >> layout.polarity_shift & 1) == layout.on
            # An address beyond the sensor comes out below 0, as a uint16 outside, and is checked as any.
            x, y = width - 1 - x, height - 1 - y
            yield make_events(t_us[wanted], x[wanted], y[wanted], polarity[wanted])

    return Recording(layout.sensor, chunks)


def _layout(path: Path, lines: list[str], reading: Reading) -> Layout:
    match = re.search(r"AEChip: *(?:class )?(\S+)", "\n".join(lines))
    name = match[1].rpartition(".")[2].lower() if match else ""
    if name in ("dvs128", "tmpdiff128"):
        return DVS128
    if davis := _DAVIS_CLASS.fullmatch(name):
        return _DAVIS[next(number for number in davis.groups() if number)]
    if multi := _MULTI_CLASS.fullmatch(name):
        return _MULTI[multi[1]]
    choices = ", ".join(f"{size} ({layout.name})" for size, layout in _BY_SENSOR.items())
    named = f"the camera {match[1]}" if match else "no camera"
    if _OTHER_CLASSES.fullmatch(name):
        raise FeastError(
            f"{path}: AEDAT 2 of {named}, whose layout of addresses is unknown; known: DVS128, "
            f"DAVIS128, 208, 240, 346 and 640; save it as AEDAT 4 or text"
        )
    layout = _BY_SENSOR.get(str(reading.sensor))
    if layout is None:
        raise FeastError(f"{path}: its header names {named}; --sensor must choose its layout: {choices}")
    return layout


def _check_bits(path: Path, at: int, layout: Layout, address: Words, wanted: npt.NDArray[Any]) -> None:
    """Raise FeastError for the first polarity event at or after byte `at` with a bit that it cannot have."""
    bad = wanted & (address & layout.unused != 0)
    if bad.any():
        first = int(np.argmax(bad))
        raise fault(
            path,
            at + 8 * first,
            f"address 0x{int(address[first]):08x} has bits that none of a {layout.name} has: the file is of "
            f"another camera, or of several",
        )


def _cameras(path: Path, start: int, layout: Layout) -> list[int]:
    """Numbers of the cameras that the first events are of."""
    with opened(path) as file:
        file.seek(start)
        data = file.read(BLOCK_BYTES)
    address = np.frombuffer(data[: len(data) // 8 * 8], ">u4")[::2].astype(np.int64)
    return [int(number) for number in np.unique(address[address & layout.special == 0] & layout.camera_mask)]
