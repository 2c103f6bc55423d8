"""Fixed-point formats: the constants of docs/numerics.md sections 1 and 2, and rounding into them."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

WEIGHT_BITS: Final = 15
WEIGHT_MAX: Final = 2**15 - 1
NARROW_MAX: Final = 2**7 - 1
UNIT_BITS: Final = 30
UNIT: Final = 2**UNIT_BITS
TIME_BITS: Final = 8
MANTISSAS: Final = 256
MAX_SURFACE_BITS: Final = 14
MAX_ENERGY: Final = 2**32 - 2**26
"""Largest sum of squares of a context, so that products with weights of norm up to 1.004 fit 32 bits."""
MAX_LEARNING_SHIFT: Final = 16
DEAD_OCTAVES: Final = 15
"""Octaves after which every surface value is 0."""
WINDOW_EVENTS: Final = 1024
NORM_TOLERANCE: Final = 2**23
"""Largest deviation of a learned state's squared norm from 1, Q30."""


def to_weights(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
    """Round float weights in [-1, 1] to Q15, ties to even, 1.0 saturating at 32767."""
    return np.clip(np.rint(values * 2**WEIGHT_BITS), -WEIGHT_MAX, WEIGHT_MAX).astype(np.int16)


def to_unit(value: float) -> int:
    """Round a number in [-1, 1] to Q30, ties to even.

    >>> to_unit(0.001)
    1073742
    """
    return round(value * UNIT)


def surface_bits(dims: int) -> int:
    """Widest surface value for contexts of `dims` components: largest b with dims * (2^b - 1)^2 in bounds.

    >>> [surface_bits(side**2) for side in (3, 5, 11, 17, 31, 254)]
    [14, 13, 12, 11, 11, 8]
    """
    bits = MAX_SURFACE_BITS
    while dims * (2**bits - 1) ** 2 > MAX_ENERGY:
        bits -= 1
    return bits


def octave_length(tau_us: float) -> int:
    """Length of an octave, `tau * ln 2`, in Q8 microseconds.

    >>> octave_length(20_000.0)
    3548914
    """
    return round(tau_us * math.log(2.0) * 2**TIME_BITS)


def fraction_factor(octave_q8: int) -> int:
    """M of docs/numerics.md section 2: turns a phase into one of 256 fractions of an octave."""
    return 2**32 * MANTISSAS // octave_q8


def mantissas(bits: int) -> npt.NDArray[np.uint16]:
    """Table of the 256 mantissas of `bits` bits, each in [2^(bits-1), 2^bits)."""
    fractions = (np.arange(MANTISSAS) + 0.5) / MANTISSAS
    return np.rint(2.0 ** (bits - 1 + fractions)).astype(np.uint16)


def learning_shift(eta: float, bits: int) -> int:
    """S of docs/numerics.md section 6: the largest shift for which decay and gain fit 16 bits.

    >>> learning_shift(0.001, 12), learning_shift(0.1, 12)
    (16, 13)
    """
    shift = MAX_LEARNING_SHIFT
    while eta * 2.0 ** (15 + shift) * 1.25 > WEIGHT_MAX * 2.0 ** (bits - 1):
        shift -= 1
    return shift
