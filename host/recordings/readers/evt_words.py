"""The compiled loops that decode Prophesee's EVT 2, 2.1 and 3 words.

Each takes the words of a block and the decoder's state, fills the columns, and returns how many events
there are. Words of other types, as some cameras put among them, are counted and otherwise passed over. Events
before the first time word are dropped: their time is not known. A time word that falls by more than half its
range has wrapped.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.jit import jit

Int64Array = npt.NDArray[np.int64]
Number = np.int64
Columns = tuple[Int64Array, Any, Any, Any]

HIGH, EPOCH, LOW, X, Y, POLARITY, UNKNOWN, UNTIMED = range(8)
"""Indices of the state. HIGH is -1 before the first time word; LOW to POLARITY are of EVT 3.

UNKNOWN counts the words of other types, UNTIMED those of EVT 2 with events before the first time word.
"""
EVT2_HIGH_BITS: Final = 28
EVT3_HIGH_BITS: Final = 12


def new_state() -> Int64Array:
    """State before the first word."""
    return np.array([-1, 0, 0, 0, 0, 0, 0, 0], np.int64)


@jit()
def _set_high(state: Int64Array, high: Number, bits: int) -> None:
    if state[HIGH] >= 0 and state[HIGH] - high > 1 << (bits - 1):
        state[EPOCH] += 1
    state[HIGH] = high


@jit()
def _time(state: Int64Array, bits: int, low_bits: int, low: Number) -> Number:
    time: np.int64 = (((state[EPOCH] << bits) + state[HIGH]) << low_bits) + low
    return time


@jit()
def decode_evt2(words: npt.NDArray[np.uint32], state: Int64Array, columns: Columns) -> int:
    """32-bit words: 6 bits of time, x and y of 11 bits with each event."""
    t_us, x, y, polarity = columns
    count = 0
    for i in range(words.size):
        word = np.int64(words[i])
        kind = word >> 28
        if kind <= 1:
            if state[HIGH] >= 0:
                t_us[count] = _time(state, EVT2_HIGH_BITS, 6, (word >> 22) & 0x3F)
                x[count] = (word >> 11) & 0x7FF
                y[count] = word & 0x7FF
                polarity[count] = kind
                count += 1
            else:
                state[UNTIMED] += 1
        elif kind == 8:
            _set_high(state, word & 0xFFFFFFF, EVT2_HIGH_BITS)
        elif kind not in (0xA, 0xE, 0xF):
            state[UNKNOWN] += 1
    return count


@jit()
def decode_evt21(words: npt.NDArray[np.uint64], state: Int64Array, columns: Columns) -> int:
    """64-bit words: up to 32 events side by side, one for each bit set."""
    t_us, x, y, polarity = columns
    count = 0
    for i in range(words.size):
        kind = np.int64(words[i] >> np.uint64(60))
        upper = np.int64((words[i] >> np.uint64(32)) & np.uint64(0xFFFFFFF))
        if kind <= 1:
            if state[HIGH] >= 0:
                valid = np.int64(words[i] & np.uint64(0xFFFFFFFF))
                for bit in range(32):
                    if (valid >> bit) & 1:
                        t_us[count] = _time(state, EVT2_HIGH_BITS, 6, upper >> 22)
                        x[count] = ((upper >> 11) & 0x7FF) + bit
                        y[count] = upper & 0x7FF
                        polarity[count] = kind
                        count += 1
        elif kind == 8:
            _set_high(state, upper, EVT2_HIGH_BITS)
        elif kind not in (0xA, 0xE, 0xF):
            state[UNKNOWN] += 1
    return count


@jit()
def decode_evt3(words: npt.NDArray[np.uint16], state: Int64Array, columns: Columns) -> int:
    """16-bit words that each change a part of the state; those with x give events."""
    t_us, x, y, polarity = columns
    count = 0
    for i in range(words.size):
        word = np.int64(words[i])
        kind, low = word >> 12, word & 0xFFF
        if kind == 0x0:
            state[Y] = low & 0x7FF
        elif kind == 0x2:
            if state[HIGH] >= 0:
                t_us[count] = _time(state, EVT3_HIGH_BITS, 12, state[LOW])
                x[count], y[count], polarity[count] = low & 0x7FF, state[Y], low >> 11
                count += 1
        elif kind == 0x3:
            state[X], state[POLARITY] = low & 0x7FF, low >> 11
        elif kind in (0x4, 0x5):
            width = 12 if kind == 0x4 else 8
            if state[HIGH] >= 0:
                for bit in range(width):
                    if (low >> bit) & 1:
                        t_us[count] = _time(state, EVT3_HIGH_BITS, 12, state[LOW])
                        x[count], y[count], polarity[count] = state[X] + bit, state[Y], state[POLARITY]
                        count += 1
            state[X] += width
        elif kind == 0x6:
            state[LOW] = low
        elif kind == 0x8:
            if low != state[HIGH]:
                state[LOW] = 0  # the low part of the old time says nothing about the new one
            _set_high(state, low, EVT3_HIGH_BITS)
        elif kind not in (0x7, 0xA, 0xE, 0xF):
            state[UNKNOWN] += 1
    return count
