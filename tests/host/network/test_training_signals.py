"""Training signals: exact windows, the last quarter, and convergence on the law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.events import BACKWARDS, BORDER, MISS, OUTSIDE, RESULT_DTYPE
from feast_codegen.codegen.model.model import Hyperparameters
from feast_codegen.host.network.training_signals import WINDOW, Signals, SignalsRecorder

FEATURES = 3


def record(results: np.ndarray) -> Signals:
    """Feed results as training does, with thresholds that say how many events went by."""
    recorder, start = SignalsRecorder(FEATURES), 0
    while start < results.size:
        chunk = results[start : start + recorder.remaining]
        start += chunk.size
        recorder.record(chunk, np.full(FEATURES, float(start)))
    return recorder.finish()


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 6000), uncompared=st.floats(0, 0.99))
def test_windows_hold_exactly_their_compared_events(seed: int, count: int, uncompared: float) -> None:
    generator = np.random.default_rng(seed)
    results = generator.integers(MISS, FEATURES, count).astype(RESULT_DTYPE)
    skipped = generator.random(count) < uncompared
    results[skipped] = generator.choice([BORDER, OUTSIDE, BACKWARDS], np.count_nonzero(skipped))
    signals = record(results)

    compared = np.flatnonzero(results >= MISS)
    windows = [compared[at : at + WINDOW] for at in range(0, compared.size, WINDOW)]
    assert signals.compared.tolist() == [len(window) for window in windows]
    assert signals.misses.tolist() == [np.count_nonzero(results[window] == MISS) for window in windows]
    for row, window in zip(signals.wins, windows, strict=True):
        np.testing.assert_array_equal(row, [np.count_nonzero(results[window] == n) for n in range(FEATURES)])
    for row, window in zip(signals.thresholds[:-1], windows, strict=False):
        assert row[0] == window[-1] + 1
    assert signals.events.tolist() == np.cumsum([len(window) for window in windows]).tolist()


def test_steady_figures_come_from_the_last_quarter() -> None:
    misses = np.array([900, 900, 900, 100, 100, 100, 20, 30])
    thresholds = np.linspace(0.0, 0.8, 9)[1:, None] * np.ones(FEATURES)
    wins = np.tile(misses[:, None], FEATURES)
    signals = Signals(np.full(8, 1000), misses, wins, thresholds)
    assert signals.steady_miss_rate == pytest.approx(0.025)
    assert signals.steady_wins.tolist() == [50, 50, 50]
    assert signals.threshold_slope == pytest.approx(1e-4)
    np.testing.assert_allclose(signals.miss_rate, misses / 1000)
    np.testing.assert_allclose(signals.mean_threshold, thresholds[:, 0])


def steady(params: Hyperparameters, miss_rate: float, slope: float) -> Signals:
    windows = 100
    misses = np.full(windows, round(1000 * miss_rate))
    thresholds = slope * 1000 * np.arange(windows)[:, None] * np.ones(params.total_features)
    wins = np.zeros((windows, params.total_features), np.int64)
    return Signals(np.full(windows, 1000), misses, wins, thresholds)


def test_convergence_needs_the_law_and_thresholds_at_rest() -> None:
    params = Hyperparameters(features=16)
    assert params.law_miss_rate == pytest.approx(1 / 49)
    assert steady(params, 0.020, 0.0).converged(params)
    assert not steady(params, 0.030, 0.0).converged(params)
    assert not steady(params, 0.020, 1e-5).converged(params)
    assert steady(params, 0.020, 1e-6).converged(params)


def test_one_short_window_is_enough_for_figures() -> None:
    signals = record(np.array([0, MISS, 1, BORDER], RESULT_DTYPE))
    assert signals.steady_miss_rate == pytest.approx(1 / 3)
    assert signals.threshold_slope == 0.0
    assert record(np.array([BORDER], RESULT_DTYPE)).compared.size == 0
