"""Events to the tail of EVENTS frames and results from the tail of RESULTS frames, whole arrays at a time.

An event is ``varint(step_us << 1 | polarity)``, x, y: four bytes at N-MNIST's rates. The step is from the
event before, so a batch is encoded once and can be cut into frames anywhere: a frame's `base_us` is the
time of the event before its first. Where a step cannot be expressed (time runs backwards, or stands still
for 2^31 us) a frame must begin, with the event's own time as `base_us` and a step of 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.protocol import messages

MAX_STEP_US: Final = 2**31 - 1


@dataclass(frozen=True, eq=False)
class PackedEvents:
    """Encoded events `first` to `first` + n - 1 of a run.

    ``data``: their bytes, one after the other. ``offsets``: int64 (n + 1,), where each begins.
    ``base_us``: uint64 (n,), what the frame that begins with it must carry.
    ``breaks``: int64, ascending, local indices at which a frame must begin, and n.
    """

    first: int
    data: bytes
    offsets: npt.NDArray[np.int64]
    base_us: npt.NDArray[np.uint64]
    breaks: npt.NDArray[np.int64]
    last_us: int

    @property
    def end(self) -> int:
        """Index behind the last event."""
        return self.first + len(self.base_us)

    def cut(self, start: int, max_bytes: int, max_events: int) -> int:
        """Index behind the last event of the longest frame that begins with event `start`."""
        local = start - self.first
        by_bytes = int(np.searchsorted(self.offsets, self.offsets[local] + max_bytes, side="right")) - 1
        by_break = int(self.breaks[np.searchsorted(self.breaks, local, side="right")])
        return self.first + min(by_bytes, by_break, local + max_events)

    def tail(self, start: int, end: int) -> bytes:
        """Bytes of events `start` to `end` - 1."""
        return self.data[self.offsets[start - self.first] : self.offsets[end - self.first]]


def pack_events(events: Events, first: int, previous_us: int | None, wide: bool) -> PackedEvents:
    """Encode `events` (n >= 1), the first of which has index `first` in its run.

    previous_us: time of the event before, None at the start of a run. wide: two bytes a coordinate.
    Raises FeastError if a coordinate does not fit one byte and `wide` is false.
    """
    _check_coordinates(events, first, wide)
    time = events["t_us"].astype(np.uint64)
    before = np.concatenate([[time[0] if previous_us is None else np.uint64(previous_us)], time[:-1]])
    broken = (time < before) | (time - before > np.uint64(MAX_STEP_US))
    broken[0] |= previous_us is None
    base_us = np.where(broken, time, before).astype(np.uint64)
    value = ((time - base_us).astype(np.uint32) << np.uint32(1)) | (events["polarity"] != 0)
    coordinates = _coordinate_bytes(events, wide)
    data, offsets = _interleave(value, coordinates)
    breaks = np.append(np.flatnonzero(broken), len(events)).astype(np.int64)
    return PackedEvents(first, data, offsets, base_us, breaks, int(time[-1]))


def _check_coordinates(events: Events, first: int, wide: bool) -> None:
    if wide:
        return
    bad = np.flatnonzero((events["x"] >= messages.NARROW_SIDE) | (events["y"] >= messages.NARROW_SIDE))
    if bad.size:
        event = events[bad[0]]
        raise FeastError(
            f"event {first + int(bad[0])}: ({event['x']}, {event['y']}) cannot be sent: this device's sensor "
            f"has coordinates below {messages.NARROW_SIDE}"
        )


def _coordinate_bytes(events: Events, wide: bool) -> npt.NDArray[np.uint8]:
    """uint8 (n, 2), or (n, 4) if `wide`."""
    pairs = np.stack([events["x"], events["y"]], axis=1)
    return pairs.astype("<u2").view(np.uint8) if wide else pairs.astype(np.uint8)


def _interleave(
    value: npt.NDArray[np.uint32], coordinates: npt.NDArray[np.uint8]
) -> tuple[bytes, npt.NDArray[np.int64]]:
    """Bytes of varint(value[i]) and coordinates[i] for each i in turn, and where each event begins."""
    lengths = np.ones(len(value), np.int64)
    for bits in (7, 14, 21, 28):
        lengths += value >= np.uint32(1 << bits)
    offsets = np.zeros(len(value) + 1, np.int64)
    np.cumsum(lengths + coordinates.shape[1], out=offsets[1:])
    data = np.empty(offsets[-1], np.uint8)
    for i in range(int(lengths.max())):
        has = np.flatnonzero(lengths > i) if i else slice(None)
        septet = (value[has] >> np.uint32(7 * i)) & np.uint32(0x7F)
        more = (lengths[has] > i + 1).astype(np.uint8) << 7
        data[offsets[:-1][has] + i] = septet.astype(np.uint8) | more
    behind = offsets[:-1] + lengths
    for i in range(coordinates.shape[1]):
        data[behind + i] = coordinates[:, i]
    return data.tobytes(), offsets


def unpack_results(tail: bytes, wide: bool) -> Results:
    """Results in the tail of a RESULTS frame, int16; `wide`: two bytes each.

    Raises FeastError if `tail` ends within a result.
    """
    if wide and len(tail) % 2:
        raise FeastError("device sent half a result: build the firmware again and flash it")
    if wide:
        return np.frombuffer(tail, "<i2").astype(np.int16)
    narrow = np.frombuffer(tail, np.uint8).astype(np.int16)
    narrow[narrow >= messages.NARROW_FEATURES] -= 256
    return narrow
