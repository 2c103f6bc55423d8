"""What each stage is worth: accuracies from raw events to features in integers, as one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from codegen.model import Arithmetic, Hyperparameters, Model
from host.classifiers import CLASSIFIERS, FOLDS, accuracy
from host.datasets import Source
from host.pooling import Pooling
from host.training import train
from host.vectors import RawKind, Vectors, feature_vectors, raw_vectors

SURFACE_TAU_US: Final = 100_000.0
SEEDS: Final = (0, 1, 2)
"""Of the folds; accuracies are means over them."""


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


def raw_stages(
    source: Source, pooling: Pooling, classifiers: Sequence[str], folds: int, jobs: int = 1
) -> list[Stage]:
    """Raw events, each pixel on its own and pooled, merged and by polarity."""
    stages = []
    kinds: tuple[RawKind, ...] = ("merged", "by polarity")
    every_pixel = Pooling(grid=min(source.sensor.width, source.sensor.height, 34), power=pooling.power)
    for kind in kinds:
        chosen = (every_pixel, pooling) if kind == "merged" else (pooling,)
        vectors = raw_vectors(source, kind, chosen, jobs=jobs)
        for index, each in enumerate(chosen):
            title = f"raw events, {kind}"
            stages.append(_stage(title, each, vectors, index, classifiers, folds))
    return stages


def feature_stages(
    source: Source,
    model: Model,
    name: str,
    pooling: Pooling,
    classifiers: Sequence[str],
    folds: int,
    arithmetic: Arithmetic = "float",
    jobs: int = 1,
) -> list[Stage]:
    """Feature counts of the whole sensor, pooled counts, pooled fading surfaces."""
    chosen = poolings(pooling)
    vectors = feature_vectors(source, model, chosen, arithmetic=arithmetic, jobs=jobs)
    return [_stage(name, each, vectors, index, classifiers, folds) for index, each in enumerate(chosen)]


def stage_table(
    source: Source,
    params: Hyperparameters,
    pooling: Pooling,
    *,
    classifiers: Sequence[str] = tuple(CLASSIFIERS),
    folds: int = FOLDS,
    seed: int = 0,
    jobs: int = 1,
) -> StageTable:
    """Train on all of `source` (no labels), merged and separate, float and fixed, and read out.

    The labels serve the readouts alone, by cross-validation. Raises FeastError for recordings
    without labels and classes smaller than `folds`.
    """
    stages = raw_stages(source, pooling, classifiers, folds, jobs)
    merged = train(source, replace(params, polarity="merged"), seed=seed).model
    stages += feature_stages(source, merged, "features, merged", pooling, classifiers, folds, jobs=jobs)
    separate = train(source, replace(params, polarity="separate"), seed=seed).model
    name = "features, separate"
    stages += feature_stages(source, separate, name, pooling, classifiers, folds, jobs=jobs)
    fixed: tuple[tuple[str, Model], ...] = (
        ("the same, run in integers", separate),
        (
            "learned and run in integers",
            train(source, replace(params, polarity="separate"), seed=seed, arithmetic="fixed").model,
        ),
    )
    for name, model in fixed:
        stages += feature_stages(source, model, name, pooling, ("ridge",), folds, "fixed", jobs)[1:2]
    text = f"{params.neurons} a bank, {params.side}x{params.side}, tau {params.tau_us / 1000:g} ms"
    return StageTable(source.spec, len(source), folds, text, tuple(stages))


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


def _stage(
    name: str, pooling: Pooling, vectors: Vectors, index: int, classifiers: Sequence[str], folds: int
) -> Stage:
    values = np.asarray(vectors.values[index])
    scores = {
        each: accuracy(values, vectors.labels, each, folds, SEEDS if each == "ridge" else SEEDS[:1])
        for each in classifiers
    }
    return Stage(name, str(pooling), scores)
