"""What training looked like: windowed miss rate, thresholds and wins, and the expected values.

Where thresholds stay within their bounds, what each feature's threshold rises in steady state it
also falls, so the miss rate settles at ``Hyperparameters.law_miss_rate`` and all features win
equally often, no matter what they have learned. Runs differ only in the approach to that law.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import MISS, Results
from feast_codegen.codegen.model.model import Hyperparameters

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

WINDOW: Final = 1000
"""Compared events in a window: those that hit or missed, so no border events and no bad ones."""


@dataclass(frozen=True, eq=False)
class Signals:
    """One row per window of WINDOW compared events; the last window may be shorter."""

    compared: Int64Array
    """(windows,): compared events in the window."""
    misses: Int64Array
    """(windows,)."""
    wins: Int64Array
    """(windows, features): hits of each feature."""
    thresholds: Float64Array
    """(windows, features): thresholds at the end of the window, cosine."""
    weight_change: Float64Array = field(default_factory=lambda: np.empty(0))
    """(windows,): L2 distance a feature moved within the window, root mean square over the features;
    NaN where weights were not recorded."""

    @property
    def events(self) -> Int64Array:
        """(windows,): compared events up to the end of each window."""
        return np.cumsum(self.compared)

    @property
    def miss_rate(self) -> Float64Array:
        """(windows,): misses over compared events."""
        return self.misses / self.compared

    @property
    def mean_threshold(self) -> Float64Array:
        """(windows,): mean over all features."""
        return np.asarray(self.thresholds.mean(axis=1))

    @property
    def steady_miss_rate(self) -> float:
        """Misses over compared events in the last quarter of the windows."""
        last = self._last_quarter
        return float(self.misses[last].sum() / self.compared[last].sum())

    @property
    def steady_wins(self) -> Int64Array:
        """(features,): hits of each feature in the last quarter of the windows."""
        return np.asarray(self.wins[self._last_quarter].sum(axis=0))

    @property
    def threshold_slope(self) -> float:
        """Change of the mean threshold per compared event over the last quarter (least squares)."""
        last = self._last_quarter
        x = self.events[last] - self.events[last].mean()
        spread = float(x @ x)
        return float(x @ self.mean_threshold[last]) / spread if spread > 0.0 else 0.0

    def converged(self, params: Hyperparameters, tolerance: float = 0.002) -> bool:
        """Whether the last quarter is in steady state: miss rate within `tolerance`, thresholds stable.

        Free thresholds move by ``(law - miss rate) * (delta_i / N + delta_e)`` per event, so the
        slope may be what `tolerance` times that factor gives. A slope at rest with another miss
        rate means saturated thresholds.
        """
        pace = params.delta_i / params.features + params.delta_e
        near = abs(self.steady_miss_rate - params.law_miss_rate) <= tolerance
        return near and abs(self.threshold_slope) <= tolerance * pace

    @property
    def _last_quarter(self) -> slice:
        return slice(3 * self.compared.size // 4, None)


class SignalsRecorder:
    """Collects `Signals` while training runs; feed it chunks of at most `remaining` events."""

    def __init__(self, features: int) -> None:
        self._features = features
        self._compared: list[int] = []
        self._misses: list[int] = []
        self._wins: list[Int64Array] = []
        self._thresholds: list[Float64Array] = []
        self._changes: list[float] = []
        self._weights: Float64Array | None = None
        self._open_window()

    @property
    def remaining(self) -> int:
        """Compared events until the open window is full; never 0."""
        return WINDOW - int(self._hits.sum()) - self._missed

    def begin(self, weights: Float64Array) -> None:
        """Note the (features, D) weights before the first event, for the change of the first window."""
        self._weights = weights

    def record(self, results: Results, thresholds: Float64Array, weights: Float64Array | None = None) -> None:
        """Note the results of a chunk, the (features,) thresholds and (features, D) weights after it."""
        self._hits += np.bincount(results[results >= 0], minlength=self._features)
        self._missed += int(np.count_nonzero(results == MISS))
        self._last_thresholds = thresholds
        self._last_weights = weights
        if self.remaining <= 0:
            self._close_window()

    def finish(self) -> Signals:
        """Everything recorded. A window still open becomes the last row."""
        if self.remaining < WINDOW:
            self._close_window()
        return self.recent(len(self._compared))

    def recent(self, windows: int) -> Signals:
        """The last full windows, at most so many; their events are counted from the first of them."""
        last = slice(max(0, len(self._compared) - windows), None)
        compared = np.array(self._compared[last], np.int64)
        shape = (compared.size, self._features)
        return Signals(
            compared,
            np.array(self._misses[last], np.int64),
            np.array(self._wins[last], np.int64).reshape(shape),
            np.array(self._thresholds[last], np.float64).reshape(shape),
            np.array(self._changes[last], np.float64),
        )

    def _open_window(self) -> None:
        self._hits = np.zeros(self._features, np.int64)
        self._missed = 0

    def _close_window(self) -> None:
        self._compared.append(int(self._hits.sum()) + self._missed)
        self._misses.append(self._missed)
        self._wins.append(self._hits)
        self._thresholds.append(self._last_thresholds)
        self._changes.append(self._change())
        self._weights = self._last_weights
        self._open_window()

    def _change(self) -> float:
        if self._weights is None or self._last_weights is None:
            return float("nan")
        moved = np.linalg.norm(self._last_weights - self._weights, axis=1)
        return float(np.sqrt((moved**2).mean()))
