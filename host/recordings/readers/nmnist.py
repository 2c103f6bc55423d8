"""The 40-bit event file of N-MNIST (Orchard et al. 2015), also used for N-Caltech101.

Five bytes an event, big-endian: x, y, then 1 bit of polarity and 23 bits of time in microseconds.
The file carries neither the sensor's size nor a count.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.host.recordings.readers.base import CUT, cut_off
from feast_codegen.host.recordings.reading import LeftOut, Reading

RECORD_BYTES: Final = 5


def check_size(path: Path, reading: Reading = Reading(), left_out: LeftOut | None = None) -> None:
    """Raise FeastError unless the file is there, is not empty and ends with a whole event.

    Where `reading` accepts truncated files, the rest of an event at the end is counted instead.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise FeastError(f"{path}: cannot read: {error.strerror}") from None
    if size == 0:
        raise FeastError(f"{path}: the file is empty")
    left = size % RECORD_BYTES
    if left and (not reading.accept_truncated or size < RECORD_BYTES):
        advice = f"; {CUT}" if size > RECORD_BYTES else ""
        raise FeastError(
            f"{path}: truncated at byte {size - left}: {left} of the {RECORD_BYTES} bytes of event "
            f"{size // RECORD_BYTES} are there{advice}"
        )
    if left:
        cut_off(path, left_out or LeftOut(), left)


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
