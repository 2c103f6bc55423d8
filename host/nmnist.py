"""The 40-bit event file of N-MNIST (Orchard et al. 2015), also used for N-Caltech101.

Five bytes an event, big-endian: x, y, then 1 bit of polarity and 23 bits of time in microseconds.
The file carries neither the sensor's size nor a count.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from codegen.errors import FeastError
from codegen.records import EVENT_DTYPE, Events

RECORD_BYTES: Final = 5
MAX_TIME_US: Final = 2**23 - 1
MAX_COORDINATE: Final = 255


def check_size(path: Path) -> None:
    """Raise FeastError unless the file is there, is not empty and ends with a whole event."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise FeastError(f"{path}: cannot read: {error.strerror}") from None
    if size == 0:
        raise FeastError(f"{path}: the file is empty")
    if size % RECORD_BYTES:
        whole = size - size % RECORD_BYTES
        raise FeastError(
            f"{path}: truncated at byte {whole}: {size - whole} of the {RECORD_BYTES} bytes of event "
            f"{whole // RECORD_BYTES} are there"
        )


def read_bin(path: Path) -> Events:
    """Read all events of a file, as they stand. Raises FeastError as `check_size` does."""
    check_size(path)
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise FeastError(f"{path}: cannot read: {error.strerror}") from None


def decode(data: bytes) -> Events:
    """Events of a whole number of 5-byte records."""
    columns = np.frombuffer(data, np.uint8).reshape(-1, RECORD_BYTES).T
    events = np.zeros(columns.shape[1], EVENT_DTYPE)
    events["x"] = columns[0]
    events["y"] = columns[1]
    events["polarity"] = columns[2] >> 7
    high, middle, low = columns[2:].astype(np.uint64)
    events["t_us"] = (high & 0x7F) << 16 | middle << 8 | low
    return events


def encode(events: Events) -> bytes:
    """Inverse of `decode`. Raises FeastError naming the first event that the format cannot hold."""
    too_large = (
        (events["x"] > MAX_COORDINATE)
        | (events["y"] > MAX_COORDINATE)
        | (events["polarity"] > 1)
        | (events["t_us"] > MAX_TIME_US)
    )
    if too_large.any():
        first = int(np.argmax(too_large))
        raise FeastError(
            f"event {first} {events[first]}: a 40-bit event holds x and y up to {MAX_COORDINATE}, "
            f"polarity 0 or 1 and times up to {MAX_TIME_US} us"
        )
    time_us = events["t_us"].astype(np.uint32)
    columns = (
        events["x"],
        events["y"],
        events["polarity"].astype(np.uint32) << 7 | time_us >> 16,
        time_us >> 8 & 0xFF,
        time_us & 0xFF,
    )
    return np.stack([column.astype(np.uint8) for column in columns], axis=1).tobytes()


def write_bin(path: Path, events: Events) -> None:
    """Write events in this format. Raises FeastError as `encode` does, before anything is written."""
    data = encode(events)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise FeastError(f"{path}: cannot write: {error.strerror}") from None
