"""Steps the float model with the loop that numba compiles: any float type, on any machine."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.model.model import Model
from feast_codegen.host.network.engines.numba_kernel import Float64Array, Rule, State, step_events

_LANES: Final = 16
"""Patches are padded to a multiple of this: the float32 lanes of the widest SIMD register."""


class LoopEngine:
    """Surfaces, weights and thresholds in the layout of `feast_codegen.host.network.engines.numba_kernel`."""

    def __init__(self, model: Model, dtype: type[np.floating[Any]]) -> None:
        params, sensor = model.params, model.sensor
        self._dims = params.dims
        padded = -(-params.dims // _LANES) * _LANES
        weights = np.zeros((params.total_features, padded), dtype)
        weights[:, : params.dims] = model.weights
        frame = (sensor.height + 2 * params.radius, sensor.width + 2 * params.radius)
        self._state = State(
            surfaces=np.zeros((params.surfaces, *frame), dtype),
            weights=weights,
            thresholds=model.thresholds.astype(np.float64),
            patch=np.zeros(padded, dtype),
            times_us=np.zeros(2, np.uint64),
            phase=np.full(1, -1.0),
            counters=np.zeros(5, np.int64),
        )

    @property
    def weights(self) -> Float64Array:
        """float64 (features, D): a copy."""
        return self._state.weights[:, : self._dims].astype(np.float64)

    @property
    def thresholds(self) -> Float64Array:
        """float64 (features,): a copy."""
        return self._state.thresholds.copy()

    @property
    def counters(self) -> npt.NDArray[np.int64]:
        """(5,): hits, misses, border, outside, backwards."""
        return self._state.counters

    def reset(self) -> None:
        """Begin a new recording."""
        self._state.surfaces.fill(0.0)
        self._state.times_us.fill(0)
        self._state.phase.fill(-1.0)

    def run(self, rule: Rule, events: Events, results: Results, details: Float64Array) -> None:
        """Step (n,) events, EVENT_DTYPE or FEATURE_EVENT_DTYPE; fills int16 (n,) results and, if it has rows,
        `details` (n, 3)."""
        t_us, x, y, inputs = (events[name] for name in events.dtype.names or ())
        step_events(rule, self._state, t_us, x, y, inputs, results, details)
