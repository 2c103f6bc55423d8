"""The options that put filters in front of a network, declared once for every command that makes one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.limits import MOST_SHIFT

if TYPE_CHECKING:
    from feast_codegen.codegen.base.sensor import Sensor
    from feast_codegen.codegen.model.filters import Filters
    from feast_codegen.host.recordings.hot_pixels import Pixels
    from feast_codegen.host.recordings.source import Source

AUTO: Final = "auto"
SIDES: Final = tuple(1 << shift for shift in range(MOST_SHIFT + 1))
"""Sides of the squares of camera pixels that are taken together."""


@dataclass(frozen=True)
class FilterOptions:
    """Filters as given on the command line; without any option there are none."""

    hot_pixels: Annotated[
        str | None,
        typer.Option(
            "--hot-pixels",
            metavar="FILE|auto",
            help="Leave out these camera pixels: a file of lines x y; auto: those with an outstanding rate.",
        ),
    ] = None
    refractory_us: Annotated[
        int,
        typer.Option(
            "--refractory-us",
            metavar="US",
            min=0,
            help="Ignore a pixel for this many microseconds after each of its events (0 = off).",
        ),
    ] = 0
    background_activity_us: Annotated[
        int,
        typer.Option(
            "--background-activity-us",
            metavar="US",
            min=0,
            help="Leave out events without a neighbour's event in this many microseconds before (0 = off).",
        ),
    ] = 0
    filter_cells: Annotated[
        int,
        typer.Option(
            "--filter-cells",
            metavar="N",
            help="Both filters keep one time for N x N camera pixels, which saves RAM: 1, 2, 4, ... 64.",
        ),
    ] = 1
    downsample: Annotated[
        int,
        typer.Option(
            "--downsample",
            metavar="N",
            help="A pixel of the network is N x N camera pixels: 1, 2, 4, 8, ... 64.",
        ),
    ] = 1

    max_rate: Annotated[
        int,
        typer.Option(
            "--max-rate",
            metavar="EVENTS/S",
            min=0,
            help="Leave out events beyond this rate, fairly over the sensor (0 = off).",
        ),
    ] = 0
    burst: Annotated[
        int,
        typer.Option(
            "--burst",
            metavar="EVENTS",
            min=0,
            help="Events that --max-rate lets pass at once (0 = 256, or 10 ms of the rate).",
        ),
    ] = 0

    @property
    def given(self) -> bool:
        """Whether any option is given."""
        return self != type(self)()

    def for_camera(self, camera: Sensor, hot_pixels: Pixels = ()) -> Filters | None:
        """The filters for a camera, or None if no option asks for one; no recording is looked at.

        Raises FeastError for a setting out of range.
        """
        from feast_codegen.codegen.model.filters import make_filters

        return make_filters(
            camera,
            hot_pixels=hot_pixels,
            refractory_us=self.refractory_us,
            background_us=self.background_activity_us,
            cell_shift=_shift("--filter-cells", self.filter_cells),
            downsample_shift=_shift("--downsample", self.downsample),
            max_rate=self.max_rate,
            burst=self.burst,
        )

    def for_source(self, source: Source) -> Filters | None:
        """The filters for the camera of `source`, or None if no option asks for one.

        Hot pixels that are to be found are looked for in its train part. Raises FeastError for a setting out
        of range or a file that holds no pixels.
        """
        from feast_codegen.host.cli.output import progress
        from feast_codegen.host.network.training import training_part
        from feast_codegen.host.recordings.hot_pixels import count_events, find_hot_pixels, read_hot_pixels

        self.for_camera(source.sensor)  # a setting out of range is refused before recordings are read
        pixels: Pixels = ()
        if self.hot_pixels == AUTO:
            with progress("hot pixels: recordings") as report:
                pixels = find_hot_pixels(count_events(training_part(source), report))
        elif self.hot_pixels is not None:
            pixels = read_hot_pixels(Path(self.hot_pixels), source.sensor)
        return self.for_camera(source.sensor, pixels)


def _shift(option: str, side: int) -> int:
    """The side of a square as a power of two; raises FeastError for another number."""
    if side not in SIDES:
        raise FeastError(f"{option} {side}: expected {', '.join(map(str, SIDES[:-1]))} or {SIDES[-1]}")
    return side.bit_length() - 1
