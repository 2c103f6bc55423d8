"""`codegen train`: recordings to a model."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from codegen.errors import FeastError
from codegen.model import Arithmetic, Border, Hyperparameters, Polarity
from host.commands.filter_options import (
    BackgroundOption,
    CellsOption,
    DownsampleOption,
    HotPixelsOption,
    RefractoryOption,
    make_camera_filters,
    parse_filters,
)
from host.commands.options import (
    JsonOption,
    SensorOption,
    SkipOption,
    SourceArgument,
    check_output,
    parse_sensor,
)
from host.console import count, note, percent, print_facts, print_json, progress

if TYPE_CHECKING:
    from host.linear_readout import FittedReadout

DEFAULTS: Final = Hyperparameters()


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(train)


def train(
    source: SourceArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="MODEL", help="Model file to write.")],
    on: Annotated[
        Path | None,
        typer.Option(
            "--on", metavar="MODEL", help="Learn a second layer on the winners of this model, and write both."
        ),
    ] = None,
    neurons: Annotated[int, typer.Option(help="Features per bank.")] = DEFAULTS.neurons,
    radius: Annotated[
        int, typer.Option(help="The context is a square of 2 * radius + 1 pixels.")
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
    seed: Annotated[int, typer.Option(help="Of the initial weights and the order of recordings.")] = 0,
    until_converged: Annotated[
        bool,
        typer.Option(
            "--until-converged", help="Stop once miss rate and thresholds rest; --epochs is the most."
        ),
    ] = False,
    fixed: Annotated[
        bool, typer.Option("--fixed", help="Learn in the integer twin, as the device would.")
    ] = False,
    readout: Annotated[
        bool,
        typer.Option(
            "--readout", help="Fit class scores to the labels, in a second pass; the device then keeps them."
        ),
    ] = False,
    readout_grid: Annotated[
        int | None, typer.Option(metavar="G", help="Cells of the readout: G x G over the sensor. [7]")
    ] = None,
    hot_pixels: HotPixelsOption = None,
    refractory_us: RefractoryOption = 0,
    background_us: BackgroundOption = 0,
    filter_cells: CellsOption = 0,
    downsample: DownsampleOption = 0,
    sensor: SensorOption = None,
    skip_bad_events: SkipOption = False,
    as_json: JsonOption = False,
) -> None:
    """Learn features from recordings, without labels.

    A folder with the splits train and test is learned from its train part. With --on, all options are of the
    second layer; the first stays as it is. With --readout, a linear readout is fitted to the frozen features
    and the labels afterwards.

    Example: codegen train sim:digits -o model.npz --neurons 16 --tau-us 20000
    """
    from dataclasses import asdict

    from codegen.model import stacked
    from codegen.model_file import load_model, save_model
    from codegen.model_schema import check_hyperparameters
    from host.convergence import settled
    from host.datasets import open_source
    from host.linear_readout import GRID, check_readable, fit_readout
    from host.training import train as learn
    from host.training import training_part

    check_output(output)
    params = Hyperparameters(neurons, radius, tau_us, eta, delta_i, delta_e, polarity, border)
    check_hyperparameters(params)
    lower = load_model(on) if on else None
    settings = (refractory_us, background_us, filter_cells, downsample)
    if lower is not None:
        if hot_pixels is not None or any(settings):
            raise FeastError("--on: the lower layer brings its own filters, a second layer takes none")
        params = stacked(lower, params)
    if readout_grid is not None and not readout:
        raise FeastError("--readout-grid belongs to --readout: give both")
    size = parse_sensor(sensor) or (lower.camera if lower else None)
    recordings = open_source(source, size, skip_bad_events)
    grid = GRID if readout_grid is None else readout_grid
    if readout:
        behind = make_camera_filters(recordings.sensor, *settings)
        seen = behind.sensor if behind else lower.sensor if lower else None
        check_readable(training_part(recordings), grid, seen)
    filters = parse_filters(recordings, hot_pixels, *settings)
    arithmetic: Arithmetic = "fixed" if fixed else "float"
    start = time.perf_counter()
    with progress("train: recordings") as report:
        outcome = learn(
            recordings,
            params,
            epochs=epochs,
            seed=seed,
            arithmetic=arithmetic,
            lower=lower,
            filters=filters,
            until_converged=until_converged,
            progress=report,
        )
    if until_converged and not settled(outcome.signals, params):
        note("codegen: not converged within the recordings; more --epochs may help")
    model, fitted = outcome.model, None
    if readout:
        with progress("train: readout") as report:
            fitted = fit_readout(
                training_part(recordings), model, grid, arithmetic=arithmetic, progress=report
            )
        model = replace(model, readout=fitted.readout)
    seconds = time.perf_counter() - start
    save_model(model, output)
    training, signals = model.training, outcome.signals
    if outcome.skipped:
        note(f"codegen: {count(outcome.skipped)} bad events were left out")
    if as_json:
        print_json(
            {
                "model": str(output),
                "model_id": model.model_id,
                "source": training.source,
                "recordings": training.recordings,
                "events": training.events,
                "skipped": outcome.skipped,
                "epochs": training.epochs,
                "features": params.features,
                "channels": params.channels if lower else None,
                "arithmetic": training.arithmetic,
                "filters": asdict(filters) if filters else None,
                "miss_rate": training.miss_rate,
                "law_miss_rate": params.law_miss_rate,
                "threshold_slope": signals.threshold_slope,
                "converged": signals.converged(params),
                "readout": None
                if fitted is None
                else {
                    "grid": fitted.readout.grid,
                    "labels": fitted.readout.labels,
                    "accuracy": fitted.accuracy,
                    "folds": fitted.folds,
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
            "features": f"{params.features} of {params.side}x{params.side} pixels"
            + (f" on {params.channels} features below" if lower else "")
            + f", learned in {'integers' if fixed else 'floating point'}",
            "learned from": f"{count(training.events)} events of {count(training.recordings)} recordings, "
            + training.source,
            **({"behind": str(filters)} if filters else {}),
            "miss rate": f"{percent(training.miss_rate)} at the end, law {percent(params.law_miss_rate)}"
            + ("" if signals.converged(params) else ": not converged, more events or epochs may help"),
        }
        | ({} if fitted is None else {"readout": _readout_text(fitted)})
        | {"time": f"{seconds:.1f} s"}
    )


def _readout_text(fitted: FittedReadout) -> str:
    readout = fitted.readout
    return (
        f"{len(readout.labels)} classes, {readout.grid}x{readout.grid} cells, {percent(fitted.accuracy, 1)} "
        f"{fitted.folds}-fold cross-validated"
    )
