"""Activation scores: what they must be on made-up vectors, and that they rank real networks."""

from __future__ import annotations

import numpy as np
import pytest

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Hyperparameters
from feast_codegen.host.evaluation.activation_scores import (
    activation_score,
    richness,
    sampled,
    separation,
    spread,
)
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.open import open_source


def test_separation_is_the_ratio_of_variances() -> None:
    labels = np.array([0, 0, 1, 1])
    one = np.array([[1.0], [3.0], [5.0], [7.0]])  # means 2 and 6: between 16, within 4
    assert separation(one, labels) == pytest.approx(4.0)
    assert separation(np.hstack([one, one]), labels) == pytest.approx(8.0)
    dead = np.zeros((4, 1))
    assert separation(np.hstack([one, dead]), labels) == pytest.approx(4.0)


def test_unlabelled_scores_know_alike_from_different() -> None:
    alike, different = np.tile(np.eye(4)[0], (4, 1)), np.eye(4)
    assert spread(alike) == pytest.approx(0.0) and richness(alike) == pytest.approx(0.0)
    assert spread(different) == pytest.approx(0.75)
    assert richness(different) == pytest.approx(3 * np.log1p(1 / 0.1))


def test_a_tenth_holds_every_class() -> None:
    source = sampled(open_source("sim:digits?count=200"))
    assert sorted(label for label in source.labels if label is not None) == sorted(list(range(10)) * 2)


def test_a_useful_network_scores_higher_than_a_tiny_one() -> None:
    source = open_source("sim:digits?count=200")
    scores = []
    for features, radius in ((2, 1), (16, 3)):
        params = Hyperparameters(features=features, radius=radius)
        model = train(source, params, arithmetic="fixed").model  # the same on every machine
        scores.append(activation_score(source, model, share=0.2))
    poor, good = scores
    assert poor.recordings == 40
    assert poor.separation is not None and good.separation is not None
    assert good.separation > poor.separation
    assert good.spread > poor.spread and good.richness > poor.richness


def test_what_cannot_be_scored_is_refused() -> None:
    source = open_source("sim:bars?count=8")
    model = train(source, Hyperparameters(features=2, radius=1)).model
    with pytest.raises(FeastError, match="needs two classes"):
        activation_score(source.pick([0, 4]), model, share=1.0)
    with pytest.raises(FeastError, match="share 0: expected more than 0"):
        activation_score(source, model, share=0.0)
