"""Optional parts of the report's page: noise features, stage table, confusion matrix, Pareto front."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Model
from feast_codegen.host.evaluation.ablation import Measure, Stage, feature_stages, raw_stages
from feast_codegen.host.evaluation.classifiers import HistogramClassifier, confusion, predictions
from feast_codegen.host.evaluation.feature_vectors import feature_vectors, groups_of, labels_of
from feast_codegen.host.evaluation.folds import most_folds
from feast_codegen.host.evaluation.network_size import NOISE_HZ, noise_wins
from feast_codegen.host.evaluation.pooling import Pooling
from feast_codegen.host.progress import Progress, silent
from feast_codegen.host.recordings.open import Source, training_order
from feast_codegen.host.text import count, percent

FOLDS: Final = 5
MOST: Final = 1000
"""Recordings of a larger source that the readouts are fitted to; spread over the classes."""
SAMPLE: Final = 40
"""Recordings in which noise is mixed."""
READ: Final = ("ridge", "KNN")
_POOLING: Final = Pooling(grid=7, overlap=1.5, power=0.3)


@dataclass(frozen=True)
class Cell:
    """One cell of a table; ``share`` from 0 to 1 shades it."""

    text: str
    share: float | None = None
    marked: bool = False


@dataclass(frozen=True)
class Panel:
    """A section with a drawing, a table, or both. ``picture``: inline SVG, empty without one."""

    title: str
    text: str
    head: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    picture: str = ""
    alt: str = ""
    """What the picture shows, in words."""
    matrix: bool = False
    """A table of narrow, shaded cells."""


def noise_panel(model: Model, source: Source) -> tuple[Panel, tuple[bool, ...]]:
    """Which features encode isolated noise; also (features,) flags for their cards."""
    sample = source.pick(training_order(source.labels, 0)[:SAMPLE])
    wins, _ = noise_wins(model, sample, NOISE_HZ)
    flags = wins[1] > wins[0]
    noise_share = float(wins[1][flags].sum() / max(int(wins[1].sum()), 1))
    rows = tuple(
        (Cell(f"feature {n}"), Cell(percent(share, 0), share), Cell(count(int(wins[:, n].sum()))))
        for n in np.flatnonzero(flags)
        for share in [float(wins[1, n] / wins[:, n].sum())]
    )
    text = (
        f"Background events, {NOISE_HZ:g} per pixel and second, were mixed into {len(sample)} recordings. "
        f"A noise feature wins more of them than of the recordings' own events. There are "
        f"{int(flags.sum())} among {flags.size}, and they take {percent(noise_share, 0)} of the noise. "
        f"None: the network is small, all its features are needed for structure; more and more: it is "
        f"larger than it need be."
    )
    return (
        Panel(
            "Features that encode noise", text, ("", "of its wins are noise", "wins") if rows else (), rows
        ),
        tuple(bool(flag) for flag in flags),
    )


def readout_panels(model: Model, source: Source, progress: Progress = silent) -> tuple[Panel, ...]:
    """Stage table and confusion matrix; none without labels or with classes too small."""
    labels = [label for label in source.labels if label is not None]
    if len(labels) < len(source) or len(set(labels)) < 2:
        return ()
    part = source.pick(sorted(training_order(source.labels, 0)[:MOST]))
    if most_folds(labels_of(part), groups_of(part)) < FOLDS:
        return ()
    progress(0, 3)
    measure = Measure(_POOLING, folds=FOLDS)
    stages = raw_stages(part, measure)
    progress(1, 3)
    stages += feature_stages(part, model, "features", measure)
    progress(2, 3)
    vectors = feature_vectors(part, model, [_POOLING], arithmetic="fixed")
    predicted = predictions(
        vectors.values[0], vectors.labels, HistogramClassifier(1.0), FOLDS, groups=vectors.groups
    )
    progress(3, 3)
    return (
        _stage_panel(stages, len(part)),
        _confusion_panel(confusion(vectors.labels, predicted), vectors.labels),
    )


def front_panel(path: Path) -> Panel:
    """The Pareto front that `codegen tune -o` wrote. Raises FeastError for any other file."""
    from feast_codegen.host.evaluation.tune import front_from
    from feast_codegen.host.report.curves import front_names, front_picture, network_name

    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FeastError(f"{path}: no such file; `codegen tune -o {path}` writes one") from None
    except (OSError, ValueError) as error:
        raise FeastError(f"{path}: not a file written by `codegen tune -o`: {error}") from None
    found = front_from(values, str(path))
    rows = tuple(
        (
            Cell(letter),
            Cell(percent(each.quality, 1) if found.objective == "accuracy" else f"{each.quality:.2f}"),
            Cell(count(round(each.cost.instructions))),
            Cell(count(each.cost.ram)),
            Cell(count(each.cost.flash)),
            Cell(network_name(each)),
        )
        for letter, each in front_names(found)
    )
    text = (
        f"{len(found.trials)} networks tried on {found.source}, {len(rows)} of them on the front: none "
        f"other is as good in all of {found.objective}, instructions, RAM and flash, and better in one."
    )
    head = ("", found.objective, "instructions per event", "RAM, bytes", "flash, bytes", "network")
    return Panel(
        "Accuracy/cost front", text, head, rows, front_picture(found), "Quality over instructions per event"
    )


def _stage_panel(stages: list[Stage], recordings: int) -> Panel:
    best = max(stage.accuracies["ridge"] for stage in stages)
    rows = tuple(
        (
            Cell(stage.name),
            Cell(stage.pooling),
            *(
                Cell(
                    percent(stage.accuracies[name], 1),
                    marked=name == "ridge" and stage.accuracies[name] == best,
                )
                for name in READ
            ),
        )
        for stage in stages
    )
    text = (
        f"Accuracy of telling the class, {FOLDS}-fold cross-validated over {count(recordings)} recordings, "
        f"from raw events and from features, of the whole sensor and by place."
    )
    return Panel("Accuracy by stage", text, ("stage", "pooled on", *READ), rows)


def _confusion_panel(matrix: np.ndarray, labels: np.ndarray) -> Panel:
    names = [str(name) for name in np.unique(labels)]
    totals = matrix.sum(axis=1)
    rows = tuple(
        (
            Cell(name),
            *(
                Cell(str(int(number)) if number else "", float(number / total), marked=at == index)
                for at, number in enumerate(row)
            ),
        )
        for index, (name, row, total) in enumerate(zip(names, matrix, totals, strict=True))
    )
    right = float(np.trace(matrix) / matrix.sum())
    text = (
        f"Class of a recording (rows) and what the linear readout takes it for (columns), each by a "
        f"readout fitted to other recordings; features run in integers as on the device. "
        f"{percent(right, 1)} lie on the diagonal."
    )
    return Panel("Confusion matrix", text, ("", *names), rows, matrix=True)
