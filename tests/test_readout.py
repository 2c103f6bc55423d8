"""The readout: pooled counts, accuracy, and what features are worth on real recordings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.errors import FeastError
from codegen.model import Arithmetic, Hyperparameters, Sensor
from codegen.records import BORDER, MISS
from host.datasets import open_source
from host.feast import FloatFeast
from host.readout import accuracy, compare_readouts, pooled_counts
from host.training import train
from tests.networks import make_events

SENSOR = Sensor(13, 9)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 60), grid=st.integers(1, 9))
def test_pooled_counts_count_each_event_in_its_cell(seed: int, count: int, grid: int) -> None:
    events = make_events(count, SENSOR, seed)
    results = np.random.default_rng(seed).integers(BORDER, 4, count).astype(np.int16)
    counts = np.zeros((grid, grid, 4))
    for event, result in zip(events, results, strict=True):
        if result >= 0:
            counts[int(event["y"]) * grid // 9, int(event["x"]) * grid // 13, result] += 1
    vector = pooled_counts(results, events, SENSOR, 4, grid)
    expected = np.sqrt(counts.ravel() / max(float(counts.sum()), 1.0))
    np.testing.assert_allclose(vector, expected, rtol=0, atol=1e-15)


def test_a_recording_without_features_is_all_zero() -> None:
    assert not pooled_counts(np.full(5, MISS), make_events(5, SENSOR), SENSOR, 4, 3).any()


def test_accuracy_is_seeded_and_told_apart_from_chance() -> None:
    generator = np.random.default_rng(0)
    labels = [index % 4 for index in range(80)]
    told = generator.normal(0.0, 0.3, (80, 6)) + np.eye(4, 6)[labels]
    assert accuracy(told, labels) == accuracy(told, labels) > 0.9
    assert accuracy(generator.normal(size=(80, 6)), labels) < 0.5


def test_comparison_on_simulated_digits() -> None:
    source = open_source("sim:digits?seed=2&count=60")
    model = train(source, Hyperparameters(neurons=8)).model
    comparison = compare_readouts(source, FloatFeast(model), 8, grids=(3, 5), raw_grids=(3, 7), folds=3)
    assert set(comparison.features) == {3, 5}
    assert set(comparison.raw) == {(kind, grid) for kind in ("merged", "by polarity") for grid in (3, 7)}
    assert comparison.best_features[1] == max(comparison.features.values()) > 0.6
    assert comparison.gain == comparison.best_features[1] - comparison.best_raw[1]


def test_what_cannot_be_read_out_is_refused() -> None:
    source = open_source("sim:bars?count=8")
    net = FloatFeast(train(source, Hyperparameters(neurons=2, radius=1)).model)
    with pytest.raises(FeastError, match="at least 5 recordings each; got 4 classes, the smallest of 2"):
        compare_readouts(source, net, 2)
    with pytest.raises(FeastError, match="got 1 classes"):
        compare_readouts(source.pick([0, 4] * 5), net, 2)
    with pytest.raises(FeastError, match="needs labels"):
        compare_readouts(replace(source, labels=(None,) * 8), net, 2)


@pytest.mark.data
def test_features_of_real_digits_obey_the_law_and_beat_raw_counts(nmnist: Path) -> None:
    """16 features of 11x11, tau 20 ms, one pass over 800 recordings: the reference result."""
    source = open_source(str(nmnist)).split("train")
    params = Hyperparameters()
    result = train(source, params)
    assert abs(result.model.training.miss_rate - 0.0204) < 0.002
    assert result.signals.converged(params)
    wins = result.signals.steady_wins
    assert wins.std() / wins.mean() < 0.02
    comparison = compare_readouts(source, FloatFeast(result.model), params.features)
    assert comparison.gain >= 0.08


@pytest.mark.prove
@pytest.mark.data
def test_features_learned_in_fixed_point_are_as_good(nmnist: Path) -> None:
    """Mean over grids and seeds: one seed's readout alone moves by more than the half point allowed."""
    source = open_source(str(nmnist)).split("train")
    accuracies = {}
    for arithmetic in get_args(Arithmetic):
        model = train(source, Hyperparameters(), arithmetic=arithmetic).model
        comparison = compare_readouts(source, FloatFeast(model), model.params.features, raw_grids=(3,))
        accuracies[arithmetic] = np.mean(list(comparison.features.values()))
    assert abs(accuracies["float"] - accuracies["fixed"]) <= 0.005
