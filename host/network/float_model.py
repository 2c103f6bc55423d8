"""The float model of FEAST: the science that the integer models are measured against."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import (
    BACKWARDS,
    FILTERED,
    OUTSIDE,
    RESULT_DTYPE,
    Events,
    Results,
    feature_events,
)
from feast_codegen.codegen.model.event_filter import PASSED, EventFilter
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.model import Hyperparameters, Model, Sensor, Training, stacked
from feast_codegen.codegen.model.options import Select
from feast_codegen.codegen.model.schema import check_hyperparameters
from feast_codegen.host.network.engines.c_engine import NativeEngine
from feast_codegen.host.network.engines.numba_engine import LoopEngine
from feast_codegen.host.network.engines.numba_kernel import Float64Array, Rule

FloatType = type[np.float32] | type[np.float64]
Engine = Literal["auto", "native", "numba"]

INITIAL_THRESHOLD: Final = 0.0
"""Where every threshold starts. Low, so the first events are all taken and each winner's threshold
climbs by delta_i until it leaves events to others; a high start would only be a run of misses."""


def initial_model(
    params: Hyperparameters,
    camera: Sensor,
    seed: int,
    lower: Model | None = None,
    filters: Filters | None = None,
) -> Model:
    """The network before its first event: distinct random unit weights, thresholds at 0.

    Components are uniform from 0 to 1 (`signed`: from -1 to 1, for contexts have both signs), then
    scaled to unit norm. The same seed gives the same bits on every machine. `lower`: the layer whose
    winners are the events. `filters`: those in front of a single layer, for a `camera` of this size.
    Raises FeastError for a hyperparameter out of range, or a layer that cannot stand on `lower`.
    """
    check_hyperparameters(params)
    if lower is not None:
        params = stacked(lower, params)
    lowest = -1.0 if params.polarity == "signed" else 0.0
    draws = np.random.default_rng(seed).random((params.total_features, params.dims))
    weights = lowest + (1.0 - lowest) * draws
    weights /= np.array([[math.sqrt(math.fsum(row * row))] for row in weights])
    untrained = Training("untrained", 0, 0, 0, seed, "float", 0.0)
    thresholds = np.full(params.total_features, INITIAL_THRESHOLD)
    sensor = filters.sensor if filters else lower.sensor if lower else camera
    return Model(params, sensor, weights, thresholds, untrained, lower, filters=filters)


@dataclass(frozen=True, eq=False)
class Scores:
    """What inference saw, one row per event; rows that were not compared hold a code and NaN."""

    winner: Results
    """int16 (n,): nearest feature, or a negative result code."""
    best: Float64Array
    """(n,): cosine of the winner."""
    second: Float64Array
    """(n,): cosine of the runner-up in the same bank; -inf where the bank has one feature."""
    norm: Float64Array
    """(n,): L2 norm of the context, in units of the event's own pixel: 1 or more."""


