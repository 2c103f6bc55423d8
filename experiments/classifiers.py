"""The classifiers of the tables in docs/results/results.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_random_state

from feast_codegen.host.evaluation.classifiers import ALPHAS

Float64Array = npt.NDArray[np.float64]


class RandomLayer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A fixed random layer, ``tanh(X W + b)``: the hidden layer of an extreme learning machine."""

    def __init__(self, hidden: int, random_state: int = 0) -> None:
        self.hidden = hidden
        self.random_state = random_state

    def fit(self, X: Float64Array, y: Any = None) -> RandomLayer:
        """Draw the weights; the data give only the scale at which tanh bends."""
        random = check_random_state(self.random_state)
        self.mean_ = X.mean(axis=0)
        spread = float(np.sqrt(((X - self.mean_) ** 2).sum(axis=1).mean())) or 1.0
        self.weights_ = random.normal(0.0, 1.0 / spread, (X.shape[1], self.hidden))
        self.bias_ = random.uniform(-1.0, 1.0, self.hidden)
        return self

    def transform(self, X: Float64Array) -> Float64Array:
        """(recordings, hidden), -1 to 1."""
        return np.asarray(np.tanh((X - self.mean_) @ self.weights_ + self.bias_))


CLASSIFIERS: Final[Mapping[str, Any]] = {
    "ridge": RidgeClassifierCV(ALPHAS),
    "ELM 500": make_pipeline(RandomLayer(500), RidgeClassifierCV(np.geomspace(0.01, 300, 10))),
    "logistic": LogisticRegression(C=300.0, max_iter=300, tol=1e-3),
    "KNN": KNeighborsClassifier(3),
}
"""By the head of their column. The strength of ridge is chosen by leave-one-out within each fit."""
