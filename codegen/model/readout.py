"""Class scores, linear in feature events: in a model, and in integers (the numerics page section 13)."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.limits import MOST_CLASSES

MOST_GRID: Final = 64
ROW_MAX: Final = 2**15 - 1
MOST_ROW_BITS: Final = 30
LABEL_PATTERN: Final = r"[A-Za-z0-9]([A-Za-z0-9 _.+-]{0,30}[A-Za-z0-9])?"


@dataclass(frozen=True)
class ReadoutSize:
    """What the memory of a readout depends on, besides the network."""

    grid: int
    classes: int


@dataclass(frozen=True, eq=False)
class Readout:
    """Scores of classes, linear in how often each feature won in each cell of a grid over the sensor.

    The decision of a recording is ``weights @ counts / events + bias``: counts of winning events by
    cell (row by row) and feature, over their sum.
    """

    grid: int
    """The sensor is divided into grid x grid cells."""
    labels: tuple[str, ...]
    """Of the classes, in their order."""
    weights: npt.NDArray[np.float64]
    """(classes, grid * grid * features): cell by cell, in each the features of all banks."""
    bias: npt.NDArray[np.float64]
    """(classes,)"""

    @property
    def size(self) -> ReadoutSize:
        """Grid and number of classes."""
        return ReadoutSize(self.grid, len(self.labels))


@dataclass(frozen=True, eq=False)
class QuantReadout:
    """A readout in integers: what each winning event adds to the scores."""

    grid: int
    labels: tuple[str, ...]
    rows: npt.NDArray[np.int16]
    """(grid * grid * features, classes), Q``bits``."""
    bits: int

    @property
    def size(self) -> ReadoutSize:
        """Grid and number of classes."""
        return ReadoutSize(self.grid, len(self.labels))

    @property
    def digest(self) -> int:
        """CRC-32 of the rows: learned states do not cover them, so the build id must."""
        return zlib.crc32(np.ascontiguousarray(self.rows, "<i2").tobytes())


def check_readout(readout: Readout, features: int) -> Readout:
    """Return `readout` if it suits a network of `features` features over all banks.

    Raises FeastError naming the part that does not.
    """
    classes = len(readout.labels)
    if not 1 <= readout.grid <= MOST_GRID:
        raise FeastError(f"readout: grid {readout.grid}: expected 1 to {MOST_GRID}")
    check_labels(readout.labels)
    shapes = {"weights": (classes, readout.grid**2 * features), "bias": (classes,)}
    for name, shape in shapes.items():
        array = getattr(readout, name)
        if array.shape != shape:
            raise FeastError(f"readout: {name} have shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise FeastError(f"readout: {name} hold a value that is not finite")
    return readout


def check_labels(labels: tuple[str, ...]) -> None:
    """Raise FeastError unless `labels` can name the classes of a readout."""
    if not 2 <= len(labels) <= MOST_CLASSES:
        raise FeastError(f"readout: {len(labels)} classes: expected 2 to {MOST_CLASSES}")
    for label in labels:
        if not re.fullmatch(LABEL_PATTERN, label):
            raise FeastError(
                f"readout: label {label!r}: expected up to 32 letters, digits, spaces and _ . + -, "
                "a letter or digit first and last"
            )
    if len(set(labels)) < len(labels):
        raise FeastError("readout: two classes have the same label")


def quantise_readout(readout: Readout) -> QuantReadout:
    """Weights and biases as rows of int16.

    Raises FeastError if one is too large for them.
    """
    with np.errstate(over="ignore"):
        rows = (readout.weights + readout.bias[:, None]).T
    largest = np.abs(np.rint(rows)).max()
    bits = MOST_ROW_BITS if largest <= ROW_MAX else -1
    while bits >= 0 and np.abs(np.rint(rows * 2.0**bits)).max() > ROW_MAX:
        bits -= 1
    if bits < 0:
        raise FeastError(f"readout: a weight and its bias come to {largest:.6g}: at most {ROW_MAX} fit")
    return QuantReadout(readout.grid, readout.labels, np.rint(rows * 2.0**bits).astype(np.int16), bits)


def cells_along(pixels: int, grid: int) -> npt.NDArray[np.int64]:
    """(pixels,): the cell of each pixel along one side of the sensor.

    >>> cells_along(5, 2).tolist()
    [0, 0, 0, 1, 1]
    """
    return np.arange(pixels) * grid // pixels


UNKNOWN: Final = "UNKNOWN"
"""Shown in place of the label of a decision that abstains."""


def name_of(labels: tuple[str, ...], index: int) -> str | None:
    """Label of a class by its index; None for -1, before a feature has won, and for what is no class.

    >>> name_of(("cat", "dog"), 1), name_of(("cat", "dog"), -1), name_of(("cat", "dog"), 2)
    ('dog', None, None)
    """
    return labels[index] if 0 <= index < len(labels) else None
