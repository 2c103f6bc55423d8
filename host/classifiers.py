"""What reads classes from vectors: the scikit-learn estimators of the stage table.

`HistogramClassifier` is the readout on its own, for anyone's histograms, and keeps scikit-learn's
conventions (its `check_estimator` passes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.linear_model import LogisticRegression, RidgeClassifier, RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from codegen.errors import FeastError

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

ALPHAS: Final = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
FOLDS: Final = 10
HIDDEN: Final = 500


class HistogramClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Histograms to classes: a power, unit L2 norm, then ridge against one-hot targets.

    Parameters: ``power`` in (0, 1], applied to the size of each component, its sign kept; ``alphas``,
    regularisations of which the best by leave-one-out is taken within each fit. X: (recordings,
    components), counts or any real numbers. Fitted: ``coef_`` (classes or 1, components),
    ``intercept_``, ``alpha_``, ``classes_``.
    """

    def __init__(self, power: float = 0.3, alphas: tuple[float, ...] = ALPHAS) -> None:
        self.power = power
        self.alphas = alphas

    def fit(self, X: Any, y: Any) -> HistogramClassifier:
        """Fit to (recordings, components) and (recordings,) labels; raises ValueError for bad input."""
        from sklearn.utils.multiclass import check_classification_targets

        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        vectors = _powered(X, self.power)
        if X.shape[0] > 1:
            ridge: Any = RidgeClassifierCV(self.alphas).fit(vectors, y)
            self.alpha_ = float(ridge.alpha_)
        else:
            self.alpha_ = float(self.alphas[len(self.alphas) // 2])
            ridge = RidgeClassifier(self.alpha_).fit(vectors, y)
        self.classes_ = ridge.classes_
        if self.classes_.size < 2:
            raise ValueError("Classifier can't train when only one class is present.")
        self.coef_, self.intercept_ = ridge.coef_, ridge.intercept_
        return self

    def decision_function(self, X: Any) -> Float64Array:
        """(recordings, classes) scores, or (recordings,) where there are two classes."""
        check_is_fitted(self)
        vectors = _powered(validate_data(self, X, reset=False), self.power)
        scores = vectors @ self.coef_.T + self.intercept_
        return np.asarray(scores.ravel() if self.classes_.size == 2 else scores)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """(recordings,) labels."""
        scores = self.decision_function(X)
        index = (scores > 0.0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        return np.asarray(self.classes_[index])


class RandomLayer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A fixed random layer, ``tanh(gain * (X W + b))``: the hidden layer of an extreme learning machine."""

    def __init__(self, hidden: int = HIDDEN, gain: float = 1.0, random_state: Any = 0) -> None:
        self.hidden = hidden
        self.gain = gain
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> RandomLayer:
        """Draw the weights; the data give only the scale at which tanh bends."""
        X = validate_data(self, X)
        random = check_random_state(self.random_state)
        self.mean_ = X.mean(axis=0)
        spread = float(np.sqrt(((X - self.mean_) ** 2).sum(axis=1).mean())) or 1.0
        self.weights_ = random.normal(0.0, 1.0 / spread, (X.shape[1], self.hidden))
        self.bias_ = random.uniform(-1.0, 1.0, self.hidden)
        return self

    def transform(self, X: Any) -> Float64Array:
        """(recordings, hidden), -1 to 1."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return np.asarray(np.tanh(self.gain * ((X - self.mean_) @ self.weights_ + self.bias_)))


def _powered(X: Float64Array, power: float) -> Float64Array:
    vectors = np.sign(X) * np.abs(X) ** power
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0.0, norms, 1.0))


def ridge() -> Any:
    """Linear: ridge against one-hot targets, its strength by leave-one-out within each fit."""
    return RidgeClassifierCV(ALPHAS)


def elm(hidden: int = HIDDEN, seed: int = 0) -> Any:
    """Extreme learning machine: `hidden` random tanh units, then ridge."""
    return make_pipeline(
        RandomLayer(hidden, random_state=seed), RidgeClassifierCV(np.geomspace(0.01, 300, 10))
    )


def logistic() -> Any:
    """Linear: multinomial logistic regression."""
    return LogisticRegression(C=300.0, max_iter=300, tol=1e-3)


def nearest() -> Any:
    """The three nearest recordings vote, by Euclidean distance of unit vectors."""
    return KNeighborsClassifier(3)


CLASSIFIERS: Final[Mapping[str, Callable[[], Any]]] = {
    "ridge": ridge,
    "ELM 500": elm,
    "logistic": logistic,
    "KNN": nearest,
}


def predictions(
    vectors: Float64Array, labels: Int64Array, classifier: str = "ridge", folds: int = FOLDS, seed: int = 0
) -> Int64Array:
    """(recordings,): label of each recording, by the classifier fitted to the other folds.

    Stratified, seeded folds; one thread. Raises FeastError unless there are two classes or more with
    at least `folds` recordings each.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    _check_sizes(labels, folds)
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with threadpool_limits(1):
        return np.asarray(cross_val_predict(CLASSIFIERS[classifier](), vectors, labels, cv=splits))


def accuracy(
    vectors: Float64Array,
    labels: Int64Array,
    classifier: str = "ridge",
    folds: int = FOLDS,
    seeds: tuple[int, ...] = (0, 1, 2),
) -> float:
    """Cross-validated accuracy, the mean over several seeds of the folds.

    For `ridge` it is that of the best of ALPHAS, one for all folds: a choice by k-fold, the same for
    whatever is compared.
    """
    if classifier == "ridge":
        return max(ridge_accuracies(vectors, labels, folds, seeds).values())
    hits = [np.mean(predictions(vectors, labels, classifier, folds, seed) == labels) for seed in seeds]
    return float(np.mean(hits))


def ridge_accuracies(
    vectors: Float64Array, labels: Int64Array, folds: int = FOLDS, seeds: tuple[int, ...] = (0, 1, 2)
) -> dict[float, float]:
    """Cross-validated accuracy of a ridge readout with intercept, by its strength, one of ALPHAS.

    Solved in the space of the recordings: one eigendecomposition a fold serves every strength.
    Raises FeastError as `predictions` does.
    """
    from threadpoolctl import threadpool_limits

    _check_sizes(labels, folds)
    classes, index = np.unique(labels, return_inverse=True)
    targets = 2.0 * np.eye(classes.size)[index] - 1.0
    hits = np.zeros(len(ALPHAS))
    with threadpool_limits(1):
        gram = vectors @ vectors.T
        for seed in seeds:
            splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
            for kept, held in splits.split(gram, labels):
                inner, outer = _centred(gram, kept, held)
                values, directions = np.linalg.eigh(inner)
                mean = targets[kept].mean(axis=0)
                sought = directions.T @ (targets[kept] - mean)
                for at, alpha in enumerate(ALPHAS):
                    scores = outer @ (directions @ (sought / (values + alpha)[:, None])) + mean
                    hits[at] += np.count_nonzero(scores.argmax(axis=1) == index[held])
    return dict(zip(ALPHAS, (hits / (len(labels) * len(seeds))).tolist(), strict=True))


def _centred(gram: Float64Array, kept: Int64Array, held: Int64Array) -> tuple[Float64Array, Float64Array]:
    """Inner products of kept, and of held with kept recordings, about the mean of the kept ones."""
    inner, outer = gram[np.ix_(kept, kept)], gram[np.ix_(held, kept)]
    column, whole = inner.mean(axis=0), inner.mean()
    return (
        inner - column - column[:, None] + whole,
        outer - outer.mean(axis=1, keepdims=True) - column + whole,
    )


def _check_sizes(labels: Int64Array, folds: int) -> None:
    _, sizes = np.unique(labels, return_counts=True)
    if sizes.size < 2 or sizes.min() < folds:
        raise FeastError(
            f"a readout needs two classes or more with at least {folds} recordings each; got {sizes.size} "
            f"classes, the smallest of {sizes.min(initial=len(labels))}"
        )


def confusion(labels: Int64Array, predicted: Int64Array) -> Int64Array:
    """(classes, classes): recordings by label (row) and prediction (column), classes sorted."""
    from sklearn.metrics import confusion_matrix

    return np.asarray(confusion_matrix(labels, predicted))
