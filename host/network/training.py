"""Recordings to a model: one loop for the float model and the integer twin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Arithmetic, Hyperparameters, Model, Training
from feast_codegen.codegen.model.options import Options
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.network.convergence import SPAN, has_converged
from feast_codegen.host.network.float_model import FloatFeast, initial_model
from feast_codegen.host.network.training_signals import Signals, SignalsRecorder
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.open import Source


class Learner(Protocol):
    """A network that learns from the events it steps."""

    def step(self, events: Events) -> Results:
        """Step events in order; int16 (n,) results."""

    def reset(self) -> None:
        """Begin a new recording; what was learned is kept."""

    @property
    def thresholds(self) -> npt.NDArray[np.float64]:
        """(features,) copy, cosine."""

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """(features, D) copy, rows of unit L2 norm."""

    def to_model(self, training: Training) -> Model:
        """Freeze what was learned."""


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A model and how it came about."""

    model: Model
    signals: Signals
    skipped: int
    """Bad events left out over all epochs; 0 unless the source skips them."""


class FixedLearner:
    """The integer twin as a Learner. Its models hold Q15 and Q30 numbers, exact when quantised again."""

    def __init__(self, model: Model) -> None:
        """Raises FeastError for parameters that the fixed-point formats cannot express."""
        self._model = model
        self._twin = Twin(quantise(model)[0], Options(learning=True))

    def step(self, events: Events) -> Results:
        """Step events in order; int16 (n,) results."""
        return self._twin.step(events)

    def reset(self) -> None:
        """Begin a new recording; what was learned is kept."""
        self._twin.reset()

    @property
    def thresholds(self) -> npt.NDArray[np.float64]:
        """float64 (features,): a copy of the thresholds, cosine."""
        return np.asarray(self._twin.thresholds / float(formats.UNIT))

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """float64 (features, D): a copy; with the small deviation from unit norm that Q15 has."""
        return np.asarray(self._twin.weights / 2.0**formats.WEIGHT_BITS)

    def to_model(self, training: Training) -> Model:
        """Freeze what was learned."""
        return replace(self._model, weights=self.weights, thresholds=self.thresholds, training=training)


def training_part(source: Source) -> Source:
    """The `train` split of a source that has one, else the whole source."""
    return source.splits.get("train", source)


def train(
    source: Source,
    params: Hyperparameters,
    *,
    epochs: int = 1,
    seed: int = 0,
    arithmetic: Arithmetic = "float",
    lower: Model | None = None,
    filters: Filters | None = None,
    until_converged: bool = False,
    max_events: int | None = None,
    progress: Progress = silent,
) -> TrainingResult:
    """Learn features from every recording of `training_part(source)`, `epochs` times.

    `lower`: learn a second layer on the winners of this one, which stays as it is, without its readout.
    `filters`: what a single layer is not to see; of a camera like the source's.
    `until_converged`: stop after the recording with which the signals have converged (network.convergence);
    `epochs` is then the most. `max_events`: stop after the recording that brings the events to this number,
    which repeats a training that stopped there.

    Each epoch takes the recordings in its own `training_order`; surfaces are reset before each,
    events are never reordered. `progress` counts recordings. Raises FeastError for parameters out
    of range, bad recordings, or if no event of the source has a full context (border `skip`).
    """
    if epochs < 1:
        raise FeastError(f"epochs {epochs}: expected 1 or more")
    if seed < 0:
        raise FeastError(f"seed {seed}: expected 0 or more")
    part = training_part(source)
    if lower is not None and lower.camera != part.sensor:
        raise FeastError(f"{part.spec}: sensor {part.sensor}, the lower layer was learned on {lower.camera}")
    if filters and filters.camera != part.sensor:
        raise FeastError(f"{part.spec}: has a {part.sensor} sensor, the filters are for {filters.camera}")
    if lower is not None:
        lower = replace(lower, readout=None)
    start = initial_model(params, part.sensor, seed, lower, filters)
    learner: Learner = FixedLearner(start) if arithmetic == "fixed" else FloatFeast(start, learning=True)
    recorder = SignalsRecorder(params.total_features)
    recorder.begin(learner.weights)
    events = skipped = done = 0
    for epoch in range(epochs):
        ordered = part.shuffled(seed, epoch)
        for index in range(len(ordered)):
            learner.reset()
            for piece in ordered.load_chunks(index):
                _learn(learner, piece.events, recorder)
                events += piece.events.size
                skipped += piece.skipped
            done += 1
            progress(done, epochs * len(part))
            converged = until_converged and has_converged(recorder.recent(SPAN), params)
            if converged or (max_events is not None and events >= max_events):
                break
        else:
            continue
        break
    signals = recorder.finish()
    if signals.compared.size == 0:
        raise FeastError(
            f"{part.spec}: nothing learned: no event on the {start.sensor} sensor is {params.radius} pixels "
            f"from its border" + (", or none passes the filters" if filters else "") + "; use border zero "
            "or a smaller radius"
        )
    training = Training(
        part.spec,
        min(done, len(part)),
        events,
        -(-done // len(part)),
        seed,
        arithmetic,
        miss_rate=signals.steady_miss_rate,
    )
    return TrainingResult(learner.to_model(training), signals, skipped)


def _learn(learner: Learner, events: Events, recorder: SignalsRecorder) -> None:
    """Step events in chunks that end where windows of the signals do."""
    start = 0
    while start < events.size:
        chunk = events[start : start + recorder.remaining]
        recorder.record(learner.step(chunk), learner.thresholds, learner.weights)
        start += chunk.size
