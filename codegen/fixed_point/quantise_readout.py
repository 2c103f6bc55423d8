"""A fading readout in integers (docs/reference/numerics.md section 15)."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.sensor import Sensor
from feast_codegen.codegen.model.fading_readout import FadingReadout, FadingSize, Float64Array

Int8Array = npt.NDArray[np.int8]
Int32Array = npt.NDArray[np.int32]

STEPS: Final = 64
"""Steps of an octave."""
SHARES: Final = 64
"""What the shares of a pixel in two cells sum to."""
_WEIGHT_MAX: Final = 127
_BIAS_BITS: Final = 8
_BIAS_MAX: Final = 2**15
"""Of a bias, in units of a weight."""
_MOST_ROOTS: Final = 23_553
"""Bound of the norm of all roots."""
_MOST_NORM: Final = 23_170
"""Largest `v`."""
_MARGIN_BITS: Final = 14
_COSINE_BITS: Final = 15
_MEAN_FACTOR_BITS: Final = 33


@dataclass(frozen=True, eq=False)
class CellTable:
    """Where the pixels along one side of the sensor lie: uint8 (pixels,) each."""

    first: npt.NDArray[np.uint8]
    """The first of two neighbouring cells."""
    share: npt.NDArray[np.uint8]
    """Share of the second one, 0 to 64; the first has the rest."""


@dataclass(frozen=True, eq=False)
class QuantHistogram:
    """How the histogram of a fading readout is kept."""

    grid: int
    columns: CellTable
    rows: CellTable
    step_us: int
    """`S`"""


@dataclass(frozen=True, eq=False)
class QuantFading(QuantHistogram):
    """A fading readout in the formats of the numerics page section 15."""

    labels: tuple[str, ...]
    hidden_weights: Int8Array
    """(hidden, entries)"""
    hidden_bias: Int32Array
    """(hidden,), in 1/256 of a weight"""
    hidden_shift: int
    """`A`"""
    weights: Int8Array
    """(classes, hidden), or (classes, entries) without hidden units"""
    bias: Int32Array
    """(classes,), in 1/256 of a weight"""
    means: Int8Array
    """(classes, entries)"""
    mean_factor: int
    """`g`"""
    min_margin: int
    min_typicality: int
    """Q15"""
    margin_unit: float
    """A margin of 1 in the model's scores; for those who show it, not part of any result."""

    @property
    def size(self) -> FadingSize:
        """Grid, number of classes and of hidden units."""
        return FadingSize(self.grid, len(self.labels), len(self.hidden_bias))

    @property
    def digest(self) -> int:
        """CRC-32 of all numbers: learned states do not cover them, so the build id must."""
        scalars = (
            *(self.step_us, self.hidden_shift, self.mean_factor),
            *(self.min_margin, self.min_typicality),
        )
        crc = zlib.crc32(np.array(scalars, "<i8").tobytes())
        for bytes_ in (self.hidden_weights, self.weights, self.means):
            crc = zlib.crc32(bytes_.tobytes(), crc)
        for words in (self.hidden_bias, self.bias):
            crc = zlib.crc32(np.ascontiguousarray(words, "<i4").tobytes(), crc)
        return crc


def factors() -> npt.NDArray[np.uint16]:
    """Table of `m_j`: uint16 (64,), each in [2^15, 2^16).

    >>> factors()[[0, 63]].tolist()
    [32946, 65182]
    """
    return np.rint(2.0 ** (15 + (np.arange(STEPS) + 0.5) / STEPS)).astype(np.uint16)


