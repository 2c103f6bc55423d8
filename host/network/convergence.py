"""Watching a network that learns: when it has converged, and when what it sees has changed.

Both look at windows of signals alone, never at weights.

Converged: the miss rate has its expected steady-state value and the thresholds are stable
(`Signals.converged`), checked on the recent windows during training.

Changed: the miss rate does not show it, because the thresholds bring it back within a few hundred
events. What stays different are how unevenly the features win within a short window (new scenes have
other proportions of edges and corners) and the level the thresholds settle at. Each is followed both
ways by a cumulative sum (Page 1954) of its deviation from a stable part of the same recordings,
and the alarm lies at a multiple of the highest sum that part itself reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import MISS, Results
from feast_codegen.codegen.model.model import Hyperparameters
from feast_codegen.host.network.training_signals import Signals

Float64Array = npt.NDArray[np.float64]

SPAN: Final = 100
"""Windows of the signals (1000 compared events each) in which a network must be stable."""
TOLERANCE: Final = 0.002
"""Largest accepted difference of the miss rate from its expected value; absolute."""
DRIFT_WINDOW: Final = 250
"""Compared events in a window of the drift detector."""
CALIBRATION: Final = 2000
"""Windows from which the drift detector learns what is usual: half a million events."""
SLACK: Final = 0.75
"""Standard deviations that a window may deviate before it adds to a sum."""
LEAST: Final = 5.0
"""A highest sum taken at the least, in standard deviations: a lucky calibration is no tight limit."""
MARGIN: Final = 2.0
"""The alarm lies so many times as high as the highest sum of the calibration."""


def has_converged(signals: Signals, params: Hyperparameters, tolerance: float = TOLERANCE) -> bool:
    """Whether miss rate and thresholds are stable over the last SPAN windows; False while there are fewer.

    Both halves of the span must be: a miss rate that only crosses the expected value is not stable.
    """
    if signals.compared.size < SPAN:
        return False
    end = signals.compared.size
    halves = (slice(end - SPAN, end - SPAN // 2), slice(end - SPAN // 2, end))
    pace = params.delta_i / params.features + params.delta_e
    for half in halves:
        rate = signals.misses[half].sum() / signals.compared[half].sum()
        if abs(rate - params.law_miss_rate) > tolerance:
            return False
    whole = slice(end - SPAN, end)
    return abs(_slope(signals.events[whole], signals.mean_threshold[whole])) <= tolerance * pace


def _slope(x: npt.NDArray[np.int64], y: Float64Array) -> float:
    centred = x - x.mean()
    return float(centred @ y) / float(centred @ centred)


@dataclass(frozen=True)
class Drift:
    """An alarm."""

    events: int
    """Compared events since the end of the calibration."""
    signal: str
    """What has changed: `concentration` or `threshold`, and which way."""


class DriftDetector:
    """Feed it results and thresholds of a converged network that goes on learning.

    The first CALIBRATION windows say what is usual; from then on `update` returns the alarm once a
    cumulative sum passes its limit, and on every later call.
    """

    def __init__(
        self,
        features: int,
        *,
        window: int = DRIFT_WINDOW,
        calibration: int = CALIBRATION,
        margin: float = MARGIN,
    ) -> None:
        """Raises FeastError for a calibration too short to know a deviation from."""
        if calibration < 20 or window < 20:
            raise FeastError(
                f"drift: {calibration} windows of {window} events: expected 20 or more of each, "
                f"as a spread cannot be known from fewer"
            )
        self._features, self._window, self._calibration, self._margin = features, window, calibration, margin
        self._wins = np.zeros(features, np.int64)
        self._missed = 0
        self._usual: list[tuple[float, float]] = []
        self._sums = np.zeros(4)
        self.windows = 0
        """Windows since the calibration."""
        self.alarm: Drift | None = None

    @property
    def calibrated(self) -> bool:
        """Whether it knows what is usual and can raise an alarm."""
        return len(self._usual) == self._calibration

    @property
    def remaining(self) -> int:
        """Compared events until the open window is full: the most that `update` may be given."""
        return self._window - int(self._wins.sum()) - self._missed

    def update(self, results: Results, thresholds: Float64Array) -> Drift | None:
        """Note a chunk of at most `remaining` events and the (features,) thresholds after it."""
        self._wins += np.bincount(results[results >= 0], minlength=self._features)
        self._missed += int(np.count_nonzero(results == MISS))
        if self.remaining <= 0:
            shares = self._wins / max(int(self._wins.sum()), 1)
            self._close(float((shares**2).sum()), float(thresholds.mean()))
            self._wins[:] = 0
            self._missed = 0
        return self.alarm

    def _close(self, concentration: float, threshold: float) -> None:
        if not self.calibrated:
            self._usual.append((concentration, threshold))
            if self.calibrated:
                self._learn()
            return
        self.windows += 1
        self._sums = self._advance(self._sums, np.array([concentration, threshold]))
        over = self._sums > self._limits
        if self.alarm is None and over.any():
            names = ("concentration up", "threshold up", "concentration down", "threshold down")
            self.alarm = Drift(self.windows * self._window, names[int(np.argmax(self._sums / self._limits))])

    def _learn(self) -> None:
        """Mean and deviation of the stable part, and the highest sums it reaches itself."""
        usual = np.array(self._usual)
        self._mean = usual.mean(axis=0)
        self._deviation = np.maximum(usual.std(axis=0), 1e-12)
        sums, highest = np.zeros(4), np.full(4, LEAST)
        for row in usual:
            sums = self._advance(sums, row)
            highest = np.maximum(highest, sums)
        self._limits = self._margin * highest

    def _advance(self, sums: Float64Array, values: Float64Array) -> Float64Array:
        deviations = (values - self._mean) / self._deviation
        return np.asarray(np.maximum(0.0, sums + np.concatenate([deviations, -deviations]) - SLACK))
