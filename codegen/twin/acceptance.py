"""Before a network without filters: section 4 of the numerics page, steps 1 and 2."""

from __future__ import annotations

import numpy as np

from feast_codegen.codegen.base.events import BACKWARDS, OUTSIDE, RESULT_DTYPE, Events, Results
from feast_codegen.codegen.base.sensor import Sensor
from feast_codegen.codegen.model.event_filter import PASSED


class Acceptance:
    """Turns away events off the sensor and events out of order; `EventFilter` has the same interface.

    ``counts``: events turned away so far, by result code.
    """

    def __init__(self, sensor: Sensor) -> None:
        self._sensor = sensor
        self._t_last = 0
        self.counts: dict[int, int] = {OUTSIDE: 0, BACKWARDS: 0}

    def reset(self) -> None:
        """Start a new recording: any time may come first."""
        self._t_last = 0

    def classify(self, events: Events) -> Results:
        """int16 (n,): PASSED for events that reach the network, else OUTSIDE or BACKWARDS."""
        codes = np.full(len(events), PASSED, RESULT_DTYPE)
        if len(events) == 0:
            return codes
        inside = (events["x"] < self._sensor.width) & (events["y"] < self._sensor.height)
        times = events["t_us"]
        last = np.uint64(self._t_last)  # before the first event 0, so that nothing is backwards of it
        latest = np.maximum(np.maximum.accumulate(np.where(inside, times, last)), last)
        previous = np.concatenate([[last], latest[:-1]])
        codes[~inside] = OUTSIDE
        codes[inside & (times < previous)] = BACKWARDS
        for code in self.counts:
            self.counts[code] += int(np.count_nonzero(codes == code))
        self._t_last = int(latest[-1])
        return codes
