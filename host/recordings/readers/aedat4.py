"""iniVation's AEDAT 4 files (DV), by the library `aedat`: x and y from the upper left, times since 1970.

https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-4.0.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers.base import (
    CUT,
    Recording,
    cut_off,
    fault,
    make_events,
    opened,
    size_of,
)
from feast_codegen.host.recordings.readers.streams import choose
from feast_codegen.host.recordings.reading import LeftOut, Reading


def open_aedat4(path: Path, reading: Reading = Reading(), left_out: LeftOut | None = None) -> Recording:
    """Open a file of version 4; events of its first event stream, or of the one that `reading` says.

    Raises FeastError if there is none, or what the library says with the byte it had come to.
    """
    import aedat

    said = left_out or LeftOut()
    whole, end, cut = _whole_packets(path)
    with _library(lambda reason: fault(path, 0, f"not an AEDAT 4 file: {reason}")):
        streams = aedat.Decoder(str(path)).id_to_stream()
    numbers = sorted(number for number, stream in streams.items() if stream["type"] == "events")
    if not numbers:
        raise FeastError(f"{path}: holds no stream of events")
    wanted = int(choose(path, "stream", [str(number) for number in numbers], reading, said))
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
        if cut and not reading.accept_truncated:
            raise damaged(f"a packet ends beyond the file; {CUT}")
        if cut:
            cut_off(path, said, size_of(path) - end)

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
