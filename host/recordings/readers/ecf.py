"""Prophesee's ECF codec for events in HDF5 files, decoded here where HDF5 has no plugin for it.

A chunk is, in little-endian order: a word with the number of events and two flags; the first time and runs of
equal times after it; then x, y and polarity, all packed (flag 2), or runs of equal y followed by x and
polarity packed (flag 1) or by groups of neighbouring x and runs of polarity.
https://github.com/prophesee-ai/hdf5_ecf defines it by its source.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.jit import jit

_MOST_EVENTS: Final = 65_535
Bytes = npt.NDArray[np.uint8]
Columns = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16], npt.NDArray[np.uint16], npt.NDArray[np.uint8]]


def decode(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Columns t (int64, microseconds), x, y, p of the events of a chunk.

    Raises ValueError for a damaged one.
    """
    if len(data) < 12:
        raise ValueError(f"{len(data)} bytes are no ECF chunk")
    head = int.from_bytes(data[:4], "little")
    count = head >> 2
    if not 0 < count <= _MOST_EVENTS:
        raise ValueError(f"an ECF chunk of {count} events, at most {_MOST_EVENTS} are allowed")
    room = count + 8  # packed groups of four, and of up to six neighbours, end beyond the last event
    columns: Columns = (
        np.zeros(room, np.int64),
        np.zeros(room, np.uint16),
        np.zeros(room, np.uint16),
        np.zeros(room, np.uint8),
    )
    if not _decode(np.frombuffer(data, np.uint8), count, head & 3, columns):
        raise ValueError("the ECF chunk ends before its events, or a run in it is longer than they are")
    t, x, y, p = columns
    return {"t": t[:count], "x": x[:count], "y": y[:count], "p": p[:count]}


@jit()
def _decode(data: Bytes, count: int, flags: int, columns: Columns) -> bool:
    """Fill the columns; whether the bytes held all events."""
    t, x, y, p = columns
    at = _times(data, 4, count, t)
    if flags & 2:
        return _packed_all(data, at, count, x, y, p)
    at = _rows(data, at, count, y)
    if flags & 1:
        return _packed_x(data, at, count, x, p)
    return _polarities(data, _groups(data, at, count, x), count, p)


@jit()
def _word(data: Bytes, at: int, size: int) -> Any:
    """A little-endian number; the caller has checked that it is there."""
    value: Any = 0
    for i in range(size):
        value |= np.int64(data[at + i]) << (8 * i)
    return value


@jit()
def _run_length(data: Bytes, at: int, length: Any, longest: int) -> tuple[Any, int]:
    """Length of a run and the place after it: `longest` stands for one in the next two bytes.

    A run that the data ends in has length 0, which no run has.
    """
    if length != longest:
        return length, at
    if at + 2 > data.size:
        return np.int64(0), at
    return _word(data, at, 2), at + 2


@jit()
def _times(data: Bytes, at: int, count: int, t: npt.NDArray[np.int64]) -> int:
    """Runs of a step and a length in one byte; a step of 15 is the next 4 bits of a longer one.

    Returns the place after them, -1 for damage; so do the others.
    """
    now: Any = _word(data, at, 8)
    at += 8
    done = 0
    while done < count:
        if at >= data.size:
            return -1
        step: Any = np.int64(data[at] >> 4)
        length: Any = np.int64(data[at] & 15)
        at += 1
        if step == 15:
            long: Any = length
            shift = 4
            while at < data.size and data[at] >> 4 == 15:
                if shift >= 60:
                    return -1
                long |= np.int64(data[at] & 15) << shift
                shift += 4
                at += 1
            now += long
            continue
        now += step
        length, at = _run_length(data, at, length, 15)
        if length == 0 or done + length > count:
            return -1
        t[done : done + length] = now
        done += length
    return at


@jit()
def _rows(data: Bytes, at: int, count: int, y: npt.NDArray[np.uint16]) -> int:
    """Runs of equal y: 11 bits of it and 5 of a length, of which 31 stands for one in the next word."""
    done = 0
    while done < count:
        if at < 0 or at + 2 > data.size:
            return -1
        word = _word(data, at, 2)
        length, at = _run_length(data, at + 2, word & 31, 31)
        if length == 0 or done + length > count:
            return -1
        y[done : done + length] = word >> 5
        done += length
    return at


@jit()
def _groups(data: Bytes, at: int, count: int, x: npt.NDArray[np.uint16]) -> int:
    """11 bits of x, and 5 that say which of the five pixels after it have an event too."""
    done = 0
    while done < count:
        if at < 0 or at + 2 > data.size:
            return -1
        word = _word(data, at, 2)
        at += 2
        x[done] = word >> 5
        done += 1
        for i in range(5):
            if word >> (4 - i) & 1:
                x[done] = (word >> 5) + i + 1
                done += 1
    return at


@jit()
def _polarities(data: Bytes, at: int, count: int, p: npt.NDArray[np.uint8]) -> bool:
    """Runs of equal polarity: 1 bit of it and 7 of a length, of which 127 stands for one in two bytes."""
    done = 0
    while done < count:
        if at < 0 or at >= data.size:
            return False
        polarity = data[at] >> 7
        length, at = _run_length(data, at + 1, np.int64(data[at] & 127), 127)
        if length == 0 or done + length > count:
            return False
        p[done : done + length] = polarity
        done += length
    return True


@jit()
def _packed_x(data: Bytes, at: int, count: int, x: npt.NDArray[np.uint16], p: npt.NDArray[np.uint8]) -> bool:
    """Four numbers of 12 bits, 11 of x and 1 of polarity, in three words.

    The lowest bits of the next number follow in the word of the one before.
    """
    for first in range(0, count, 4):
        if at < 0 or at + 6 > data.size:
            return False
        a, b, c = _word(data, at, 2), _word(data, at + 2, 2), _word(data, at + 4, 2)
        four = (a >> 4, a & 15 | (b >> 8) << 4, b & 255 | (c >> 12) << 8, c & 4095)
        for i in range(4):
            x[first + i], p[first + i] = four[i] >> 1, four[i] & 1
        at += 6
    return True


@jit()
def _packed_all(
    data: Bytes,
    at: int,
    count: int,
    x: npt.NDArray[np.uint16],
    y: npt.NDArray[np.uint16],
    p: npt.NDArray[np.uint8],
) -> bool:
    """Four numbers of 24 bits, 11 of y, 11 of x and 1 of polarity, in three words of 32 likewise."""
    for first in range(0, count, 4):
        if at < 0 or at + 12 > data.size:
            return False
        a, b, c = _word(data, at, 4), _word(data, at + 4, 4), _word(data, at + 8, 4)
        four = (a >> 8, a & 0xFF | (b >> 16) << 8, b & 0xFFFF | (c >> 24) << 16, c & 0xFFFFFF)
        for i in range(4):
            y[first + i] = four[i] >> 12 & 2047
            x[first + i], p[first + i] = four[i] >> 1 & 2047, four[i] & 1
        at += 12
    return True
