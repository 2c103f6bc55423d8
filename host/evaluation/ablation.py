"""Accuracy stage by stage: readouts of raw events, of features, and of features in integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sklearn.neighbors import KNeighborsClassifier

from feast_codegen.codegen.model.model import Arithmetic, Model
from feast_codegen.host.evaluation.classifiers import FOLDS, SEEDS, accuracy, ridge_accuracy
from feast_codegen.host.evaluation.feature_vectors import (
    RawKind,
    Vectors,
    feature_vectors,
    raw_vectors,
)
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.open import Source

SURFACE_TAU_US: Final = 100_000.0
RAW_KINDS: Final[tuple[RawKind, ...]] = ("merged", "by polarity")
FEATURE_GRIDS: Final = (3, 5, 7)
RAW_GRIDS: Final = (1, 2, 3, 5, 7, 9, 12, 17, 34)
"""Raw events are given every grid, to be compared at their best."""


@dataclass(frozen=True)
class Measure:
    """How accuracies are measured: cross-validated readouts of pooled events."""

    pooling: Pooling
    others: Mapping[str, Any] = field(default_factory=lambda: {"KNN": KNeighborsClassifier(3)})
    """Classifiers besides ridge, by name; those of scikit-learn."""
    folds: int = FOLDS
    jobs: int = 1
    """Workers that extract features."""

    def stages(self, name: str, poolings: Sequence[Pooling], vectors: Vectors) -> list[Stage]:
        """A row for each pooling. Ridge has the mean over SEEDS, the others have the first of them."""
        rows = []
        for pooling, values in zip(poolings, vectors.values, strict=True):
            accuracies = {"ridge": ridge_accuracy(values, vectors.labels, self.folds, groups=vectors.groups)}
            for other, classifier in self.others.items():
                accuracies[other] = accuracy(
                    values, vectors.labels, classifier, self.folds, SEEDS[:1], vectors.groups
                )
            rows.append(Stage(name, str(pooling), accuracies))
        return rows


@dataclass(frozen=True)
class Stage:
    """One row of the table: accuracies (0 to 1) of what one stage of the chain gives."""

    name: str
    pooling: str
    accuracies: Mapping[str, float]
    """By classifier."""


@dataclass(frozen=True)
class ReadoutComparison:
    """Accuracies of ridge from 0 to 1, by pooling grid; raw ones by kind of counting too."""

    features: Mapping[int, float]
    raw: Mapping[tuple[RawKind, int], float]

    @property
    def best_features(self) -> tuple[int, float]:
        """(grid, accuracy) of the best readout on features."""
        return max(self.features.items(), key=lambda item: item[1])

    @property
    def best_raw(self) -> tuple[tuple[RawKind, int], float]:
        """((kind, grid), accuracy) of the best readout on raw events."""
        return max(self.raw.items(), key=lambda item: item[1])

    @property
    def gain(self) -> float:
        """Best accuracy on features less the best on raw events."""
        return self.best_features[1] - self.best_raw[1]


def compare_readouts(
    source: Source,
    model: Model,
    arithmetic: Arithmetic = "float",
    *,
    grids: Sequence[int] = FEATURE_GRIDS,
    raw_grids: Sequence[int] = RAW_GRIDS,
    folds: int = 5,
    progress: Progress = silent,
) -> ReadoutComparison:
    """Accuracy of ridge on feature counts at each grid, and on raw events at each raw grid; one seed.

    The features are frozen and the nearest wins: under learning all win equally often and say little.
    `progress` counts recordings. Raises FeastError if a recording has no label or classes are too small.
    """

    def accuracies(vectors: Vectors) -> list[float]:
        return [
            ridge_accuracy(values, vectors.labels, folds, SEEDS[:1], vectors.groups)
            for values in vectors.values
        ]

    pooled = feature_vectors(
        source, model, [Pooling(grid) for grid in grids], arithmetic=arithmetic, progress=progress
    )
    raw: dict[tuple[RawKind, int], float] = {}
    for kind in RAW_KINDS if raw_grids else ():
        counts = raw_vectors(source, kind, [Pooling(grid) for grid in raw_grids])
        raw |= {(kind, grid): value for grid, value in zip(raw_grids, accuracies(counts), strict=True)}
    return ReadoutComparison(dict(zip(grids, accuracies(pooled), strict=True)), raw)


def poolings(pooling: Pooling) -> tuple[Pooling, Pooling, Pooling]:
    """No place at all, the given grid, and the same grid over fading feature surfaces."""
    surface = replace(pooling, kind="surface", tau_us=SURFACE_TAU_US)
    return Pooling(grid=1, power=pooling.power), pooling, surface


def raw_stages(source: Source, measure: Measure) -> list[Stage]:
    """Raw events, each pixel on its own and pooled, merged and by polarity."""
    stages: list[Stage] = []
    pooling = measure.pooling
    every_pixel = Pooling(grid=min(source.sensor.width, source.sensor.height, 34), power=pooling.power)
    for kind in RAW_KINDS:
        chosen = (every_pixel, pooling) if kind == "merged" else (pooling,)
        vectors = raw_vectors(source, kind, chosen, jobs=measure.jobs)
        stages += measure.stages(f"raw events, {kind}", chosen, vectors)
    return stages


def feature_stages(
    source: Source, model: Model, name: str, measure: Measure, arithmetic: Arithmetic = "float"
) -> list[Stage]:
    """Feature counts of the whole sensor, pooled counts, pooled fading surfaces."""
    chosen = poolings(measure.pooling)
    vectors = feature_vectors(source, model, chosen, arithmetic=arithmetic, jobs=measure.jobs)
    return measure.stages(name, chosen, vectors)
