"""`codegen filter`: what filters leave of recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codegen.errors import FeastError
from host.commands.filter_options import (
    AUTO,
    BackgroundOption,
    CellsOption,
    DownsampleOption,
    HotPixelsOption,
    RefractoryOption,
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
from host.console import count, percent, print_facts, print_json, progress


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("filter")(filter_events)


def filter_events(
    source: SourceArgument,
    hot_pixels: HotPixelsOption = None,
    refractory_us: RefractoryOption = 0,
    background_us: BackgroundOption = 0,
    filter_cells: CellsOption = 0,
    downsample: DownsampleOption = 0,
    save_hot_pixels: Annotated[
        Path | None,
        typer.Option(
            "--save-hot-pixels", metavar="FILE", help="Write the hot pixels, for --hot-pixels elsewhere."
        ),
    ] = None,
    sensor: SensorOption = None,
    skip_bad_events: SkipOption = False,
    as_json: JsonOption = False,
) -> None:
    """Try filters on recordings: what each leaves, what they cost.

    The same options of `codegen train` make them part of a model. A folder with the splits train and test
    is looked at in its train part.

    Example: codegen filter sim:digits --hot-pixels auto --refractory-us 2000 --background-us 5000
    """
    from dataclasses import asdict

    from codegen.filters import Filters
    from host.datasets import open_source
    from host.filtering import measure_filters
    from host.training import training_part

    if save_hot_pixels is not None:
        if hot_pixels is None:
            raise FeastError("--save-hot-pixels: say which with --hot-pixels auto")
        check_output(save_hot_pixels)
    recordings = open_source(source, parse_sensor(sensor), skip_bad_events)
    options = (hot_pixels, refractory_us, background_us, filter_cells, downsample)
    filters = parse_filters(recordings, *options)
    if filters is None and hot_pixels is None:
        raise FeastError("no filter: give --hot-pixels, --refractory-us, --background-us or --downsample")
    found = filters.hot_pixels if filters else ()
    if save_hot_pixels is not None:
        from host.hot_pixels import write_hot_pixels

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
