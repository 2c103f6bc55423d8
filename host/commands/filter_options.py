"""The options that put filters in front of a network, for every command that makes one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from codegen.filters import Filters
    from codegen.sensor import Sensor
    from host.hot_pixels import Pixels
    from host.source import Source

AUTO = "auto"

HotPixelsOption = Annotated[
    str | None,
    typer.Option(
        "--hot-pixels",
        metavar="FILE|auto",
        help="Leave out these camera pixels: a file of lines x y, or those whose rate stands out in SOURCE.",
    ),
]
RefractoryOption = Annotated[
    int,
    typer.Option(
        "--refractory-us", metavar="US", min=0, help="After an event its pixel is deaf for so long; 0: never."
    ),
]
BackgroundOption = Annotated[
    int,
    typer.Option(
        "--background-us",
        metavar="US",
        min=0,
        help="Leave out events without an event of a neighbour within so long before; 0: keep them.",
    ),
]
CellsOption = Annotated[
    int,
    typer.Option(
        "--filter-cells",
        metavar="G",
        min=0,
        help="Both keep one time for 2^G x 2^G camera pixels, which saves RAM.",
    ),
]
DownsampleOption = Annotated[
    int,
    typer.Option(
        "--downsample", metavar="K", min=0, help="A pixel of the network is 2^K x 2^K camera pixels."
    ),
]
NoFiltersOption = Annotated[
    bool,
    typer.Option(
        "--no-filters",
        help="Leave the model's filters out of the C: events come filtered and downsampled already.",
    ),
]

FilterHereOption = Annotated[
    bool,
    typer.Option("--no-filters", help="The device is built without the model's filters: filter here."),
]


def make_camera_filters(
    camera: Sensor,
    refractory_us: int,
    background_us: int,
    filter_cells: int,
    downsample: int,
    hot_pixels: Pixels = (),
) -> Filters | None:
    """Filters of these options, or None if none is asked for; no recording is looked at.

    Raises FeastError for a setting out of range.
    """
    from codegen.filters import make_filters

    return make_filters(
        camera,
        hot_pixels=hot_pixels,
        refractory_us=refractory_us,
        background_us=background_us,
        cell_shift=filter_cells,
        downsample_shift=downsample,
    )


def parse_filters(
    source: Source,
    hot_pixels: str | None,
    refractory_us: int,
    background_us: int,
    filter_cells: int,
    downsample: int,
) -> Filters | None:
    """Filters for the camera of `source`, or None if no option asks for one.

    Hot pixels that are to be found are looked for in its train part. Raises FeastError for a setting out of
    range or a file that holds no pixels.
    """
    from host.console import progress
    from host.hot_pixels import count_events, find_hot_pixels, read_hot_pixels
    from host.training import training_part

    settings = (source.sensor, refractory_us, background_us, filter_cells, downsample)
    make_camera_filters(*settings)  # what is out of range is told before recordings are read
    pixels: Pixels = ()
    if hot_pixels == AUTO:
        with progress("hot pixels: recordings") as report:
            pixels = find_hot_pixels(count_events(training_part(source), report))
    elif hot_pixels is not None:
        pixels = read_hot_pixels(Path(hot_pixels), source.sensor)
    return make_camera_filters(*settings, hot_pixels=pixels)