def roots() -> npt.NDArray[np.uint8]:
    """Table of `root`: uint8 (256,), 16 times the square root of the index, rounded.

    >>> roots()[[0, 1, 2, 255]].tolist()
    [0, 16, 23, 255]
    """
    return np.array([(math.isqrt(1024 * i) + 1) // 2 for i in range(256)], np.uint8)


def cell_table(pixels: int, grid: int) -> CellTable:
    """Cells and shares of the pixels along a side of the sensor.

    >>> table = cell_table(6, 3)
    >>> table.first.tolist(), table.share.tolist()
    ([0, 0, 0, 1, 1, 1], [0, 16, 48, 16, 48, 64])
    """
    place = (2 * np.arange(pixels) + 1) * grid - pixels
    first = np.clip(place // (2 * pixels), 0, grid - 2)
    share = (SHARES * (place - 2 * pixels * first) + pixels) // (2 * pixels)
    return CellTable(first.astype(np.uint8), np.clip(share, 0, SHARES).astype(np.uint8))


def quantise_histogram(grid: int, tau_us: float, sensor: Sensor) -> QuantHistogram:
    """The histogram of a readout for a network on `sensor`; it needs no weights.

    Raises FeastError for a grid with more cells than the sensor has pixels along a side.
    """
    if grid > min(sensor.width, sensor.height):
        raise FeastError(f"readout: grid {grid}: a {sensor} sensor has fewer pixels along a side")
    columns, rows = (cell_table(pixels, grid) for pixels in (sensor.width, sensor.height))
    return QuantHistogram(grid, columns, rows, round(tau_us * math.log(2.0) / STEPS))


def quantise_fading(readout: FadingReadout, sensor: Sensor) -> QuantFading:
    """Round a readout of a network on `sensor` into its formats; errors of `quantise_histogram`."""
    histogram = quantise_histogram(readout.grid, readout.tau_us, sensor)
    scales = np.array([_scale(*row) for row in zip(readout.hidden_weights, readout.hidden_bias, strict=True)])
    hidden = _rounded(readout.hidden_weights, scales[:, None] if scales.size else 1.0)
    hidden_bias = _rounded_bias(readout.hidden_bias, scales if scales.size else 1.0)
    shift = _hidden_shift(hidden, hidden_bias)
    weights = readout.weights * scales if scales.size else readout.weights
    bias = readout.bias / 2**shift
    scale = _scale(weights, bias)
    gamma = _WEIGHT_MAX / float(readout.means.max())
    unit = 2**_MARGIN_BITS / (scale * 2**shift)
    return QuantFading(
        **vars(histogram),
        labels=readout.labels,
        hidden_weights=hidden,
        hidden_bias=hidden_bias,
        hidden_shift=shift,
        weights=_rounded(weights, scale),
        bias=_rounded_bias(bias, scale),
        means=np.rint(readout.means * gamma).astype(np.int8),
        mean_factor=round(2**_MEAN_FACTOR_BITS / gamma),
        min_margin=min(2**32 - 1, math.ceil(readout.min_margin * unit)),
        min_typicality=min(2**_COSINE_BITS - 1, round(readout.min_typicality * 2**_COSINE_BITS)),
        margin_unit=unit,
    )


def _scale(weights: Float64Array, bias: npt.ArrayLike) -> float:
    """What 1 of the rounded weights stands for."""
    largest = float(np.abs(weights).max(initial=0.0)) / _WEIGHT_MAX
    return max(largest, float(np.abs(bias).max()) / _BIAS_MAX) or 1.0


def _rounded(weights: Float64Array, scale: Float64Array | float) -> Int8Array:
    return np.rint(weights / scale).astype(np.int8)


def _rounded_bias(bias: Float64Array, scale: Float64Array | float) -> Int32Array:
    return np.rint(2**_BIAS_BITS * (bias / scale)).astype(np.int32)


def _hidden_shift(weights: Int8Array, bias: Int32Array) -> int:
    """`A`: the least shift that leaves every hidden unit below 2^15 for any histogram."""
    most = 0
    for row, own in zip(weights.astype(np.int64), bias.tolist(), strict=True):
        square = int((row**2).sum())
        length = math.isqrt(square) + (math.isqrt(square) ** 2 < square)
        most = max(most, length * _MOST_ROOTS + abs(own) * _MOST_NORM // 2**_BIAS_BITS + 1)
    shift = 0
    while most >> shift >= 2**15:
        shift += 1
    return shift
