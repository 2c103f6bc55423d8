"""What each stage is worth: accuracies from raw events to features in integers, as one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from codegen.model import Arithmetic, Hyperparameters, Model
from host.classifiers import CLASSIFIERS, FOLDS, accuracy
from host.datasets import Source
from host.pooling import Pooling
from host.training import train
from host.vectors import Float64Array, RawKind, Vectors, feature_vectors, raw_vectors

SURFACE_TAU_US: Final = 100_000.0
SEEDS: Final = (0, 1, 2)
"""Of the folds; accuracies are means over them."""


@dataclass(frozen=True)
class Measure:
    """How accuracies are measured: cross-validated readouts of pooled events."""

    pooling: Pooling
    classifiers: tuple[str, ...] = tuple(CLASSIFIERS)
    folds: int = FOLDS
    jobs: int = 1
    """Workers that extract features."""

    def stages(self, name: str, poolings: Sequence[Pooling], vectors: Vectors) -> list[Stage]:
        """A row for each pooling."""
        return [
            Stage(name, str(pooling), self._accuracies(np.asarray(values), vectors.labels))
            for pooling, values in zip(poolings, vectors.values, strict=True)
        ]

    def _accuracies(self, values: Float64Array, labels: npt.NDArray[np.int64]) -> dict[str, float]:
        return {
            each: accuracy(values, labels, each, self.folds, SEEDS if each == "ridge" else SEEDS[:1])
            for each in self.classifiers
        }


@dataclass(frozen=True)
class Stage:
    """One row of the table: accuracies (0 to 1) of what one stage of the chain gives."""

    name: str
    pooling: str
    accuracies: Mapping[str, float]
    """By classifier."""


@dataclass(frozen=True)
class StageTable:
    """Cross-validated accuracies stage by stage."""

    source: str
    recordings: int
    folds: int
    features: str
    stages: tuple[Stage, ...]

    @property
    def best(self) -> tuple[str, float]:
        """(stage and classifier, accuracy) of the best linear readout."""
        return max(
            ((f"{stage.name}, {name}", value) for stage in self.stages for name, value in _linear(stage)),
            key=lambda item: item[1],
        )


def _linear(stage: Stage) -> Iterator[tuple[str, float]]:
    return ((name, value) for name, value in stage.accuracies.items() if name in ("ridge", "logistic"))


def poolings(pooling: Pooling) -> tuple[Pooling, Pooling, Pooling]:
    """No place at all, the given grid, and the same grid over fading feature surfaces."""
    surface = replace(pooling, kind="surface", tau_us=SURFACE_TAU_US)
    return Pooling(grid=1, power=pooling.power), pooling, surface


def raw_stages(source: Source, measure: Measure) -> list[Stage]:
    """Raw events, each pixel on its own and pooled, merged and by polarity."""
    stages: list[Stage] = []
    pooling = measure.pooling
    kinds: tuple[RawKind, ...] = ("merged", "by polarity")
    every_pixel = Pooling(grid=min(source.sensor.width, source.sensor.height, 34), power=pooling.power)
    for kind in kinds:
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


def stage_table(source: Source, params: Hyperparameters, measure: Measure, seed: int = 0) -> StageTable:
    """Train on all of `source` (no labels), merged and separate, float and fixed, and read out.

    The labels serve the readouts alone, by cross-validation. Raises FeastError for recordings
    without labels and classes smaller than the folds.
    """
    stages = raw_stages(source, measure)
    merged = train(source, replace(params, polarity="merged"), seed=seed).model
    stages += feature_stages(source, merged, "features, merged", measure)
    separate = train(source, replace(params, polarity="separate"), seed=seed).model
    stages += feature_stages(source, separate, "features, separate", measure)
    fixed: tuple[tuple[str, Model], ...] = (
        ("the same, run in integers", separate),
        (
            "learned and run in integers",
            train(source, replace(params, polarity="separate"), seed=seed, arithmetic="fixed").model,
        ),
    )
    linear = replace(measure, classifiers=("ridge",))
    for name, model in fixed:
        stages += feature_stages(source, model, name, linear, "fixed")[1:2]
    text = f"{params.neurons} a bank, {params.side}x{params.side}, tau {params.tau_us / 1000:g} ms"
    return StageTable(source.spec, len(source), measure.folds, text, tuple(stages))


def table_text(table: StageTable) -> str:
    """The table in Markdown."""
    names = [name for name in CLASSIFIERS if any(name in stage.accuracies for stage in table.stages)]
    lines = [
        f"| stage | pooling | {' | '.join(names)} |",
        f"|---|---|{'---|' * len(names)}",
    ]
    for stage in table.stages:
        cells = [f"{100 * stage.accuracies[n]:.1f}" if n in stage.accuracies else "" for n in names]
        lines.append(f"| {stage.name} | {stage.pooling} | {' | '.join(cells)} |")
    return "\n".join(lines)
