"""Fits the fading readout that a model carries, to histograms as they stand at all instants of live streams.

Streams of several speeds, as they are and shifted by a pixel. What is expected of the readout is measured on
the integers that a device works with, each recording by a readout fitted to the other folds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.sensor import Sensor
from feast_codegen.codegen.fixed_point.quantise_readout import (
    QuantFading,
    quantise_fading,
    quantise_histogram,
)
from feast_codegen.codegen.model.fading_readout import FadingReadout, check_fading_readout, check_fading_size
from feast_codegen.codegen.model.hyperparameters import READOUT_DEFAULTS, ReadoutParameters
from feast_codegen.codegen.model.model import Model
from feast_codegen.codegen.twin.fading import normalised, scores
from feast_codegen.host.evaluation.feature_vectors import groups_of, labels_of
from feast_codegen.host.evaluation.fit_readout import check_readable
from feast_codegen.host.evaluation.folds import Split, fold_splits
from feast_codegen.host.evaluation.live import (
    SPEEDS,
    Instants,
    LiveScore,
    Playback,
    live_instants,
    live_score,
)
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.source import Source

Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]

FOLDS: Final = 5
SHIFT: Final = 1
"""Pixels by which recordings are moved for fitting."""
FIT_EVERY_US: Final = 20_000
"""Between two instants to fit to, at the recording's own speed."""
FEW_EVENTS_US: Final = 30_000
"""Earlier instants of a recording are not fitted to: what stands there is the recording before."""
STEPS: Final = 2_800
"""Least number of gradient steps."""
BATCH: Final = 256
FEWEST_EPOCHS: Final = 10
RIDGE: Final = 30.0
_CHUNK: Final = 4096


@dataclass(frozen=True, eq=False)
class LiveAccuracy:
    """What a fading readout is expected to do with recordings it was not fitted to."""

    reset: LiveScore
    """At speed 1, everything cleared before each recording."""
    live: dict[float, LiveScore]
    """By speed, nothing cleared."""

    @property
    def objective(self) -> float:
        """Mean of the accuracy at the end and of the time right, live, at speed 1."""
        score = self.live[1.0]
        return (score.accuracy + (score.accuracy if score.time_right is None else score.time_right)) / 2


@dataclass(frozen=True, eq=False)
class FittedFading:
    """A fading readout and what is expected of it."""

    readout: FadingReadout
    expected: LiveAccuracy | None
    """Cross-validated; None where `folds` is 0."""
    folds: int
    """0 where all recordings of a class are one group: there is nothing to check on."""
    groups: int
    """That the folds keep whole: files, people, or recordings."""


def check_fading(
    source: Source, features: int, params: ReadoutParameters, sensor: Sensor | None = None
) -> int:
    """How many folds the recordings allow for; the errors of `fit_fading`, before any work.

    `features`: over all banks. `sensor`: of the network, if not the source's. Raises FeastError for a size
    that is not allowed, a recording without label, or a class of fewer than two recordings.
    """
    check_fading_size(params.grid, features, params.hidden, params.tau_us)
    return min(FOLDS, check_readable(source, params.grid, sensor))


