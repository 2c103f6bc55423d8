"""Fits the linear readout that a model carries to the device, and applies it in floating point.

It is linear in the counts of feature events by cell and feature, divided by their sum, so that a device
can add it up event by event (docs/reference/numerics.md section 13): no root, no overlapping cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.model.model import Arithmetic, Model, Sensor
from feast_codegen.codegen.model.readout import MOST_GRID, Readout, check_readout
from feast_codegen.host.evaluation.classifiers import FOLDS, ridge_accuracies
from feast_codegen.host.evaluation.feature_vectors import extractor, labels_of
from feast_codegen.host.evaluation.pooling import Pooling, pool_sums
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.source import Source

Float64Array = npt.NDArray[np.float64]

GRID: Final = 7
FEWEST_FOLDS: Final = 2


@dataclass(frozen=True, eq=False)
class FittedReadout:
    """A readout and what is expected of it."""

    readout: Readout
    accuracy: float
    """Cross-validated over the recordings it was fitted to, 0 to 1; of the best strength."""
    folds: int
    strength: float
    """Of the ridge, chosen by the folds."""


def check_readable(source: Source, grid: int, sensor: Sensor | None = None) -> int:
    """How many folds the recordings allow for; the same errors as `fit_readout`, before any work.

    `sensor`: of the network, if not the source's. Raises FeastError for a grid that does not suit it, a
    recording without label, or a class of fewer than two recordings.
    """
    sensor = sensor or source.sensor
    most = min(MOST_GRID, sensor.width, sensor.height)
    if not 1 <= grid <= most:
        raise FeastError(f"readout grid {grid}: expected 1 to {most} cells on a {sensor} sensor")
    classes, sizes = np.unique(labels_of(source), return_counts=True)
    if classes.size < 2 or sizes.min() < FEWEST_FOLDS:
        raise FeastError(
            f"{source.spec}: a readout needs two classes or more with at least {FEWEST_FOLDS} recordings "
            f"each; got {classes.size} classes, the smallest of {sizes.min(initial=len(source))}"
        )
    return min(FOLDS, int(sizes.min()))


def fit_readout(
    source: Source,
    model: Model,
    grid: int = GRID,
    *,
    arithmetic: Arithmetic = "float",
    progress: Progress = silent,
) -> FittedReadout:
    """Fit a readout to the winners of the frozen network (nearest feature) on every recording of `source`.

    Ridge against one-hot targets, its strength by stratified k-fold. `progress` counts recordings.
    Raises FeastError as `check_readable`, and for bad recordings.
    """
    folds = check_readable(source, grid, model.sensor)
    numbers, index = np.unique(labels_of(source), return_inverse=True)
    shares = _shares(source, model, grid, arithmetic, progress)
    spread = float(np.sqrt(shares.var(axis=0).sum())) or 1.0
    accuracies = ridge_accuracies(shares / spread, index, folds)
    strength = max(accuracies, key=accuracies.__getitem__)
    weights, bias = _ridge(shares / spread, 2.0 * np.eye(numbers.size)[index] - 1.0, strength)
    readout = Readout(grid, tuple(str(number) for number in numbers), weights / spread, bias)
    return FittedReadout(
        check_readout(readout, model.params.total_features), accuracies[strength], folds, strength
    )


def label_of(readout: Readout, results: Results, events: Events, sensor: Sensor) -> int:
    """Index of the class that the readout gives to a recording, in float64; -1 if no feature won.

    `results`: int16 (n,), one per event, of the network the readout was fitted to; events and `sensor` are in
    its pixels.
    """
    features = readout.weights.shape[1] // readout.grid**2
    counts = pool_sums(results, events, sensor, features, Pooling(readout.grid))
    if not counts.any():
        return -1
    return int(np.argmax(readout.weights @ (counts / counts.sum()) + readout.bias))


def _shares(
    source: Source, model: Model, grid: int, arithmetic: Arithmetic, progress: Progress
) -> Float64Array:
    """(recordings, cells * features): counts of each recording over their sum."""
    features = model.params.total_features
    network = extractor(model, arithmetic)
    counts = np.zeros((len(source), grid * grid * features))
    for number in range(len(source)):
        network.reset()
        for piece in source.load_chunks(number):
            results = network.step(piece.events)
            events = model.to_network_pixels(piece.events)
            counts[number] += pool_sums(results, events, model.sensor, features, Pooling(grid))
        progress(number + 1, len(source))
    return np.asarray(counts / np.maximum(1.0, counts.sum(axis=1, keepdims=True)))


def _ridge(shares: Float64Array, targets: Float64Array, strength: float) -> tuple[Float64Array, Float64Array]:
    from sklearn.linear_model import Ridge
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        fitted = Ridge(strength).fit(shares, targets)
    return np.asarray(fitted.coef_), np.asarray(fitted.intercept_)
