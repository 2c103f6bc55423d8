"""iniVation's AEDAT files: 2 (jAER, see `aedat2`) and 3.1 (cAER, here); version 4 is in `aedat4`.

Version 3.1 stores coordinates from the upper left corner, and times in microseconds of the device's clock.
https://docs.inivation.com/software/software-advanced-usage/file-formats/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers.aedat2 import open_aedat2
from feast_codegen.host.recordings.readers.base import (
    CUT,
    Recording,
    cut_off,
    fault,
    header_lines,
    make_events,
    opened,
    size_of,
)
from feast_codegen.host.recordings.readers.streams import choose
from feast_codegen.host.recordings.reading import LeftOut, Reading

_DAVIS: Final = {
    "128": Sensor(128, 128),
    "208": Sensor(208, 192),
    "240": Sensor(240, 180),
    "346": Sensor(346, 260),
    "640": Sensor(640, 480),
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


def open_aedat(path: Path, reading: Reading = Reading(), left_out: LeftOut | None = None) -> Recording:
    """Open a file of version 2 or 3.1. The sensor of `reading` is for cameras its header does not name.

    Raises FeastError for other versions, unknown cameras and truncated files.
    """
    said = left_out or LeftOut()
    lines, start = header_lines(path, b"#", (b"#End Of ASCII Header", b"#!END-HEADER"))
    version = lines[0] if lines else ""
    if version.startswith("!AER-DAT2"):
        return open_aedat2(path, start, lines, reading, said)
    if version.startswith("!AER-DAT3.1"):
        return _open_31(path, start, lines, reading, said)
    raise fault(path, 0, f"begins with {version[:12]!r}, supported: #!AER-DAT2.0, #!AER-DAT3.1 and .aedat4")


def _open_31(path: Path, start: int, lines: list[str], reading: Reading, said: LeftOut) -> Recording:
    for line in lines:
        if (match := re.fullmatch(r"Format: *(.+)", line)) and match[1] != "RAW":
            raise FeastError(
                f"{path}: AEDAT 3.1 of format {match[1][:40]!r}, which compresses; supported: RAW, as cAER "
                f"writes it with its compression off"
            )
    if size_of(path) <= start:
        raise fault(path, start, "the file ends before the first packet")
    sources = _sources(path, start)
    wanted = int(choose(path, "source", [str(number) for number in sources], reading, said)) if sources else 0

    def chunks() -> Iterator[Events]:
        end = start
        for at, packet, data in _packets(path, start, reading.accept_truncated):
            if packet["type"] == _POLARITY and packet["source"] == wanted:
                if packet["size"] != 8:
                    raise fault(path, at, f"polarity events of {packet['size']} bytes, expected 8")
                yield _polarity_packet(packet, data)
            end = at + _PACKET.itemsize + int(packet["size"]) * int(packet["capacity"])
        if end != size_of(path):
            cut_off(path, said, 1, "packets")

    return Recording(_sensor(lines, wanted), chunks)


def _sensor(lines: list[str], source: int) -> Sensor | None:
    """Of the camera that the header names as this source, None for one of unknown size."""
    for line in lines:
        match = re.fullmatch(r"Source (\d{1,5}): *(\S+).*", line)
        if match and int(match[1]) == source:
            name = match[2].lower()
            davis = re.fullmatch(r"davis(\d{3})[a-z]*", name)
            return Sensor(128, 128) if name == "dvs128" else _DAVIS.get(davis[1]) if davis else None
    return None


def _sources(path: Path, start: int) -> list[int]:
    """Numbers of the sources that have polarity events, as far as the headers of packets make sense."""
    found, size, at = set(), size_of(path), start
    with opened(path) as file:
        while at < size:
            file.seek(at)
            head = file.read(_PACKET.itemsize)
            if len(head) < _PACKET.itemsize:
                break
            packet = np.frombuffer(head, _PACKET)[0]
            if packet["type"] == _POLARITY:
                found.add(int(packet["source"]))
            at += _PACKET.itemsize + int(packet["size"]) * int(packet["capacity"])
    return sorted(found)


def _packets(path: Path, start: int, accept_truncated: bool) -> Iterator[tuple[int, Any, bytes]]:
    """Yield (offset, header, bytes) of each packet; of one that is cut off, the whole events if accepted."""
    size, at = size_of(path), start
    with opened(path) as file:
        file.seek(start)
        while at < size:
            head = file.read(_PACKET.itemsize)
            if len(head) < _PACKET.itemsize:
                if accept_truncated:
                    return
                raise fault(path, at, f"truncated: {len(head)} of the 28 bytes of a packet's header; {CUT}")
            packet = np.frombuffer(head, _PACKET)[0]
            length = int(packet["size"]) * int(packet["capacity"])
            if length > _LARGEST_PACKET or packet["number"] > packet["capacity"]:
                raise fault(path, at, "not the header of a packet")
            data = file.read(length)
            if len(data) < length:
                if accept_truncated:
                    yield at, packet, data[: len(data) // int(packet["size"]) * int(packet["size"])]
                    return
                raise fault(
                    path,
                    at + _PACKET.itemsize,
                    f"truncated: {len(data)} of the {length} bytes of a packet; {CUT}",
                )
            yield at, packet, data
            at += _PACKET.itemsize + length


def _polarity_packet(packet: Any, data: bytes) -> Events:
    words = np.frombuffer(data, "<u4").reshape(-1, 2)[: packet["number"]]
    words = words[words[:, 0] & 1 == 1]  # the valid ones
    address = words[:, 0]
    t_us = (int(packet["overflow"]) << 31) + words[:, 1].astype(np.int64)
    return make_events(t_us, address >> 17, address >> 2 & 0x7FFF, address >> 1 & 1)
