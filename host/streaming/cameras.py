"""Event cameras that speak over a serial port: eDVS (``!E2`` to ``!E4``) and OpenMV's GenX320.

eDVS: an event is ``1yyyyyyy pxxxxxxx`` and a big-endian timestamp in microseconds of 16 (``!E2``), 24
(``!E3``) or 32 bits (``!E4``), which wraps. A set high bit in the first byte keeps a reader synchronised.
GenX320: an event is six little-endian 16-bit words: type (1 brighter, 0 darker), seconds, milliseconds,
microseconds, x, y, as OpenMV's `IOCTL_GENX320_READ_EVENTS` gives them.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.model.model import Sensor

EdvsMode = Literal[2, 3, 4]
EDVS_SENSOR: Final = Sensor(128, 128)
GENX320_SENSOR: Final = Sensor(320, 320)
GENX320_COLUMNS: Final = ("type", "seconds", "milliseconds", "microseconds", "x", "y")
_START: Final = 0x80


class EdvsDecoder:
    """Bytes of an eDVS camera to events, in any chunking.

    ``dropped``: bytes that belong to no event. Times count on from the first event's, across wraps; a pause
    longer than the timestamps reach (65 ms, 16.8 s, 71 min) looks like a shorter one.
    """

    def __init__(self, mode: EdvsMode, invert_polarity: bool = False) -> None:
        """invert_polarity: some cameras send a 1 for darker."""
        if mode not in (2, 3, 4):
            raise FeastError(f"eDVS format !E{mode}: expected !E2, !E3 or !E4")
        self.dropped = 0
        self._stamp_bytes, self._invert = int(mode), invert_polarity
        self._rest = b""
        self._time_us: int | None = None

    def feed(self, data: bytes) -> Events:
        """The events that end in `data`."""
        data = self._rest + data
        size = 2 + self._stamp_bytes
        starts = self._starts(data, size)
        raw = np.frombuffer(data, np.uint8)
        rows = raw[starts[:, None] + np.arange(size)] if len(starts) else np.empty((0, size), np.uint8)
        events = np.zeros(len(rows), EVENT_DTYPE)
        events["y"] = rows[:, 0] & 0x7F
        events["x"] = rows[:, 1] & 0x7F
        events["polarity"] = (rows[:, 1] >> 7) ^ self._invert
        stamps = np.zeros(len(rows), np.int64)
        for column in range(2, size):
            stamps = stamps << 8 | rows[:, column]
        events["t_us"] = self._unwrap(stamps)
        return events

    def _starts(self, data: bytes, size: int) -> npt.NDArray[np.int64]:
        """Where events begin; what is left over is kept for the next call."""
        starts, at, end = [], 0, len(data)
        while at + size <= end:
            if data[at] & _START:
                starts.append(at)
                at += size
            else:
                self.dropped += 1
                at += 1
        while at < end and not data[at] & _START:
            self.dropped += 1
            at += 1
        self._rest = data[at:]
        return np.array(starts, np.int64)

    def _unwrap(self, stamps: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        if not len(stamps):
            return stamps.astype(np.uint64)
        modulus = 1 << 8 * self._stamp_bytes
        before = int(stamps[0]) if self._time_us is None else self._time_us
        steps = np.diff(stamps, prepend=before % modulus) % modulus
        times = before + np.cumsum(steps)
        self._time_us = int(times[-1])
        return times.astype(np.uint64)


def are_pixel_events(rows: npt.NDArray[np.uint16]) -> npt.NDArray[np.bool_]:
    """Which rows, uint16 (n, 6), are events of a pixel (docs/reference/input.md)."""
    return (rows[:, 0] <= 1) & (rows[:, 2] <= 999) & (rows[:, 3] <= 999)


class Genx320Decoder:
    """Bytes of GenX320 events to events, in any chunking. Seconds wrap after 18 hours."""

    def __init__(self, invert_polarity: bool = False) -> None:
        self._invert = invert_polarity
        self._rest = b""
        self._wraps = 0
        self._seconds = 0

    def feed(self, data: bytes) -> Events:
        """The events that end in `data`. Raises FeastError if it is no such stream."""
        data = self._rest + data
        whole = len(data) - len(data) % 12
        self._rest = data[whole:]
        return self.decode(np.frombuffer(data[:whole], "<u2").reshape(-1, 6))

    def decode(self, rows: npt.NDArray[np.uint16]) -> Events:
        """uint16 (n, 6) to events."""
        bad = np.flatnonzero(~are_pixel_events(rows) | (rows[:, 4:] > 319).any(axis=1))
        if bad.size:
            values = dict(zip(GENX320_COLUMNS, rows[bad[0]].tolist(), strict=True))
            raise FeastError(f"GenX320 event {bad[0]}: {values} is no event of this camera: out of step?")
        events = np.zeros(len(rows), EVENT_DTYPE)
        seconds = rows[:, 1].astype(np.int64)
        if len(rows):
            steps = np.diff(seconds, prepend=self._seconds)
            wraps = self._wraps + np.cumsum(steps < -(1 << 15))
            self._wraps, self._seconds = int(wraps[-1]), int(seconds[-1])
            seconds = seconds + (wraps << 16)
        milliseconds = seconds * 1000 + rows[:, 2]
        events["t_us"] = (milliseconds * 1000 + rows[:, 3]).astype(np.uint64)
        events["x"], events["y"] = rows[:, 4], rows[:, 5]
        events["polarity"] = rows[:, 0] ^ self._invert
        return events
