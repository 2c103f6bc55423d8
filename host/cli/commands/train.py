"""`codegen train`: recordings to a model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.limits import MOST_FEATURES_PER_BANK
from feast_codegen.codegen.model.hyperparameters import DEFAULTS
from feast_codegen.codegen.model.model import Arithmetic, Border, Hyperparameters, Polarity
from feast_codegen.host.cli.filter_options import FilterOptions
from feast_codegen.host.cli.option_groups import with_option_groups
from feast_codegen.host.cli.output import print_facts, print_json, progress
from feast_codegen.host.cli.reading_options import ReadingOptions
from feast_codegen.host.cli.shared_options import (
    JsonOption,
    SensorOption,
    SourceArgument,
    check_output,
    parse_sensor,
)
from feast_codegen.host.progress import note
from feast_codegen.host.text import count, percent

if TYPE_CHECKING:
    from feast_codegen.host.evaluation.fit_readout import FittedReadout


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(train)


@with_option_groups
def train(
    source: SourceArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="MODEL", help="Model file to write.")],
    lower_layer: Annotated[
        Path | None,
        typer.Option(
            "--lower-layer",
            metavar="MODEL",
            help="Learn a second layer on the winners of this model, and write both.",
        ),
    ] = None,
    features: Annotated[
        int, typer.Option(min=1, max=MOST_FEATURES_PER_BANK, help="Features per bank.")
    ] = DEFAULTS.features,
    radius: Annotated[
        int, typer.Option(help="The patch is a square of 2 * radius + 1 pixels a side.")
    ] = DEFAULTS.radius,
    tau_us: Annotated[float, typer.Option(help="Decay of the time surface, microseconds.")] = DEFAULTS.tau_us,
    eta: Annotated[float, typer.Option(help="Learning rate of the winner.")] = DEFAULTS.eta,
    delta_i: Annotated[
        float, typer.Option(help="Rise of the winner's threshold on a hit.")
    ] = DEFAULTS.delta_i,
    delta_e: Annotated[float, typer.Option(help="Fall of all thresholds on a miss.")] = DEFAULTS.delta_e,
    polarity: Annotated[
        Polarity, typer.Option(help="One surface, one for each polarity, or one with signs.")
    ] = DEFAULTS.polarity,
    border: Annotated[
        Border, typer.Option(help="Cells outside the sensor read 0, or such events are skipped.")
    ] = DEFAULTS.border,
    epochs: Annotated[int, typer.Option(help="Passes over the recordings.")] = 1,
    seed: Annotated[
        int, typer.Option(help="Seed of the initial weights and of the order of recordings.")
    ] = 0,
    until_converged: Annotated[
        bool,
        typer.Option(
            "--until-converged",
            help="Stop once miss rate and thresholds no longer change, after --epochs at the latest.",
        ),
    ] = False,
    arithmetic: Annotated[
        Arithmetic, typer.Option(help="Learn in floating point, or in integers as the device does.")
    ] = "float",
    readout: Annotated[
        bool,
        typer.Option(
            "--readout", help="Fit class scores to the labels, in a second pass; the device then keeps them."
        ),
    ] = False,
    readout_grid: Annotated[
        int | None, typer.Option(metavar="G", help="Cells of the readout: G x G over the sensor. [7]")
    ] = None,
    *,
    filtering: FilterOptions,
    sensor: SensorOption = None,
    reading: ReadingOptions,
    as_json: JsonOption = False,
) -> None:
    """Learn features from recordings, without labels.

    If SOURCE is a folder with the splits train and test, its train split is used. With --lower-layer, the
    options are those of the second layer; the first stays as it is. With --readout, a linear readout is
    fitted to the frozen features and the labels afterwards.

    Example: codegen train sim:digits -o model.npz --features 16 --tau-us 20000
    """
    from dataclasses import asdict

    from feast_codegen.codegen.model.file import load_model, save_model
    from feast_codegen.host.evaluation.fit_readout import GRID, check_readable
    from feast_codegen.host.evaluation.train_model import check_training, train_model
    from feast_codegen.host.network.convergence import has_converged
    from feast_codegen.host.network.training import training_part

    check_output(output)
    lower = load_model(lower_layer) if lower_layer else None
    given = Hyperparameters(features, radius, tau_us, eta, delta_i, delta_e, polarity, border)
    params = check_training(given, lower, filtering.given)
    if readout_grid is not None and not readout:
        raise FeastError("--readout-grid belongs to --readout: give both")
    size = parse_sensor(sensor) or (lower.camera if lower else None)
    recordings = reading.open(source, size)
    grid = GRID if readout_grid is None else readout_grid
    if readout:
        behind = filtering.for_camera(recordings.sensor)
        seen = behind.sensor if behind else lower.sensor if lower else None
        check_readable(training_part(recordings), grid, seen)
    filters = filtering.for_source(recordings)
    start = time.perf_counter()
    trained = train_model(
        recordings,
        given,
        lambda part: progress(f"train: {part}"),
        epochs=epochs,
        seed=seed,
        until_converged=until_converged,
        arithmetic=arithmetic,
        lower=lower,
        filters=filters,
        readout_grid=grid if readout else None,
    )
    model, outcome, fitted = trained.model, trained.training, trained.readout
    if until_converged and not has_converged(outcome.signals, params):
        note("codegen: not converged within the recordings; more --epochs may help")
    seconds = time.perf_counter() - start
    save_model(model, output)
    training, signals = model.training, outcome.signals
    if as_json:
        print_json(
            {
                "model": str(output),
                "model_id": model.model_id,
                "source": training.source,
                "recordings": training.recordings,
                "events": training.events,
                "epochs": training.epochs,
                "features": params.total_features,
                "channels": params.channels if lower else None,
                "arithmetic": training.arithmetic,
                "filters": asdict(filters) if filters else None,
                "miss_rate": training.miss_rate,
                "law_miss_rate": params.law_miss_rate,
                "threshold_slope": signals.threshold_slope,
                "converged": signals.converged(params),
                "accuracy": fitted.accuracy if fitted else None,
                "readout": None
                if fitted is None
                else {
                    "grid": fitted.readout.grid,
                    "labels": fitted.readout.labels,
                    "accuracy": fitted.accuracy,
                    "folds": fitted.folds,
                    "groups": fitted.groups,
                    "strength": fitted.strength,
                },
                "seconds": round(seconds, 3),
            }
        )
        return
    print_facts(
        {
            "model": output,
            "model id": model.model_id,
            "features": f"{params.total_features} of {params.side}x{params.side} pixels"
            + (f" on {params.channels} features below" if lower else "")
            + f", learned in {'integers' if arithmetic == 'fixed' else 'floating point'}",
            "learned from": f"{count(training.events)} events of {count(training.recordings)} recordings, "
            + training.source,
            **({"behind": str(filters)} if filters else {}),
            "miss rate": f"{percent(training.miss_rate)} at the end, law {percent(params.law_miss_rate)}"
            + ("" if signals.converged(params) else ": not converged, more events or epochs may help"),
        }
        | ({} if fitted is None else {"readout": _readout_text(fitted, training.recordings)})
        | {"time": f"{seconds:.1f} s"}
    )


def _readout_text(fitted: FittedReadout, recordings: int) -> str:
    readout = fitted.readout
    checked = "accuracy unknown: a class comes from one group of recordings alone"
    if fitted.folds:
        over = f" over {count(fitted.groups)} groups" if fitted.groups < recordings else ""
        checked = f"{percent(fitted.accuracy, 1)} {fitted.folds}-fold cross-validated{over}"
    return f"{len(readout.labels)} classes, {readout.grid}x{readout.grid} cells, {checked}"
