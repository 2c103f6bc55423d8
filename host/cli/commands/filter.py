"""`codegen filter`: what filters leave of recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.cli.filter_options import AUTO, FilterOptions
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
from feast_codegen.host.text import count, percent


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("filter")(filter_events)


@with_option_groups
def filter_events(
    source: SourceArgument,
    *,
    filtering: FilterOptions,
    save_hot_pixels: Annotated[
        Path | None,
        typer.Option(
            "--save-hot-pixels", metavar="FILE", help="Write the hot pixels, for --hot-pixels elsewhere."
        ),
    ] = None,
    sensor: SensorOption = None,
    reading: ReadingOptions,
    as_json: JsonOption = False,
) -> None:
    """Try filters on recordings and show what each of them removes and costs.

    The same options of `codegen train` make them part of a model. If SOURCE is a folder with the
    splits train and test, its train split is read.

    Example: codegen filter sim:digits --hot-pixels auto --refractory-us 2000 --background-activity-us 5000
    """
    from dataclasses import asdict

    from feast_codegen.codegen.model.filters import Filters
    from feast_codegen.host.network.training import training_part
    from feast_codegen.host.recordings.filter_report import measure_filters

    if save_hot_pixels is not None:
        if filtering.hot_pixels is None:
            raise FeastError("--save-hot-pixels: say which with --hot-pixels auto")
        check_output(save_hot_pixels)
    recordings = reading.open(source, parse_sensor(sensor))
    filters = filtering.for_source(recordings)
    hot_pixels = filtering.hot_pixels
    if filters is None and hot_pixels is None:
        raise FeastError(
            "no filter: give --hot-pixels, --refractory-us, --background-activity-us or --downsample"
        )
    found = filters.hot_pixels if filters else ()
    if save_hot_pixels is not None:
        from feast_codegen.host.recordings.hot_pixels import write_hot_pixels

        write_hot_pixels(save_hot_pixels, found, recordings.sensor)
    filters = filters or Filters(recordings.sensor)
    part = training_part(recordings)
    with progress("filter: recordings") as report:
        outcome = measure_filters(filters, part, report)
    if as_json:
        print_json(
            {
                "source": part.spec,
                "camera": str(filters.camera),
                "sensor": str(filters.sensor),
                "hot_pixels": [list(pixel) for pixel in found],
                **asdict(outcome),
                "passed": outcome.passed,
            }
        )
        return
    seconds = outcome.duration_us * 1e-6
    rate = f", {count(round(outcome.events / seconds))} events/s" if seconds else ""
    facts = {"recordings": f"{count(outcome.events)} events of {count(len(part))} recordings{rate}"}
    if hot_pixels is not None and not found:
        facts["hot pixels"] = "none found" if hot_pixels == AUTO else f"none in {hot_pixels}"
    if found:
        shown = " ".join(f"{x},{y}" for x, y in found[:8])
        facts["hot pixels"] = f"{count(len(found))}: {shown}{' ...' if len(found) > 8 else ''}"
    for stage in outcome.stages:
        left = percent(stage.passed / outcome.events, 1)
        facts[f"behind {stage.name}"] = f"{count(stage.passed)} events, {left}"
    facts["network"] = f"{filters.sensor} pixels of a {filters.camera} camera"
    facts["speed"] = f"{outcome.events_per_s / 1e6:.1f} M events/s, all filters, on this machine"
    print_facts(facts)
