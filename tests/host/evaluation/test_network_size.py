"""Noise features and the recommended size."""

from __future__ import annotations

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Hyperparameters
from feast_codegen.host.evaluation.network_size import (
    SizePoint,
    noise_wins,
    recommend,
    size_curve,
    with_noise,
)
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.open import open_source


def test_noise_is_marked_and_the_recording_is_still_there() -> None:
    stream = open_source("sim:bars?count=1").load(0)
    mixed, noise = with_noise(stream.events, stream.sensor, 10.0, [0, 0])
    np.testing.assert_array_equal(mixed[~noise], stream.events)
    expected = 10.0 * 34 * 34 * stream.duration_us * 1e-6
    assert abs(noise.sum() - expected) < 5 * np.sqrt(expected)
    assert (mixed["t_us"][1:] >= mixed["t_us"][:-1]).all()
    again, _ = with_noise(stream.events, stream.sensor, 10.0, [0, 0])
    np.testing.assert_array_equal(mixed, again)
    quiet, none = with_noise(stream.events, stream.sensor, 0.0, [0, 0])
    assert quiet.size == stream.events.size and not none.any()
    with pytest.raises(FeastError, match="expected 0 to 1000"):
        with_noise(stream.events, stream.sensor, -1.0, [0, 0])


def point(features: int, noise: int) -> SizePoint:
    return SizePoint(features, features, noise, 0.5, 1.0, 0.02)


def test_recommended_is_the_first_with_two_noise_features() -> None:
    assert recommend([point(4, 0), point(8, 1), point(16, 2), point(32, 5)])[0] == 16
    size, why = recommend([point(4, 0), point(8, 1)])
    assert size == 8 and "may still be too small" in why


def test_a_feature_turns_to_noise_where_noise_is_plenty_and_only_there() -> None:
    """Twelve runs from first weights shaken by 1e-6 gave 0.52 of the noise to 2 features in each."""
    source = open_source("sim:digits?count=60")
    params = Hyperparameters(radius=3, delta_i=0.003, delta_e=0.01)
    loud = size_curve(source, params, sizes=(2, 12), noise_hz=5.0)
    quiet = size_curve(source, params, sizes=(2, 12), noise_hz=0.0)
    assert [each.features for each in loud.points] == [2, 12]
    assert loud.points[1].noise_features >= 1
    assert loud.points[1].noise_wins > 0.4
    assert [each.noise_features for each in quiet.points] == [0, 0]
    assert loud.points[1].richness > loud.points[0].richness
    with pytest.raises(FeastError, match="expected two or more"):
        size_curve(source, params, sizes=(4, 4))


def test_wins_of_both_kinds_add_up_to_all_events() -> None:
    source = open_source("sim:bars?count=4")
    model = train(source, Hyperparameters(features=4, radius=1)).model
    wins, vectors = noise_wins(model, source, noise_hz=3.0)
    assert wins[0].sum() == sum(stream.events.size for stream in source)
    assert vectors.shape == (4, 5 * 5 * 4)
