"""Recordings to a whole model: features, on a lower layer where there is one, and class scores."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.filters import Filters
from feast_codegen.codegen.model.hyperparameters import ReadoutParameters
from feast_codegen.codegen.model.model import Arithmetic, Hyperparameters, Model, stacked
from feast_codegen.codegen.model.schema import check_hyperparameters
from feast_codegen.host.evaluation.fit_fading import FittedFading, check_fading, fit_fading
from feast_codegen.host.evaluation.fit_readout import FittedReadout, check_readable, fit_readout
from feast_codegen.host.network.training import TrainingResult, train, training_part
from feast_codegen.host.progress import Progress
from feast_codegen.host.recordings.source import Source

Bars = Callable[[str], AbstractContextManager[Progress]]
"""Opens a Progress for a part of the work: ``recordings`` or ``readout``."""


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model and how its parts came about."""

    model: Model
    training: TrainingResult
    """Of the features; its own model has no readout."""
    readout: FittedReadout | FittedFading | None


def check_training(
    params: Hyperparameters, lower: Model | None, has_filters: bool = False
) -> Hyperparameters:
    """`params` as they are trained, on the features of `lower`. Raises FeastError where that cannot be."""
    check_hyperparameters(params)
    if lower is None:
        return params
    if has_filters:
        raise FeastError("filters: the lower layer brings its own filters, a second layer takes none")
    return stacked(lower, params)


def train_model(
    source: Source,
    params: Hyperparameters,
    bars: Bars,
    *,
    epochs: int = 1,
    seed: int = 0,
    until_converged: bool = False,
    arithmetic: Arithmetic = "float",
    lower: Model | None = None,
    filters: Filters | None = None,
    readout_grid: int | None = None,
    fading: ReadoutParameters | None = None,
) -> TrainedModel:
    """Train as `network.training.train`, then fit a readout: class scores of `readout_grid` cells a side, or
    one that fades.

    Raises FeastError for parameters out of range, bad recordings, labels that allow no readout, or if nothing
    could be learned from.
    """
    params = check_training(params, lower, filters is not None)
    part = training_part(source)
    behind = filters.sensor if filters else lower.sensor if lower else None
    if readout_grid is not None:
        check_readable(part, readout_grid, behind)
    if fading is not None:
        check_fading(part, params.total_features, fading, behind)
    with bars("recordings") as progress:
        training = train(
            source,
            params,
            epochs=epochs,
            seed=seed,
            arithmetic=arithmetic,
            lower=lower,
            filters=filters,
            until_converged=until_converged,
            progress=progress,
        )
    if fading is not None:
        with bars("readout") as progress:
            faded = fit_fading(part, training.model, fading, seed=seed, progress=progress)
        return TrainedModel(replace(training.model, readout=faded.readout), training, faded)
    if readout_grid is None:
        return TrainedModel(training.model, training, None)
    with bars("readout") as progress:
        fitted = fit_readout(part, training.model, readout_grid, arithmetic=arithmetic, progress=progress)
    return TrainedModel(replace(training.model, readout=fitted.readout), training, fitted)
