"""`feast_codegen.Feast`: FEAST with scikit-learn's conventions, over recordings instead of rows.

    from sklearn.pipeline import make_pipeline
    from feast_codegen import Feast, HistogramClassifier

    pipeline = make_pipeline(Feast(features=16, sensor=(34, 34)), HistogramClassifier())
    pipeline.fit(recordings, labels).score(others, their_labels)

X is a sequence of recordings, each in a form that `feast_codegen.events_from` takes and that says what its
columns are: structured arrays, dicts and DataFrames, tuples of arrays, EventStream. `transform` gives each
recording's feature events counted in grid cells.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import MISS, Events, Results
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.hyperparameters import DEFAULTS
from feast_codegen.codegen.model.model import Border, Hyperparameters, Model, Polarity, Sensor, Training
from feast_codegen.codegen.model.schema import check_hyperparameters
from feast_codegen.host.evaluation.pooling import Pooling, pool_sums
from feast_codegen.host.network.float_model import FloatFeast, initial_model
from feast_codegen.host.recordings.in_memory import streams_from

Float64Array = npt.NDArray[np.float64]


class Feast(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Learn features from recordings; transform recordings to pooled counts of feature events.

    Parameters, with units: ``features`` (features per bank), ``radius`` (pixels; the context is a
    square of 2 * radius + 1), ``tau_us`` (microseconds, decay of the time surface), ``eta``,
    ``delta_i``, ``delta_e`` (learning rate, rise and fall of thresholds, in units of the cosine),
    ``polarity`` (merged, separate or signed), ``border`` (zero or skip), ``sensor`` ((width, height)
    in pixels), ``grid`` and ``overlap`` (cells a side, and how far they reach into each other, in
    cells, 0 or 1 to 4), ``epochs`` (passes of `fit`), ``random_state`` (seed of the first weights),
    ``filters`` (feast_codegen.codegen.model.filters.Filters of a camera of the size ``sensor``, or None).

    Fitted: ``model_`` (model.model.Model: everything that `codegen emit` takes), ``thresholds_``
    (features,), ``components_`` (features, D) of unit L2 norm to within float32 rounding,
    ``n_features_out_``.

    Between recordings ``model_`` is the whole state of learning. So `partial_fit`, recording by recording
    or in any parts, gives the bits of one `fit` over all; also where it goes on from a pickle or a deep copy,
    or with ``model_`` set to the model of a file that `save` wrote (an estimator that had none then counts
    recordings and events of ``model_.training`` from there). That is exact for one engine and one width of
    vectors (FloatFeast): another processor starts from the same bits, but rounds sums its own way.
    Pickles as the model file, without code of its own.

    >>> recordings = list(feast_codegen.open_recordings("sim:bars?count=8"))
    >>> feast = feast_codegen.Feast(features=4, radius=1, sensor=(34, 34), grid=3).fit(recordings)
    >>> feast.transform(recordings).shape
    (8, 36)
    """

    def __init__(
        self,
        features: int = DEFAULTS.features,
        radius: int = DEFAULTS.radius,
        tau_us: float = DEFAULTS.tau_us,
        eta: float = DEFAULTS.eta,
        delta_i: float = DEFAULTS.delta_i,
        delta_e: float = DEFAULTS.delta_e,
        polarity: Polarity = DEFAULTS.polarity,
        border: Border = DEFAULTS.border,
        sensor: tuple[int, int] = (34, 34),
        grid: int = 5,
        overlap: float = 0.0,
        epochs: int = 1,
        random_state: int = 0,
        filters: Filters | None = None,
    ) -> None:
        self.features = features
        self.radius = radius
        self.tau_us = tau_us
        self.eta = eta
        self.delta_i = delta_i
        self.delta_e = delta_e
        self.polarity = polarity
        self.border = border
        self.sensor = sensor
        self.grid = grid
        self.overlap = overlap
        self.epochs = epochs
        self.random_state = random_state
        self.filters = filters

    def fit(self, X: Sequence[Any], y: Any = None) -> Feast:
        """Learn from all recordings in the order given, `epochs` times, from new weights; y is ignored.

        Raises FeastError for a parameter out of range or a recording with a bad event.
        """
        if self.epochs < 1:
            raise FeastError(f"epochs {self.epochs}: expected 1 or more")
        for name in ("model_", "_counts"):
            self.__dict__.pop(name, None)
        for _ in range(self.epochs):
            self.partial_fit(X)
        return self

    def partial_fit(self, X: Sequence[Any], y: Any = None) -> Feast:
        """Go on learning with these recordings, as if they had come in one call with those before.

        Surfaces are reset before each. y is ignored. Raises FeastError for a parameter out of range or
        changed since, or a recording with a bad event; nothing is learned then.
        """
        params = self._params()
        size = Sensor(*self.sensor)
        if self.filters and self.filters.camera != size:
            raise FeastError(f"filters are for a {self.filters.camera} camera, sensor is {size}")
        start = getattr(self, "model_", None) or initial_model(
            params, size, self.random_state, filters=self.filters
        )
        if (start.params, start.camera, start.filters) != (params, size, self.filters):
            raise FeastError("partial_fit: the parameters were changed since the last fit; use fit")
        net = FloatFeast(start, learning=True)
        recordings, events, compared, misses = getattr(self, "_counts", (0, 0, 0, 0))
        for stream in self._checked(X):
            net.reset()
            results = net.step(stream)
            recordings += 1
            events += stream.size
            compared += int(np.count_nonzero(results >= MISS))
            misses += int(np.count_nonzero(results == MISS))
        self._counts = (recordings, events, compared, misses)
        rate = misses / max(compared, 1)
        made = Training("recordings in memory", recordings, events, 1, self.random_state, "float", rate)
        self.model_: Model = net.to_model(made)
        return self

    def transform(self, X: Sequence[Any]) -> Float64Array:
        """(recordings, grid * grid * features): feature events per cell, features frozen, nearest wins."""
        check_is_fitted(self, "model_")
        pooling = Pooling(self.grid, overlap=self.overlap)
        features = self.model_.params.total_features
        rows = [
            pool_sums(results, events, self.model_.camera, features, pooling)
            for events, results in self._steps(X)
        ]
        return np.array(rows).reshape(len(rows), self.n_features_out_)

    def feature_events(self, X: Sequence[Any]) -> list[Results]:
        """For each recording the (events,) int16 results: the winner of each event, or a code < 0."""
        check_is_fitted(self, "model_")
        return [results for _, results in self._steps(X)]

    @property
    def n_features_out_(self) -> int:
        """Components of a transformed recording."""
        return self.grid**2 * self.model_.params.total_features

    @property
    def components_(self) -> Float64Array:
        """(features, D): the learned weights, rows of unit L2 norm."""
        return self.model_.weights

    @property
    def thresholds_(self) -> Float64Array:
        """(features,): selection thresholds, cosine."""
        return self.model_.thresholds

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[Any]:
        """Names ``feast_<row>_<column>_<feature>`` of the transformed components."""
        features = self.model_.params.total_features
        cells = [(row, column) for row in range(self.grid) for column in range(self.grid)]
        return np.array([f"feast_{r}_{c}_{n}" for r, c in cells for n in range(features)], dtype=object)

    def save(self, path: str | Path) -> None:
        """Write the model file that `codegen emit` and the other commands take."""
        check_is_fitted(self, "model_")
        save_model(self.model_, Path(path))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "model_" in state:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.npz"
                save_model(state.pop("model_"), path)
                state["_model_file"] = path.read_bytes()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        content = state.pop("_model_file", None)
        super().__setstate__(state)
        if content is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.npz"
                path.write_bytes(content)
                self.model_ = load_model(path)

    def _params(self) -> Hyperparameters:
        return check_hyperparameters(
            Hyperparameters(
                self.features,
                self.radius,
                float(self.tau_us),
                float(self.eta),
                float(self.delta_i),
                float(self.delta_e),
                self.polarity,
                self.border,
            )
        )

    def _checked(self, X: Sequence[Any]) -> list[Events]:
        return [stream.events for stream in streams_from(X, sensor=self.sensor, where="X")]

    def _steps(self, X: Sequence[Any]) -> list[tuple[Events, Results]]:
        net = FloatFeast(self.model_)
        stepped = []
        for events in self._checked(X):
            net.reset()
            stepped.append((events, net.step(events)))
        return stepped
