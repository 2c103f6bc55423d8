"""iniVation's AEDAT files: 2 (jAER), 3.1 (cAER) and 4 (DV).

Version 2 stores sensor addresses; jAER mirrors x and counts y from the bottom, so that here, with y from
the top, both are mirrored. Versions 3.1 and 4 store coordinates from the upper left corner. Times are
microseconds of the device's clock, in version 4 since 1970.
https://docs.inivation.com/software/software-advanced-usage/file-formats/
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from codegen.errors import FeastError
from codegen.model import Sensor
from codegen.records import Events
from host.readers.base import (
    Recording,
    Unwrapper,
    blocks,
    check_whole,
    fault,
    header_lines,
    make_events,
    opened,
    size_of,
)

_CAMERAS: Final = {
    "dvs128": Sensor(128, 128),
    "davis128": Sensor(128, 128),
    "davis208": Sensor(208, 192),
    "davis240": Sensor(240, 180),
    "davis346": Sensor(346, 260),
    "davis640": Sensor(640, 480),
    "dvxplorer": Sensor(640, 480),
}
_PACKET: Final = np.dtype(
    [
        ("type", "<u2"),
        ("source", "<u2"),
        ("size", "<u4"),
        ("ts_offset", "<u4"),
        ("overflow", "<u4"),
        ("capacity", "<u4"),
        ("number", "<u4"),
        ("valid", "<u4"),
    ]
)
_POLARITY: Final = 1
_LARGEST_PACKET: Final = 1 << 28
"""Bytes; a header that says more is no header."""


def open_aedat(path: Path, sensor: Sensor | None = None) -> Recording:
    """Open a file of version 2 or 3.1. `sensor` is for cameras its header does not name.

    Raises FeastError for other versions, unknown cameras and truncated files.
    """
    lines, start = header_lines(path, b"#", (b"#End Of ASCII Header", b"#!END-HEADER"))
    version = lines[0] if lines else ""
    text = "\n".join(lines)
    if version.startswith("!AER-DAT2"):
        return _open_2(path, start, text, sensor)
    if version.startswith("!AER-DAT3.1"):
        return _open_31(path, start, _camera(re.search(r"Source \d+: *(\S+)", text)))
    raise fault(path, 0, f"begins with {version[:12]!r}, supported: #!AER-DAT2.0, #!AER-DAT3.1 and .aedat4")


def _camera(match: re.Match[str] | None) -> Sensor | None:
    name = _class_name(match) if match else ""
    return next((size for key, size in _CAMERAS.items() if key in name), None)


def _class_name(match: re.Match[str]) -> str:
    """The last part of a Java class name, in lower case: its packages may be called like other cameras."""
    return match[1].lower().rpartition(".")[2]


def _open_2(path: Path, start: int, text: str, told: Sensor | None) -> Recording:
    chip = re.search(r"AEChip: *(?:class )?(\S+)", text)
    sensor = _camera(chip)
    if sensor is None and told == _CAMERAS["dvs128"]:
        sensor = told
    if sensor is None:
        raise FeastError(
            f"{path}: its header names {'the camera ' + chip[1] if chip else 'no camera'}; known: "
            f"{', '.join(_CAMERAS)}; --sensor 128x128 reads it as of a DVS128"
        )
    dvs128 = not (chip and "davis" in _class_name(chip))
    check_whole(path, start, 8, "event")
    width, height = sensor.width, sensor.height

    def chunks() -> Iterator[Events]:
        unwrap = Unwrapper(32)
        for _, data in blocks(path, start, 8):
            words = np.frombuffer(data, ">u4").reshape(-1, 2)
            t_us, address = unwrap(words[:, 1]), words[:, 0].astype(np.int64)
            if dvs128:
                wanted = address & 0x8000 == 0  # else a synchronisation mark
                x, y, polarity = address >> 1 & 0x7F, address >> 8 & 0x7F, address & 1 ^ 1
            else:
                wanted = address & 0x8000_0400 == 0  # else a frame's sample, or an external event
                x, y, polarity = address >> 12 & 0x3FF, address >> 22 & 0x1FF, address >> 11 & 1
            # An address beyond the sensor comes out below 0, as a uint16 outside, and is checked as any.
            x, y = width - 1 - x, height - 1 - y
            yield make_events(t_us[wanted], x[wanted], y[wanted], polarity[wanted])

    return Recording(sensor, chunks)


def _open_31(path: Path, start: int, sensor: Sensor | None) -> Recording:
    if size_of(path) <= start:
        raise fault(path, start, "the file ends before the first packet")

    def chunks() -> Iterator[Events]:
        size, at = size_of(path), start
        with opened(path) as file:
            file.seek(start)
            while at < size:
                head = file.read(_PACKET.itemsize)
                if len(head) < _PACKET.itemsize:
                    raise fault(path, at, f"truncated: {len(head)} of the 28 bytes of a packet's header")
                packet = np.frombuffer(head, _PACKET)[0]
                length = int(packet["size"]) * int(packet["capacity"])
                if length > _LARGEST_PACKET or packet["number"] > packet["capacity"]:
                    raise fault(path, at, "not the header of a packet")
                data = file.read(length)
                if len(data) < length:
                    raise fault(
                        path,
                        at + _PACKET.itemsize,
                        f"truncated: {len(data)} of the {length} bytes of a packet",
                    )
                if packet["type"] == _POLARITY:
                    if packet["size"] != 8:
                        raise fault(path, at, f"polarity events of {packet['size']} bytes, expected 8")
                    yield _polarity_packet(packet, data)
                at += _PACKET.itemsize + length

    return Recording(sensor, chunks)


def _polarity_packet(packet: Any, data: bytes) -> Events:
    words = np.frombuffer(data, "<u4").reshape(-1, 2)[: packet["number"]]
    words = words[words[:, 0] & 1 == 1]  # the valid ones
    address = words[:, 0]
    t_us = (int(packet["overflow"]) << 31) + words[:, 1].astype(np.int64)
    return make_events(t_us, address >> 17, address >> 2 & 0x7FFF, address >> 1 & 1)


def open_aedat4(path: Path) -> Recording:
    """Open a file of version 4 with the library `aedat`; events of its first event stream.

    Raises FeastError if there is none, or what the library says with the byte it had come to.
    """
    import aedat

    whole, end, cut = _whole_packets(path)
    with _library(lambda reason: fault(path, 0, f"not an AEDAT 4 file: {reason}")):
        streams = aedat.Decoder(str(path)).id_to_stream()
    wanted = min((number for number, stream in streams.items() if stream["type"] == "events"), default=None)
    if wanted is None:
        raise FeastError(f"{path}: holds no stream of events")
    try:
        sensor = Sensor.parse(f"{streams[wanted]['width']}x{streams[wanted]['height']}")
    except FeastError as error:
        raise FeastError(f"{path}: {error}") from None

    def chunks() -> Iterator[Events]:
        seen = 0

        def damaged(reason: str) -> FeastError:
            return fault(path, end, f"damaged or truncated after event {seen}: {reason}")

        with _library(damaged):
            packets = iter(aedat.Decoder(str(path)))
        for _ in range(whole):
            with _library(damaged):
                packet = next(packets, None)
            if packet is not None and packet["stream_id"] == wanted and "events" in packet:
                events = packet["events"]
                seen += len(events)
                yield make_events(events["t"], events["x"], events["y"], events["on"])
        if cut:
            raise damaged("a packet ends beyond the file")

    return Recording(sensor, chunks)


def _whole_packets(path: Path) -> tuple[int, int, bool]:
    """How many packets end within the file, where the last of them does, and whether one is cut off there.

    After a line of 14 bytes and a sized header, a packet is a stream, a size, and as many bytes. The library
    would take as much memory as a size says.
    """
    size, count = size_of(path), 0
    with opened(path) as file:
        length = int.from_bytes(file.read(18)[14:], "little")
        at = 18 + length
        if at > size:
            raise fault(path, 14, f"not an AEDAT 4 file: its header would end at byte {at} of {size}")
        end = _end_of_packets(file.read(length))
        end = end if at <= end <= size else size
        while at < end:
            file.seek(at)
            head = file.read(8)
            following = at + 8 + int.from_bytes(head[4:], "little")
            if len(head) < 8 or following > end:
                break
            at, count = following, count + 1
    return count, at, at < end


def _end_of_packets(header: bytes) -> int:
    """Where a table of the packets follows them, as the header (a flatbuffer) says; -1 if it does not."""
    try:
        (table,) = struct.unpack_from("<I", header)
        (back,) = struct.unpack_from("<i", header, table)
        (place,) = struct.unpack_from("<H", header, table - back + 6)  # the second field
        return int(struct.unpack_from("<q", header, table + place)[0]) if place else -1
    except struct.error:
        return -1


@contextmanager
def _library(problem: Callable[[str], FeastError]) -> Iterator[None]:
    """For calls of `aedat`: errors, and panics (no Exception), become ``problem(first line)``."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, RuntimeError) and type(error).__name__ != "PanicException":
            raise
        raise problem((str(error).splitlines() or [type(error).__name__])[0]) from None
