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
from feast_codegen.host.evaluation.feature_vectors import extractor, groups_of, labels_of
from feast_codegen.host.evaluation.folds import FEWEST, most_folds
from feast_codegen.host.evaluation.pooling import Pooling, pool_sums
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.source import Source

Float64Array = npt.NDArray[np.float64]

GRID: Final = 7
UNCHECKED_STRENGTH: Final = 1.0
"""Of a ridge whose groups allow no folds."""


@dataclass(frozen=True, eq=False)
class FittedReadout:
    """A readout and what is expected of it."""

    readout: Readout
    accuracy: float | None
    """Cross-validated over the recordings it was fitted to, 0 to 1; of the best strength. None: no folds."""
    folds: int
    """0 where all recordings of a class are one group: there is nothing to check on."""
    strength: float
    """Of the ridge, chosen by the folds; without folds UNCHECKED_STRENGTH."""
    groups: int
    """That the folds keep whole: files, people, or recordings."""


def check_readable(source: Source, grid: int, sensor: Sensor | None = None) -> int:
    """How many folds the recordings allow for; the same errors as `fit_readout`, before any work.

    0 where a class comes from one group alone: a readout can be fitted then, but not checked.

    `sensor`: of the network, if not the source's. Raises FeastError for a grid that does not suit it, a
    recording without label, or a class of fewer than two recordings.
    """
    sensor = sensor or source.sensor
    most = min(MOST_GRID, sensor.width, sensor.height)
    if not 1 <= grid <= most:
        raise FeastError(f"readout grid {grid}: expected 1 to {most} cells on a {sensor} sensor")
    labels, groups = labels_of(source), groups_of(source)
    classes, folds = np.unique(labels).size, min(FOLDS, most_folds(labels, groups))
    if classes < 2 or (groups is None and folds < FEWEST):
        raise FeastError(
            f"{source.spec}: a readout needs two classes or more with at least {FEWEST} recordings "
            f"each; got {classes} classes, the smallest of {folds}"
        )
    return folds if folds >= FEWEST else 0


def fit_readout(
    source: Source,
    model: Model,
    grid: int = GRID,
    *,
    arithmetic: Arithmetic = "float",
    progress: Progress = silent,
) -> FittedReadout:
    """Fit a readout to the winners of the frozen network (nearest feature) on every recording of `source`.

    Ridge against one-hot targets, its strength by stratified k-fold over the source's groups. `progress`
    counts recordings.
    Raises FeastError as `check_readable`, and for bad recordings.
    """
    folds = check_readable(source, grid, model.sensor)
    numbers, index = np.unique(labels_of(source), return_inverse=True)
    shares = _shares(source, model, grid, arithmetic, progress)
    spread = float(np.sqrt(shares.var(axis=0).sum())) or 1.0
    groups = groups_of(source)
    accuracies = ridge_accuracies(shares / spread, index, folds, groups=groups) if folds else {}
    strength = max(accuracies, key=accuracies.__getitem__) if folds else UNCHECKED_STRENGTH
    weights, bias = _ridge(shares / spread, 2.0 * np.eye(numbers.size)[index] - 1.0, strength)
    readout = Readout(grid, tuple(str(number) for number in numbers), weights / spread, bias)
    return FittedReadout(
        check_readout(readout, model.params.total_features),
        accuracies.get(strength),
        folds,
        strength,
        len(source) if groups is None else len(set(source.groups)),
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
