"""host.Feast in scikit-learn's world: parameters, clones, pipelines, pickles."""

from __future__ import annotations

import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from codegen.errors import FeastError
from codegen.model_file import load_model
from host import Feast, HistogramClassifier
from host.classifiers import RandomLayer, accuracy, confusion, predictions, ridge_accuracies
from host.datasets import open_source
from host.events import EventStream


@pytest.fixture(scope="module")
def streams() -> list[EventStream]:
    return list(open_source("sim:bars?count=32"))


def small(**changes: object) -> Feast:
    return Feast(**{"neurons": 4, "radius": 2, "grid": 3, **changes})


def labels(streams: list[EventStream]) -> list[int]:
    return [stream.label or 0 for stream in streams]


@pytest.mark.parametrize(
    "estimator", [HistogramClassifier(), RandomLayer(hidden=20)], ids=["histogram", "elm"]
)
@pytest.mark.filterwarnings("ignore")
def test_check_estimator_passes(estimator: object) -> None:
    outcomes = check_estimator(estimator, on_skip=None)
    assert len(outcomes) > 30
    assert {each["status"] for each in outcomes} <= {"passed", "skipped"}
    assert sum(each["status"] == "skipped" for each in outcomes) <= 3


def test_parameters_and_clones(streams: list[EventStream]) -> None:
    feast = small(tau_us=5000.0).fit(streams)
    assert feast.get_params()["tau_us"] == 5000.0
    copy = clone(feast).set_params(neurons=2)
    assert copy.neurons == 2 and not hasattr(copy, "model_")
    with pytest.raises(NotFittedError):
        copy.transform(streams)
    assert clone(feast).fit(streams).model_.model_id == feast.model_.model_id


def test_transform_counts_each_feature_event(streams: list[EventStream]) -> None:
    feast = small(polarity="separate").fit(streams[:8])
    counts = feast.transform(streams[8:12])
    assert counts.shape == (4, 3 * 3 * 8) == (4, feast.n_features_out_)
    assert counts.sum(axis=1).tolist() == [stream.events.size for stream in streams[8:12]]
    assert len(feast.get_feature_names_out()) == counts.shape[1]
    wins = [np.bincount(results, minlength=8) for results in feast.feature_events(streams[8:12])]
    np.testing.assert_array_equal(counts.reshape(4, 9, 8).sum(axis=1), wins)
    assert feast.components_.shape == (8, 25) and feast.thresholds_.shape == (8,)


def test_recordings_one_by_one_learn_what_all_at_once_do(streams: list[EventStream]) -> None:
    whole, parts = small().fit(streams), small()
    for stream in streams:
        parts.partial_fit([stream.events])
    np.testing.assert_allclose(parts.components_, whole.components_, atol=1e-4)
    assert parts.model_.training.events == whole.model_.training.events
    with pytest.raises(FeastError, match="parameters were changed"):
        parts.set_params(radius=1).partial_fit(streams)
    assert parts.fit(streams).components_.shape == (4, 9)


def test_pickle_goes_through_the_model_file(streams: list[EventStream], tmp_path: Path) -> None:
    feast = small().fit(streams)
    content = pickle.dumps(feast)
    names = [str(argument) for _, argument, _ in pickletools.genops(content) if argument is not None]
    assert not any("codegen.model" in name for name in names)
    again = pickle.loads(content)
    assert again.model_.model_id == feast.model_.model_id
    np.testing.assert_array_equal(again.transform(streams[:2]), feast.transform(streams[:2]))
    again.partial_fit(streams[:1])
    feast.save(tmp_path / "model.npz")
    assert load_model(tmp_path / "model.npz").model_id == feast.model_.model_id
    assert not hasattr(pickle.loads(pickle.dumps(small())), "model_")


def test_pipeline_over_recordings_tells_orientations(streams: list[EventStream]) -> None:
    pipeline = make_pipeline(small(), HistogramClassifier())
    assert cross_val_score(pipeline, streams, labels(streams), cv=2).mean() > 0.8
    search = GridSearchCV(pipeline, {"feast__neurons": [1, 4]}, cv=2).fit(streams, labels(streams))
    assert search.best_params_["feast__neurons"] == 4


def test_what_is_no_recording_is_refused(streams: list[EventStream]) -> None:
    with pytest.raises(FeastError, match="X is one recording"):
        small().fit(streams[0].events)
    with pytest.raises(FeastError, match=r"X\[0\]: expected an array of EVENT_DTYPE"):
        small().fit([np.zeros((3, 4))])
    with pytest.raises(FeastError, match=r"X\[0\]: event 0: x="):
        small(sensor=(2, 2)).fit(streams[:1])
    with pytest.raises(FeastError, match="neurons"):
        small(neurons=0).fit(streams)


def test_every_classifier_reads_what_is_plain() -> None:
    generator = np.random.default_rng(0)
    truth = np.arange(60) % 3
    vectors = generator.normal(0.0, 0.2, (60, 5)) + np.eye(3, 5)[truth]
    for name in ("ridge", "ELM 500", "logistic", "KNN"):
        assert accuracy(vectors, truth, name, folds=5, seeds=(0,)) > 0.9
    for alpha, value in ridge_accuracies(vectors, truth, 5, (0,)).items():
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        told = cross_val_predict(RidgeClassifier(alpha), vectors, truth, cv=folds)
        assert value == pytest.approx(np.mean(told == truth))
    told = predictions(vectors, truth, folds=5)
    table = confusion(truth, told)
    assert table.sum() == 60 and np.trace(table) == np.count_nonzero(told == truth)
    with pytest.raises(FeastError, match="at least 30 recordings each; got 3 classes, the smallest of 20"):
        predictions(vectors, truth, folds=30)
