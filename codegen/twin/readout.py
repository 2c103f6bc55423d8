"""Class scores of the integer twin: section 13 of the numerics page."""

from __future__ import annotations

import numpy as np

from feast_codegen.codegen.base.events import Events, Results
from feast_codegen.codegen.base.sensor import Sensor
from feast_codegen.codegen.fixed_point.state_layout import Values
from feast_codegen.codegen.model.readout import QuantReadout


class ReadoutTwin:
    """``scores``: int64 (classes,), sums since the reset."""

    def __init__(self, quant: QuantReadout, sensor: Sensor, features: int) -> None:
        self._quant = quant
        self._sensor = sensor
        self._features = features
        self.scores = np.zeros(len(quant.labels), np.int64)
        self.reset()

    def reset(self) -> None:
        """Start a new recording."""
        self.scores.fill(0)
        self._scored = False

    def step(self, results: Results, events: Events) -> None:
        """Add the rows of the events (in pixels of the network) that a feature won."""
        won = results >= 0
        if not won.any():
            return
        sensor, grid = self._sensor, self._quant.grid
        x, y = (events[axis][won].astype(np.int64) for axis in ("x", "y"))
        cell = y * grid // sensor.height * grid + x * grid // sensor.width
        rows = self._quant.rows[cell * self._features + results[won]]
        self.scores += rows.sum(axis=0, dtype=np.int64)
        self._scored = True

    @property
    def label(self) -> int:
        """Index of the class with the largest score; -1 before a feature has won."""
        return int(np.argmax(self.scores)) if self._scored else -1

    def values(self) -> Values:
        """The readout's sections of the state."""
        return {"scores": self.scores, "scored": self._scored}