class FloatFeast:
    """A network that steps events, one result each; holds surfaces, weights and thresholds.

    With `learning` the thresholds select and everything adapts, regardless of `select`; without,
    the features are frozen and `select` decides. float32 is the fast choice; float64 is for
    comparisons. Stepping a recording in chunks gives the same results and state as in one call.

    A lower layer is always frozen and takes the nearest feature; `learning` and `select` apply to the upper
    layer, and state and counters are the upper layer's. ``lower`` is the network below, or None.

    `engine` says what steps: ``native``, the C kernel compiled for this processor, float32 only and for a
    layer on camera events; ``numba``, the readable loop; ``auto``, the kernel where it can be. Both follow
    one rule and differ in the rounding of float32 sums, and so do the kernel's widths of vectors: learning
    makes large differences of small ones. The environment variable FEAST_LANES (4, 8 or 16) sets a width
    on any machine; without it the kernel has the processor's own. Other threads run during `step`.
    """

    def __init__(
        self,
        model: Model,
        *,
        learning: bool = False,
        select: Select = "nearest",
        dtype: FloatType = np.float32,
        engine: Engine = "auto",
    ) -> None:
        """Raises FeastError if `engine` is native and there is none for this type or on this machine, or if
        FEAST_LANES is no width."""
        self.params = model.params
        self.sensor = model.sensor
        self.filters = model.filters
        self.learning = learning
        self.select = select
        self._below = model.lower
        self.lower = FloatFeast(model.lower, dtype=dtype, engine=engine) if model.lower else None
        native = engine != "numba" and dtype is np.float32 and NativeEngine.available(model.params.radius)
        native = native and self.lower is None
        if engine == "native" and not native and self.lower is None:
            raise FeastError(f"engine native: needs a C compiler and float32, got {np.dtype(dtype)}")
        self._engine = NativeEngine(model) if native else LoopEngine(model, dtype)
        self._filter = EventFilter(model.filters) if model.filters else None

    def step(self, events: Events) -> Results:
        """Step EVENT_DTYPE (n,) events in order; returns int16 (n,) results (base.events).

        Events are given in pixels of the camera; those that the model's filters leave out give
        FILTERED. An event outside the camera or earlier than the last accepted one gives its code
        and changes nothing but a counter.
        """
        if self.lower is None:
            return self.step_layer(events)
        results = self.lower.step(events)
        results[results >= 0] = self.step_layer(feature_events(self.lower.to_network_pixels(events), results))
        return results

    def to_network_pixels(self, events: Events) -> Events:
        """`events` in pixels of the network."""
        return self.filters.downsampled(events) if self.filters else events

    def step_layer(self, events: Events) -> Results:
        """Like `step`, for this layer alone: FEATURE_EVENT_DTYPE if there is one below."""
        nearest = not self.learning and self.select == "nearest"
        return self._run(events, self._rule(self.learning, nearest), np.empty((0, 3)))

    def scores(self, events: Events) -> Scores:
        """Like `step_layer`, frozen and by nearest feature, but also says how close the choice was."""
        details = np.full((events.size, 3), np.nan)
        winner = self._run(events, self._rule(learning=False, nearest=True), details)
        return Scores(winner, details[:, 0], details[:, 1], details[:, 2])

    def reset(self) -> None:
        """Begin a new recording: surfaces and time cleared; learned state and counters kept."""
        if self.lower is not None:
            self.lower.reset()
        self._engine.reset()
        if self._filter:
            self._filter.reset()

    @property
    def weights(self) -> Float64Array:
        """float64 (features, D): a copy of the weights, rows of unit L2 norm except for rounding."""
        return self._engine.weights

    @property
    def thresholds(self) -> Float64Array:
        """float64 (features,): a copy of the thresholds."""
        return self._engine.thresholds

    @property
    def counters(self) -> dict[str, int]:
        """Events so far by what became of them; their sum is the number of events stepped."""
        names = ("hits", "misses", "border", "outside", "backwards")
        counters = dict(zip(names, self._engine.counters.tolist(), strict=True))
        if self._filter:
            said = self._filter.counts
            counters |= {"outside": said[OUTSIDE], "backwards": said[BACKWARDS], "filtered": said[FILTERED]}
        return counters

    def to_model(self, training: Training) -> Model:
        """Freeze what was learned, as it is: a network of this type made from the model, or from its file,
        goes on with the next recording like this one, bit for bit on the same engine.

        Raises FeastError if the numbers are no longer finite.
        """
        weights = self.weights
        if not np.isfinite(weights).all():
            raise FeastError("training diverged: a weight is not finite; eta must stay well below 1")
        return Model(
            self.params, self.sensor, weights, self.thresholds, training, self._below, filters=self.filters
        )

    def _rule(self, learning: bool, nearest: bool) -> Rule:
        params = self.params
        return Rule(
            width=self.sensor.width,
            height=self.sensor.height,
            radius=params.radius,
            channels=params.channels,
            features_per_bank=params.features,
            octaves_per_us=1.0 / (params.tau_us * math.log(2.0)),
            eta=params.eta,
            delta_i=params.delta_i,
            delta_e=params.delta_e,
            separate=params.polarity == "separate",
            signed=params.polarity == "signed",
            skip_border=params.border == "skip",
            learning=learning,
            nearest=nearest,
        )

    def _run(self, events: Events, rule: Rule, details: Float64Array) -> Results:
        if self._filter is None:
            results = np.empty(events.size, RESULT_DTYPE)
            self._engine.run(rule, events, results, details)
            return results
        results = self._filter.classify(events)
        passed = np.flatnonzero(results == PASSED)
        placed = self._filter.filters.downsampled(events[passed])
        won, seen = np.empty(passed.size, RESULT_DTYPE), details[passed] if details.size else details
        self._engine.run(rule, placed, won, seen)
        results[passed] = won
        if details.size:
            details[passed] = seen
        return results
