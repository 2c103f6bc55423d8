"""Event Stream files (``.es``), version 2: change detection events of DVS and ATIS cameras.

Times are steps in microseconds from the event before. The format names no origin: y is taken as it is stored.
https://github.com/neuromorphic-paris/event_stream
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events
from feast_codegen.codegen.base.jit import jit
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers.base import (
    CUT,
    Recording,
    blocks,
    cut_off,
    fault,
    make_events,
    opened,
    size_of,
)
from feast_codegen.host.recordings.reading import LeftOut, Reading

_SIGNATURE: Final = b"Event Stream"
_HEADER_BYTES: Final = 20
_DVS, _ATIS = 1, 2
_KINDS: Final = {0: "generic", 1: "DVS", 2: "ATIS", 3: "display", 4: "colour"}
_EVENT_BYTES: Final = 5

T_US, BYTE, FIRST, X, Y = range(5)
"""Indices of the state: time, which byte of an event comes next, and what of it has been read."""


def open_es(path: Path, reading: Reading = Reading(), left_out: LeftOut | None = None) -> Recording:
    """Open a file. Raises FeastError for another version or kind of stream, or if it is truncated."""
    said = left_out or LeftOut()
    with opened(path) as file:
        header = file.read(_HEADER_BYTES)
    if header[:12] != _SIGNATURE[: len(header)] or len(header) < 13:
        raise fault(path, 0, "does not begin with 'Event Stream'")
    if header[12] != 2:
        raise fault(path, 12, f"version {header[12]} of the format, supported: 2")
    kind = header[15] if len(header) > 15 else -1
    if kind not in (_DVS, _ATIS):
        raise fault(path, 15, f"a stream of {_KINDS.get(kind, 'unknown')} events, supported: DVS and ATIS")
    if len(header) < _HEADER_BYTES or size_of(path) == _HEADER_BYTES:
        raise fault(path, len(header), "the file ends before the first event")
    width, height = (int.from_bytes(header[at : at + 2], "little") for at in (16, 18))
    try:
        sensor = Sensor.parse(f"{width}x{height}")
    except FeastError as error:
        raise fault(path, 16, str(error)) from None

    def chunks() -> Iterator[Events]:
        state = np.zeros(5, np.int64)
        end = _HEADER_BYTES
        for at, data in blocks(path, _HEADER_BYTES, 1):
            values = np.frombuffer(data, np.uint8)
            most = values.size // _EVENT_BYTES + 1
            columns = [np.empty(most, dtype) for dtype in (np.int64, np.uint16, np.uint16, np.uint16)]
            count = _decode(values, kind == _ATIS, state, tuple(columns))
            end = at + len(data)
            if count:
                yield make_events(*(column[:count] for column in columns))
        left = int(state[BYTE])
        if left and not reading.accept_truncated:
            problem = f"truncated: {left} of the {_EVENT_BYTES} bytes of an event; {CUT}"
            raise fault(path, end - left, problem)
        if left:
            cut_off(path, said, left)

    return Recording(sensor, chunks)


@jit()
def _decode(
    data: npt.NDArray[np.uint8], atis: bool, state: npt.NDArray[np.int64], columns: tuple[Any, ...]
) -> int:
    """Events from bytes, with time overflows and resets between them; gray levels of ATIS are left out."""
    t_us, x, y, polarity = columns
    shift = 2 if atis else 1
    top = (1 << (8 - shift)) - 1
    count = 0
    for i in range(data.size):
        value = np.int64(data[i])
        if state[BYTE] == 0:
            if value >> shift != top:
                state[T_US] += value >> shift
                state[FIRST] = value
                state[BYTE] = 1
            elif atis:
                state[T_US] += top * (value & 3)  # none: a reset
            elif value & 1:  # else a reset
                state[T_US] += top
        elif state[BYTE] == 1:
            state[X] = value
            state[BYTE] = 2
        elif state[BYTE] == 2:
            state[X] |= value << 8
            state[BYTE] = 3
        elif state[BYTE] == 3:
            state[Y] = value
            state[BYTE] = 4
        else:
            state[BYTE] = 0
            if not (atis and state[FIRST] & 1):
                t_us[count] = state[T_US]
                x[count] = state[X]
                y[count] = state[Y] | value << 8
                polarity[count] = (state[FIRST] >> 1 if atis else state[FIRST]) & 1
                count += 1
    return count
