"""How much the features say about the class: a linear readout, against the same on raw events.

A recording becomes a vector: feature events counted on a grid x grid pooling of the sensor, square
root, unit L2 norm. The baseline counts raw events in the same way, and is given every grid.
Accuracies are means over a stratified, seeded cross-validation of a ridge classifier whose
regularisation is chosen within each training fold (leave-one-out, in closed form).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from codegen.errors import FeastError
from codegen.model import Sensor
from codegen.records import Events, Results
from host.console import Progress, silent
from host.datasets import Source

Float64Array = npt.NDArray[np.float64]

FEATURE_GRIDS: Final = (3, 5, 7)
RAW_GRIDS: Final = (1, 2, 3, 5, 7, 9, 12, 17, 34)
RAW_KINDS: Final = ("merged", "by polarity")
FOLDS: Final = 5
_RIDGE_ALPHAS: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Extractor(Protocol):
    """A frozen network: FloatFeast, Twin or the native C."""

    def step(self, events: Events) -> Results:
        """Step events in order; int16 (n,) results."""

    def reset(self) -> None:
        """Begin a new recording."""


@dataclass(frozen=True)
class ReadoutComparison:
    """Accuracies from 0 to 1, by pooling grid; raw ones by kind of counting too."""

    features: Mapping[int, float]
    raw: Mapping[tuple[str, int], float]

    @property
    def best_features(self) -> tuple[int, float]:
        """(grid, accuracy) of the best readout on features."""
        return max(self.features.items(), key=lambda item: item[1])

    @property
    def best_raw(self) -> tuple[tuple[str, int], float]:
        """((kind, grid), accuracy) of the best readout on raw events."""
        return max(self.raw.items(), key=lambda item: item[1])

    @property
    def gain(self) -> float:
        """Best accuracy on features less the best on raw events."""
        return self.best_features[1] - self.best_raw[1]


def pooled_counts(
    channels: npt.NDArray[Any], events: Events, sensor: Sensor, count: int, grid: int
) -> Float64Array:
    """float64 (grid * grid * count,): square-rooted, L2-normalised counts, cell by cell.

    `channels`: integer (n,), one per event: a result, or a polarity, below `count`. Events with a
    negative channel (misses and the like) are left out; a recording without any other is all 0.
    """
    counted = channels >= 0
    x, y = events["x"][counted].astype(np.int64), events["y"][counted].astype(np.int64)
    cell = y * grid // sensor.height * grid + x * grid // sensor.width
    counts = np.bincount(cell * count + channels[counted], minlength=grid * grid * count)
    vector = np.sqrt(counts)
    norm = np.linalg.norm(vector)
    return np.asarray(vector / norm if norm > 0.0 else vector)


def accuracy(vectors: Float64Array, labels: Sequence[int], folds: int = FOLDS, seed: int = 0) -> float:
    """Cross-validated accuracy of a linear readout. `vectors`: (recordings, components).

    Raises FeastError unless there are two classes or more with at least `folds` recordings each.
    """
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    _, sizes = np.unique(labels, return_counts=True)
    if sizes.size < 2 or sizes.min() < folds:
        raise FeastError(
            f"a readout needs two classes or more with at least {folds} recordings each; got {sizes.size} "
            f"classes, the smallest of {sizes.min(initial=len(labels))}"
        )
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with threadpool_limits(1):  # such small systems only wait for each other on more threads
        scores = cross_val_score(RidgeClassifierCV(_RIDGE_ALPHAS), vectors, np.array(labels), cv=splits)
    return float(scores.mean())


def compare_readouts(
    source: Source,
    extractor: Extractor,
    features: int,
    *,
    grids: Sequence[int] = FEATURE_GRIDS,
    raw_grids: Sequence[int] = RAW_GRIDS,
    folds: int = FOLDS,
    seed: int = 0,
    progress: Progress = silent,
) -> ReadoutComparison:
    """Accuracy of a readout on feature events at each grid, and on raw events at each raw grid.

    `extractor` has frozen features and selects the nearest: under learning all features win equally
    often and say little. Raises FeastError if a recording has no label or classes are too small.
    """
    labels = [label for label in source.labels if label is not None]
    if len(labels) < len(source):
        raise FeastError(
            f"{source.spec}: a readout needs labels; use a folder of class folders or sim:digits"
        )
    pooled: dict[int, list[Float64Array]] = {grid: [] for grid in grids}
    raw: dict[tuple[str, int], list[Float64Array]] = {
        (kind, grid): [] for kind in RAW_KINDS for grid in raw_grids
    }
    for done, stream in enumerate(source, start=1):
        events = stream.events
        extractor.reset()
        results = extractor.step(events)
        for grid in grids:
            pooled[grid].append(pooled_counts(results, events, source.sensor, features, grid))
        for grid in raw_grids:
            merged, by_polarity = np.zeros(events.size, np.int64), events["polarity"].astype(np.int64)
            raw["merged", grid].append(pooled_counts(merged, events, source.sensor, 1, grid))
            raw["by polarity", grid].append(pooled_counts(by_polarity, events, source.sensor, 2, grid))
        progress(done, len(source))
    return ReadoutComparison(
        {grid: accuracy(np.array(vectors), labels, folds, seed) for grid, vectors in pooled.items()},
        {key: accuracy(np.array(vectors), labels, folds, seed) for key, vectors in raw.items()},
    )