def fit_fading(
    source: Source,
    model: Model,
    params: ReadoutParameters = READOUT_DEFAULTS,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> FittedFading:
    """Fit a readout to the winners of the frozen integer network (nearest feature).

    `progress` counts recordings of all streams. Raises FeastError as `check_fading`, and for bad recordings.
    """
    folds = check_fading(source, model.params.total_features, params, model.sensor)
    groups = groups_of(source)
    numbers, classes = np.unique(labels_of(source), return_inverse=True)
    names = tuple(str(number) for number in numbers)
    clean, shifted, reset = _streams(source, model, params, seed, progress)

    def fit(chosen: npt.NDArray[np.bool_]) -> FadingReadout:
        pools = [(stream, FIT_EVERY_US / speed) for speed, stream in clean.items()]
        pools += [(stream, 0.0) for stream in shifted]
        rows = [(stream, _picked(stream, chosen, every_us)) for stream, every_us in pools]
        vectors = np.concatenate([to_vectors(stream.histograms[row]) for stream, row in rows])
        targets = np.concatenate([classes[stream.recording[row]] for stream, row in rows])
        return check_fading_readout(
            _fitted(vectors, targets, names, params, seed), model.params.total_features
        )

    expected = None
    if folds:
        right = _held_out(
            fit,
            lambda readout: quantise_fading(readout, model.sensor),
            {**clean, _RESET: reset},
            classes,
            fold_splits(classes, groups, folds, seed),
        )
        expected = LiveAccuracy(
            reset=live_score(reset, right[_RESET]),
            live={speed: live_score(stream, right[speed]) for speed, stream in clean.items()},
        )
    readout = fit(np.ones(len(classes), np.bool_))
    return FittedFading(readout, expected, folds, len(source) if groups is None else len(set(source.groups)))


def measure_fading(
    source: Source,
    model: Model,
    readout: FadingReadout,
    *,
    speeds: tuple[float, ...] = SPEEDS,
    seed: int = 0,
    progress: Progress = silent,
) -> LiveAccuracy:
    """What a model's readout does with labelled recordings; a label that it does not know is never right."""
    names = [str(label) for label in labels_of(source)]
    classes = np.array([readout.labels.index(name) if name in readout.labels else -1 for name in names])
    quant = quantise_fading(readout, model.sensor)
    playbacks = [*(Playback(speed, seed) for speed in speeds), Playback(seed=seed, reset=True)]
    found = []
    for number, playback in enumerate(playbacks):
        report = _part(progress, number, len(playbacks))
        stream = live_instants(source, model, quant, playback, progress=report)
        found.append(live_score(stream, predicted(quant, stream.histograms) == classes[stream.recording]))
    return LiveAccuracy(found[-1], dict(zip(speeds, found[:-1], strict=True)))


def to_vectors(histograms: npt.NDArray[np.uint16]) -> Float32Array:
    """float32 (n, entries): what a readout is fitted to, the roots of section 15 over their norm."""
    vectors = np.empty(histograms.shape, np.float32)
    for part in _chunks(len(histograms)):
        roots, norms = normalised(histograms[part].astype(np.int64))
        vectors[part] = roots / np.maximum(norms, 1)[:, None]
    return vectors


def predicted(quant: QuantFading, histograms: npt.NDArray[np.uint16]) -> Int64Array:
    """int64 (n,): class that the integers give to each histogram; -1 to an empty one."""
    labels = np.empty(len(histograms), np.int64)
    for part in _chunks(len(histograms)):
        roots, norms = normalised(histograms[part].astype(np.int64))
        labels[part] = np.where(norms > 0, scores(quant, roots, norms).argmax(axis=1), -1)
    return labels


_RESET: Final = 0.0
"""In place of a speed: the stream that is cleared before each recording."""


def _streams(
    source: Source, model: Model, params: ReadoutParameters, seed: int, progress: Progress
) -> tuple[dict[float, Instants], list[Instants], Instants]:
    """The streams to judge by, by speed; those that are fitted to alone; and the one with resets."""
    histogram = quantise_histogram(params.grid, params.tau_us, model.sensor)
    playbacks = [Playback(speed, seed) for speed in SPEEDS]
    playbacks += [
        Playback(speed, seed + 1 + number, SHIFT, every_us=round(FIT_EVERY_US / speed))
        for number, speed in enumerate(SPEEDS)
    ]
    playbacks.append(Playback(seed=seed, reset=True))
    streams = [
        live_instants(source, model, histogram, playback, progress=_part(progress, number, len(playbacks)))
        for number, playback in enumerate(playbacks)
    ]
    count = len(SPEEDS)
    return dict(zip(SPEEDS, streams[:count], strict=True)), streams[count:-1], streams[-1]


def _part(progress: Progress, number: int, of: int) -> Progress:
    """Progress within one of several passes, as progress of all of them."""
    return lambda done, total: progress(number * total + done, of * total)


def _picked(stream: Instants, chosen: npt.NDArray[np.bool_], every_us: float) -> Int64Array:
    """Rows to fit to: of chosen recordings, about `every_us` apart, and the ends."""
    steps = stream.at_us // max(1.0, every_us)
    spaced = np.diff(steps, prepend=-1.0) != 0
    return np.flatnonzero(
        chosen[stream.recording] & (stream.ends | (spaced & (stream.at_us >= FEW_EVENTS_US)))
    )


def _held_out(
    fit: Callable[[npt.NDArray[np.bool_]], FadingReadout],
    quantised: Callable[[FadingReadout], QuantFading],
    streams: dict[float, Instants],
    classes: Int64Array,
    splits: list[Split],
) -> dict[float, npt.NDArray[np.bool_]]:
    """Whether each instant gets the right label by a readout that was fitted to other recordings."""
    right = {name: np.zeros(len(stream.ends), np.bool_) for name, stream in streams.items()}
    for train, _ in splits:
        chosen = np.zeros(len(classes), np.bool_)
        chosen[train] = True
        quant = quantised(fit(chosen))
        for name, stream in streams.items():
            rows = np.flatnonzero(~chosen[stream.recording])
            right[name][rows] = predicted(quant, stream.histograms[rows]) == classes[stream.recording[rows]]
    return right


def _fitted(
    vectors: Float32Array, targets: Int64Array, names: tuple[str, ...], params: ReadoutParameters, seed: int
) -> FadingReadout:
    weights = _units(vectors, targets, params.hidden, seed) if params.hidden else _linear(vectors, targets)
    each = range(len(names))
    means = np.array([vectors[targets == number].mean(axis=0, dtype=np.float64) for number in each])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    means = np.where(lengths > 0.0, means / np.where(lengths > 0.0, lengths, 1.0), means.shape[1] ** -0.5)
    return FadingReadout(params.grid, params.tau_us, names, *weights, means)


def _units(vectors: Float32Array, targets: Int64Array, hidden: int, seed: int) -> tuple[Any, Any, Any, Any]:
    """Weights and biases of both layers: softmax regression on ReLU units, by Adam."""
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    batch = min(BATCH, len(vectors))
    epochs = max(FEWEST_EPOCHS, -(-STEPS * batch // len(vectors)))
    network = MLPClassifier(
        (hidden,),
        alpha=1e-3,
        batch_size=batch,
        learning_rate_init=3e-3,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=seed,
    )
    # It stops after so many steps, and warns that it has not converged.
    with threadpool_limits(1), warnings.catch_warnings(action="ignore"):
        network.fit(vectors, targets)
    (first, second), (first_bias, second_bias) = network.coefs_, network.intercepts_
    weights, bias = np.asarray(second.T, np.float64), np.asarray(second_bias, np.float64)
    if len(weights) == 1:  # of two classes, it has one score for the second
        weights, bias = np.vstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return np.asarray(first.T, np.float64), np.asarray(first_bias, np.float64), weights, bias


def _linear(vectors: Float32Array, targets: Int64Array) -> tuple[Any, Any, Any, Any]:
    """Ridge against one-hot targets, without hidden units."""
    from sklearn.linear_model import Ridge
    from threadpoolctl import threadpool_limits

    one_hot = 2.0 * np.eye(int(targets.max()) + 1)[targets] - 1.0
    with threadpool_limits(1):
        ridge = Ridge(RIDGE).fit(vectors, one_hot)
    entries = vectors.shape[1]
    weights, bias = np.asarray(ridge.coef_, np.float64), np.asarray(ridge.intercept_, np.float64)
    return np.zeros((0, entries)), np.zeros(0), weights, bias


def _chunks(count: int) -> Iterator[slice]:
    return (slice(at, at + _CHUNK) for at in range(0, count, _CHUNK))
