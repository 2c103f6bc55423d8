"""The fading readout of a model: classes from a fading histogram of features (numerics page section 15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.readout import check_labels

Float64Array = npt.NDArray[np.float64]

GRID_RANGE: Final = (2, 16)
MOST_HIDDEN: Final = 64
FADING_ARRAYS: Final = ("hidden_weights", "hidden_bias", "weights", "bias", "means")
MOST_ENTRIES: Final = 2**17
FADING_TAU_RANGE_US: Final = (1e3, 1e7)


@dataclass(frozen=True)
class FadingSize:
    """What the memory of a fading readout depends on, besides the network."""

    grid: int
    classes: int
    hidden: int


@dataclass(frozen=True, eq=False)
class FadingReadout:
    """Scores of classes from the square roots, of unit length, of a fading histogram.

    With ``v`` the vector of `entries` components, number ``(feature * grid + row) * grid + column``:
    ``scores = weights @ max(0, hidden_weights @ v + hidden_bias) + bias``, and without hidden units
    ``weights @ v + bias``.
    """

    grid: int
    """The sensor has grid x grid overlapping cells."""
    tau_us: float
    """Time in which the histogram fades to 1/e, microseconds."""
    labels: tuple[str, ...]
    """Of the classes, in their order."""
    hidden_weights: Float64Array
    """(hidden, entries); no rows: the readout is linear."""
    hidden_bias: Float64Array
    """(hidden,)"""
    weights: Float64Array
    """(classes, hidden), or (classes, entries) without hidden units."""
    bias: Float64Array
    """(classes,)"""
    means: Float64Array
    """(classes, entries): direction of each class's mean vector, unit length."""
    min_margin: float = 0.0
    """Decisions of a smaller margin between the two best scores abstain."""
    min_typicality: float = 0.0
    """Decisions abstain whose vector has a smaller cosine with every class mean."""

    @property
    def size(self) -> FadingSize:
        """Grid, number of classes and of hidden units."""
        return FadingSize(self.grid, len(self.labels), self.hidden)

    @property
    def hidden(self) -> int:
        """Number of hidden units."""
        return len(self.hidden_bias)


def check_fading_readout(readout: FadingReadout, features: int) -> FadingReadout:
    """Return `readout` if it suits a network of `features` features over all banks.

    Raises FeastError naming the part that does not.
    """
    check_fading_size(readout.grid, features, readout.hidden, readout.tau_us)
    check_labels(readout.labels)
    classes, entries = len(readout.labels), readout.grid**2 * features
    shapes = {
        "hidden_weights": (readout.hidden, entries),
        "hidden_bias": (readout.hidden,),
        "weights": (classes, readout.hidden or entries),
        "bias": (classes,),
        "means": (classes, entries),
    }
    for name, shape in shapes.items():
        array = getattr(readout, name)
        if array.shape != shape:
            raise FeastError(f"readout: {name} have shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all() or np.abs(array).max(initial=0.0) > _MOST_WEIGHT:
            raise FeastError(f"readout: {name} hold a value that is not finite or above {_MOST_WEIGHT:g}")
    norms = np.linalg.norm(readout.means, axis=1)
    if readout.means.min() < 0.0 or np.abs(norms - 1.0).max() > _NORM_TOLERANCE:
        raise FeastError("readout: means are not vectors of unit length without a negative component")
    if not 0.0 <= readout.min_margin <= _MOST_WEIGHT:
        raise FeastError(f"readout: min_margin {readout.min_margin:g}: expected 0 to {_MOST_WEIGHT:g}")
    if not 0.0 <= readout.min_typicality <= 1.0:
        raise FeastError(f"readout: min_typicality {readout.min_typicality:g}: expected 0 to 1")
    return readout


def check_fading_size(grid: int, features: int, hidden: int, tau_us: float) -> None:
    """Raise FeastError for a size or a fading time that the numerics page does not allow."""
    low, high = GRID_RANGE
    if not low <= grid <= high:
        raise FeastError(f"readout: grid {grid}: expected {low} to {high}")
    if not 0 <= hidden <= MOST_HIDDEN:
        raise FeastError(f"readout: {hidden} hidden units: expected 0 to {MOST_HIDDEN}")
    if grid**2 * features > MOST_ENTRIES:
        raise FeastError(
            f"readout: {grid}x{grid} cells of {features} features: {grid**2 * features} entries, "
            f"at most {MOST_ENTRIES} are allowed: use a smaller grid"
        )
    shortest, longest = FADING_TAU_RANGE_US
    if not shortest <= tau_us <= longest:
        raise FeastError(f"readout tau {tau_us:g} us: expected {shortest:g} to {longest:g}")


_MOST_WEIGHT: Final = 1e6
"""Far above what fitting leads to, and far below what would overflow a double in the quantiser."""
_NORM_TOLERANCE: Final = 1e-6
