"""Classes from vectors: a classifier of histograms, and cross-validated accuracies of scikit-learn's.

`HistogramClassifier` is the readout on its own, for anyone's histograms, and keeps scikit-learn's
conventions (its `check_estimator` passes).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import Ridge, RidgeClassifier, RidgeClassifierCV
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from feast_codegen.host.evaluation.folds import Groups, Labels, Split, fold_splits

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

ALPHAS: Final = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
FOLDS: Final = 10
SEEDS: Final = (0, 1, 2)
"""Of the folds; an accuracy is the mean over them."""


class HistogramClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Histograms to classes: a power, unit L2 norm, then ridge against one-hot targets.

    Parameters: ``power`` in (0, 1], applied to the size of each component, its sign kept; ``alphas``,
    regularisations of which the best is taken within each fit: by leave-one-out, or, where `fit` is given
    groups, by leaving out one of up to five parts of them. X: (recordings, components), counts or any real
    numbers. Fitted: ``coef_`` (classes or 1, components), ``intercept_``, ``alpha_``, ``classes_``.

    >>> labels = [recording.label for recording in recordings]
    >>> classifier = feast_codegen.HistogramClassifier().fit(feast.transform(recordings), labels)
    >>> classifier.predict(feast.transform(recordings)).shape
    (8,)
    """

    def __init__(self, power: float = 0.3, alphas: tuple[float, ...] = ALPHAS) -> None:
        self.power = power
        self.alphas = alphas

    def fit(self, X: Any, y: Any, groups: Any = None) -> HistogramClassifier:
        """Fit to (recordings, components) and (recordings,) labels; raises ValueError for bad input.

        groups: (recordings,), of which file or person each recording is: those of one stay together where the
        regularisation is chosen.
        """
        from sklearn.utils.multiclass import check_classification_targets

        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        vectors = _powered(X, self.power)
        inner = None if groups is None else _parts(groups, X.shape[0])
        if X.shape[0] > 1 and inner != []:
            ridge: Any = RidgeClassifierCV(self.alphas, cv=inner).fit(vectors, y)
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


def _parts(groups: Any, count: int) -> list[Any]:
    """Up to five splits that tear no group apart; none for a single group."""
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
    if numbers.shape != (count,):
        raise ValueError(f"groups have shape {numbers.shape}, expected ({count},)")
    parts = min(5, int(numbers.max(initial=0)) + 1)
    return list(GroupKFold(parts).split(np.zeros((count, 1)), groups=numbers)) if parts > 1 else []


def _powered(X: Float64Array, power: float) -> Float64Array:
    vectors = np.sign(X) * np.abs(X) ** power
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0.0, norms, 1.0))


def predictions(
    vectors: Float64Array,
    labels: Labels,
    classifier: Any,
    folds: int = FOLDS,
    seed: int = 0,
    groups: Groups = None,
) -> Labels:
    """(recordings,): label of each recording, by the classifier fitted to the other folds.

    `vectors`: (recordings, components). `classifier`: an estimator of scikit-learn, which is not changed.
    Stratified, seeded folds, which do not tear `groups` apart; one thread. Raises FeastError unless there are
    two classes or more with at least `folds` recordings, or groups, each.
    """
    splits = fold_splits(labels, groups, folds, seed)
    return np.asarray(_held_out(classifier, vectors, labels, splits, groups))


def accuracy(
    vectors: Float64Array,
    labels: Labels,
    classifier: Any,
    folds: int = FOLDS,
    seeds: tuple[int, ...] = SEEDS,
    groups: Groups = None,
) -> float:
    """Cross-validated accuracy, 0 to 1, the mean over several seeds of the folds; see `predictions`."""
    hits = [
        np.mean(predictions(vectors, labels, classifier, folds, seed, groups) == labels) for seed in seeds
    ]
    return float(np.mean(hits))


def ridge_accuracy(
    vectors: Float64Array,
    labels: Labels,
    folds: int = FOLDS,
    seeds: tuple[int, ...] = SEEDS,
    groups: Groups = None,
) -> float:
    """Cross-validated accuracy of ridge with the best of ALPHAS, one for all folds.

    It is a choice by k-fold, the same for everything that is compared.
    """
    return max(ridge_accuracies(vectors, labels, folds, seeds, groups).values())


def ridge_accuracies(
    vectors: Float64Array,
    labels: Labels,
    folds: int = FOLDS,
    seeds: tuple[int, ...] = SEEDS,
    groups: Groups = None,
) -> dict[float, float]:
    """Cross-validated accuracy of a ridge readout with intercept, by its strength, one of ALPHAS.

    Raises FeastError as `predictions` does.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    classes, index = np.unique(labels, return_inverse=True)
    targets = np.tile(2.0 * np.eye(classes.size)[index] - 1.0, len(ALPHAS))
    ridges = Ridge(np.repeat(ALPHAS, classes.size), solver="svd")  # one decomposition for all strengths
    # Ridge depends on inner products alone: these have as few components as there are recordings.
    with threadpool_limits(1):
        turned = np.asarray(np.linalg.qr(vectors.T, mode="r")).T
    right = []
    for seed in seeds:
        scores = _held_out(ridges, turned, targets, fold_splits(labels, groups, folds, seed))
        right.append(scores.reshape(len(labels), len(ALPHAS), -1).argmax(axis=2) == index[:, None])
    return dict(zip(ALPHAS, np.mean(right, axis=(0, 1)).tolist(), strict=True))


def _held_out(
    estimator: Any,
    vectors: Float64Array,
    targets: npt.NDArray[Any],
    splits: list[Split],
    groups: Groups = None,
) -> npt.NDArray[Any]:
    """What the estimator, fitted to the other folds, predicts for each recording.

    `groups` are given to an estimator that cross-validates within its own fit.
    """
    from threadpoolctl import threadpool_limits

    takes_groups = groups is not None and has_fit_parameter(estimator, "groups")
    params = {"groups": groups} if takes_groups else None
    with threadpool_limits(1):  # such small systems only wait for each other on more threads
        return np.asarray(cross_val_predict(estimator, vectors, targets, cv=splits, params=params))


def confusion(labels: Labels, predicted: Labels) -> Int64Array:
    """(classes, classes): recordings by label (row) and prediction (column), classes sorted."""
    from sklearn.metrics import confusion_matrix

    return np.asarray(confusion_matrix(labels, predicted))
