"""Folds: no group on both sides, every class to fit to, and what happens where there are too few groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import KNeighborsClassifier

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Hyperparameters
from feast_codegen.host.evaluation.classifiers import (
    ALPHAS,
    HistogramClassifier,
    accuracy,
    confusion,
    predictions,
    ridge_accuracy,
)
from feast_codegen.host.evaluation.feature_vectors import groups_of, labels_of, raw_vectors
from feast_codegen.host.evaluation.fit_readout import UNCHECKED_STRENGTH, check_readable, fit_readout
from feast_codegen.host.evaluation.folds import fold_splits, most_folds
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.network.float_model import initial_model
from feast_codegen.host.recordings.open import open_source


@given(
    groups=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5)), min_size=6, max_size=18),
    folds=st.integers(2, 4),
    seed=st.integers(0, 99),
)
@settings(max_examples=60)
def test_folds_never_tear_a_group_apart(groups: list[tuple[int, int]], folds: int, seed: int) -> None:
    """Groups of one class each, as files in class folders are."""
    labels = np.concatenate([np.full(size, label) for label, size in groups])
    numbers = np.concatenate([np.full(size, index) for index, (_, size) in enumerate(groups)])
    if len(set(labels)) < 2 or most_folds(labels, numbers) < folds:
        with pytest.raises(FeastError, match="a readout needs two classes or more with at least"):
            fold_splits(labels, numbers, folds, seed)
        return
    splits = fold_splits(labels, numbers, folds, seed)
    assert len(splits) == folds
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(len(labels)))
    for fit, test in splits:
        assert not set(numbers[fit]) & set(numbers[test])
        assert set(labels[fit]) == set(labels)


def clips() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clips of ten recordings of two classes: a clip tells its recording, nothing tells the class."""
    generator = np.random.default_rng(0)
    recordings = np.repeat(np.arange(10), 12)
    own = generator.random((10, 30))
    vectors = own[recordings] + 0.01 * generator.random((120, 30))
    return vectors, np.array(["run", "walk"])[recordings % 2], recordings


@pytest.mark.parametrize("classifier", [KNeighborsClassifier(3), HistogramClassifier()])
def test_clips_of_the_same_recordings_are_no_proof(classifier: object) -> None:
    vectors, labels, groups = clips()
    assert accuracy(vectors, labels, classifier, 5, (0,)) == 1.0, "what leakage looks like"
    assert accuracy(vectors, labels, classifier, 5, (0,), groups) < 0.8
    assert ridge_accuracy(vectors, labels, 5, (0,)) == 1.0
    assert ridge_accuracy(vectors, labels, 5, (0,), groups) < 0.8


def test_names_of_classes_go_through_classifiers() -> None:
    vectors, labels, groups = clips()
    predicted = predictions(vectors, labels, HistogramClassifier(), 5, groups=groups)
    assert set(predicted) <= {"run", "walk"}
    assert confusion(labels, predicted).sum() == 120


def test_a_classifier_chooses_its_strength_without_tearing_groups() -> None:
    vectors, labels, groups = clips()
    noisy = vectors + np.random.default_rng(1).random(vectors.shape)
    unit = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    wanted = RidgeClassifierCV(ALPHAS, cv=[*GroupKFold(5).split(unit, labels, groups)]).fit(unit, labels)
    found = HistogramClassifier(1.0).fit(noisy, labels, groups=groups)
    assert found.alpha_ == wanted.alpha_ != HistogramClassifier(1.0).fit(noisy, labels).alpha_
    one = HistogramClassifier().fit(vectors, labels, groups=np.zeros(120, int))
    assert one.alpha_ in one.alphas
    with pytest.raises(ValueError, match=r"groups have shape \(3,\), expected \(120,\)"):
        HistogramClassifier().fit(vectors, labels, groups=[1, 2, 3])


def test_a_readout_keeps_the_groups_of_its_source() -> None:
    bars = open_source("sim:bars?count=16")
    source = replace(bars, labels=tuple("abcd"[int(label or 0)] for label in bars.labels))
    model = initial_model(Hyperparameters(features=4, radius=1), source.sensor, seed=0)
    plain = fit_readout(source, model, 3)
    assert (plain.readout.labels, plain.folds, plain.groups) == (tuple("abcd"), 4, 16)
    pairs = replace(source, groups=tuple(str(index // 8) for index in range(16)))
    kept = fit_readout(pairs, model, 3)
    assert (kept.folds, kept.groups) == (2, 2)
    assert raw_vectors(pairs, "merged", [Pooling(1)]).groups is not None
    alone = replace(source, groups=tuple(str(label) for label in source.labels))
    unknown = fit_readout(alone, model, 3)
    assert (unknown.accuracy, unknown.folds, unknown.strength) == (None, 0, UNCHECKED_STRENGTH)
    assert check_readable(alone.pick(range(8)), 3) == 0
    assert groups_of(source) is None and labels_of(source).dtype.kind == "U"
