"""`codegen size`: how many features a network needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feast_codegen.codegen.model.model import Hyperparameters, Polarity
from feast_codegen.host.cli.option_groups import with_option_groups
from feast_codegen.host.cli.output import print_facts, print_json, progress, write_result
from feast_codegen.host.cli.reading_options import ReadingOptions
from feast_codegen.host.cli.shared_options import (
    JsonOption,
    SensorOption,
    SourceArgument,
    check_output,
    parse_sensor,
)
from feast_codegen.host.text import percent

if TYPE_CHECKING:
    from feast_codegen.host.evaluation.network_size import SizeCurve

_DEFAULTS = Hyperparameters()


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(size)


@with_option_groups
def size(
    source: SourceArgument,
    noise_hz: Annotated[
        float, typer.Option(metavar="HZ", help="Noise events mixed in, per pixel and second.")
    ] = 2.0,
    radius: Annotated[
        int, typer.Option(help="The patch is a square of 2 * radius + 1 pixels a side.")
    ] = _DEFAULTS.radius,
    tau_us: Annotated[
        float, typer.Option(help="Decay of the time surface, microseconds.")
    ] = _DEFAULTS.tau_us,
    polarity: Annotated[
        Polarity, typer.Option(help="One surface, one for each polarity, or one with signs.")
    ] = _DEFAULTS.polarity,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise and of the initial weights.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="JSON to write; a picture .svg goes beside it."),
    ] = None,
    sensor: SensorOption = None,
    *,
    reading: ReadingOptions,
    as_json: JsonOption = False,
) -> None:
    """Recommend how many features a network needs.

    Trains networks of growing size on recordings with noise mixed in, until features encode the noise.

    Example: codegen size sim:digits --radius 2
    """
    from dataclasses import asdict

    from feast_codegen.host.evaluation.network_size import size_curve
    from feast_codegen.host.report.curves import alone, size_picture

    if output is not None:
        check_output(output)
    recordings = reading.open(source, parse_sensor(sensor))
    with progress("size: networks") as report:
        params = Hyperparameters(radius=radius, tau_us=tau_us, polarity=polarity)
        curve = size_curve(recordings, params, noise_hz=noise_hz, seed=seed, progress=report)
    if output is not None:
        write_result(output, json.dumps(asdict(curve), indent=1), alone(size_picture(curve)))
    if as_json:
        print_json(asdict(curve))
    else:
        _print_sizes(curve)


def _print_sizes(curve: SizeCurve) -> None:
    print("N     features  noise features  noise they take  richness  miss rate")
    for point in curve.points:
        print(
            f"{point.features:<5} {point.total_features:<9} {point.noise_features:<15} "
            f"{percent(point.noise_wins, 0):<16} {point.richness:<9.1f} {percent(point.miss_rate)}"
        )
    print_facts({"recommended": f"N = {curve.recommended}: {curve.reason}"})
