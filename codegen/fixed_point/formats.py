"""Fixed-point formats: the constants of the numerics page sections 1 and 2, and rounding into them."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.model.model import norm_limit

WEIGHT_BITS: Final = 15
WEIGHT_UNIT: Final = 2**WEIGHT_BITS
"""1 in Q15."""
NARROW_MAX: Final = 2**7 - 1
UNIT_BITS: Final = 30
UNIT: Final = 2**UNIT_BITS
TIME_BITS: Final = 8
MANTISSAS: Final = 256
MAX_SURFACE_BITS: Final = 14
MAX_ENERGY: Final = 2**32 - 2**26
"""Largest sum of squares of a context: it fits 32 bits, and its products with weights of any norm within
`norm_limit` do."""
MAX_LEARNING_SHIFT: Final = 16
DEAD_OCTAVES: Final = 15
"""Octaves after which every surface value is 0."""
WINDOW_EVENTS: Final = 1024


def to_weights(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
    """Round float weights in [-1, 1] to Q15, ties to even, 1.0 saturating at 32767."""
    return np.clip(np.rint(values * WEIGHT_UNIT), -WEIGHT_UNIT, WEIGHT_UNIT - 1).astype(np.int16)


def squared_norms(dims: int) -> tuple[int, int]:
    """Least and largest sum of squares, Q30, of the weights of a feature that learns.

    >>> squared_norms(121) == ((2**15 - 77) ** 2, (2**15 + 77) ** 2)
    True
    """
    limit = norm_limit(dims)
    return (WEIGHT_UNIT - limit) ** 2, (WEIGHT_UNIT + limit) ** 2


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
    """M of docs/reference/numerics.md section 2: turns a phase into one of 256 fractions of an octave."""
    return 2**32 * MANTISSAS // octave_q8


def mantissas(bits: int) -> npt.NDArray[np.uint16]:
    """Table of the 256 mantissas of `bits` bits, each in [2^(bits-1), 2^bits).

    >>> int(mantissas(8)[-1])  # 2^8 if it were rounded
    255
    """
    fractions = (np.arange(MANTISSAS) + 0.5) / MANTISSAS
    rounded = np.rint(2.0 ** (bits - 1 + fractions))
    return np.clip(rounded, 2 ** (bits - 1), 2**bits - 1).astype(np.uint16)


def table_error(octave_q8: int) -> float:
    """Largest relative error of a surface value from the table of mantissas, before these are rounded.

    Half a step of the table, and what the rounding of M takes off its index.

    >>> round(100 * table_error(octave_length(20_000.0)), 3), round(100 * table_error(octave_length(1e7)), 3)
    (0.136, 0.206)
    """
    behind = (2**32 * MANTISSAS % octave_q8) / 2**32
    return float(2.0 ** ((0.5 + behind) / MANTISSAS) - 1.0)


def learning_shift(eta_q32: int, bits: int) -> int:
    """S of docs/reference/numerics.md section 6: the largest shift for which decay and gain fit 16 bits.

    >>> learning_shift(round(0.001 * 2**32), 12), learning_shift(round(0.1 * 2**32), 12)
    (16, 14)
    """
    shift = MAX_LEARNING_SHIFT
    while 5 * eta_q32 > 2 ** (33 + bits - shift) + 2:
        shift -= 1
    return shift
