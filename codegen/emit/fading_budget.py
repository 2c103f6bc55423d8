"""What a fading readout takes: constant tables exactly, code and stack at most."""

from __future__ import annotations

from typing import Final

from feast_codegen.codegen.base.sensor import Sensor
from feast_codegen.codegen.boards.board import Kernel
from feast_codegen.codegen.fixed_point.quantise_readout import STEPS
from feast_codegen.codegen.model.fading_readout import FadingSize

BLOCK: Final = 32
"""Entries that a classification multiplies at a time: their roots lie on the stack."""
_ROOTS: Final = 256
_CODE: Final[dict[Kernel, int]] = {"small": 1770, "portable": 1620, "dsp": 1870, "vector": 1820}
"""By any GCC from 12 to 14 at -O2, of a linear readout."""
_HIDDEN_CODE: Final = 130
"""What hidden units add."""
_STACK: Final = 176
"""Of a classification, beside the sums and a block of roots."""


def blocks_of(entries: int) -> int:
    """Blocks of a histogram.

    >>> blocks_of(800), blocks_of(801)
    (25, 26)
    """
    return -(-entries // BLOCK)


def table_bytes(size: FadingSize, features: int, sensor: Sensor) -> int:
    """Constant tables: weights, output, biases, places, roots, factors, limits."""
    weights = blocks_of(features * size.grid**2) * BLOCK * _rows(size)
    output = size.classes * size.hidden
    biases = 5 * (size.hidden + size.classes)
    return weights + output + biases + 2 * (sensor.width + sensor.height) + _ROOTS + 2 * STEPS + 8


def code_bytes(size: FadingSize, kernel: Kernel) -> int:
    """Flash that the code takes at most, without tables."""
    return _CODE[kernel] + (_HIDDEN_CODE if size.hidden else 0)


def stack_bytes(size: FadingSize) -> int:
    """Stack that a classification takes at most."""
    return 4 * _rows(size) + 2 * BLOCK + _STACK


def _rows(size: FadingSize) -> int:
    return (size.hidden or size.classes) + size.classes
