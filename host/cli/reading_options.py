"""The options that say how recordings are read, declared once for every command that takes a source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feast_codegen.host.progress import note
from feast_codegen.host.recordings.reading import OnClockReset, Reading, TimeUnit

if TYPE_CHECKING:
    from feast_codegen.codegen.base.sensor import Sensor
    from feast_codegen.host.recordings.source import Source


_opened: list[Source] = []
"""By the command that runs; readers count while it reads."""


@dataclass(frozen=True)
class ReadingOptions:
    """What a user says about files; the defaults read what says everything about itself."""

    time_unit: Annotated[
        TimeUnit,
        typer.Option("--time-unit", help="Unit of times in text, NumPy and HDF5 files. auto: by the file."),
    ] = "auto"
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="ORDER",
            help="Order of the columns t, x, y and p in files without names, for example xypt.",
        ),
    ] = None
    stream: Annotated[
        str | None,
        typer.Option(
            "--stream", metavar="NAME", help="Which camera, group or source of a file that holds several."
        ),
    ] = None
    accept_truncated: Annotated[
        bool,
        typer.Option("--accept-truncated", help="Read a file that ends within a record up to there."),
    ] = False
    skip_bad_events: Annotated[
        bool,
        typer.Option(
            "--skip-bad-events", help="Leave out events outside the sensor or back in time, and count them."
        ),
    ] = False
    on_clock_reset: Annotated[
        OnClockReset,
        typer.Option(
            "--on-clock-reset",
            help="Where a clock starts again: refuse, make a recording of each stretch, or let time go on.",
        ),
    ] = "error"
    sort_within: Annotated[
        int,
        typer.Option(
            "--sort-within", metavar="US", help="Sort events that are at most this many microseconds late."
        ),
    ] = 0
    max_bad_share: Annotated[
        float,
        typer.Option(
            "--max-bad-share",
            metavar="SHARE",
            help="Refuse a recording with a larger share of bad events, from 0 to 1.",
        ),
    ] = 0.05

    files: Annotated[
        list[str] | None,
        typer.Option(
            "--files",
            metavar="GLOB",
            help="Of a folder only files that match, for example '*.dat'; may be repeated.",
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude", metavar="GLOB", help="Leave out files and folders that match; may be repeated."
        ),
    ] = None
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="Table of labels: file, class and, to cut recordings into segments, start_us, end_us.",
        ),
    ] = None
    split_every: Annotated[
        int | None,
        typer.Option(
            "--split-every", metavar="MS", min=1, help="Cut recordings into pieces of this many milliseconds."
        ),
    ] = None
    groups: Annotated[
        str,
        typer.Option(
            "--groups",
            metavar="RULE",
            help="What cross-validations keep together: auto, file, or a regular expression for names.",
        ),
    ] = "auto"

    def reading(self, sensor: Sensor | None = None) -> Reading:
        """These options as one value, with the size of the sensor where it is known."""
        return Reading(
            sensor=sensor,
            time_unit=self.time_unit,
            columns=self.columns,
            stream=self.stream,
            accept_truncated=self.accept_truncated,
            skip_bad_events=self.skip_bad_events,
            files=tuple(self.files or ()),
            exclude=tuple(self.exclude or ()),
            labels=None if self.labels is None else str(self.labels),
            split_every_ms=self.split_every,
            groups=self.groups,
            on_clock_reset=self.on_clock_reset,
            sort_within_us=self.sort_within,
            max_bad_share=self.max_bad_share,
        )

    def open(self, spec: str, sensor: Sensor | None = None) -> Source:
        """Open the source `spec`; what of it is not read is said on stderr when the command ends.

        Raises FeastError as `open_source` does.
        """
        from feast_codegen.host.recordings.open import open_source

        return remembered(open_source(spec, reading=self.reading(sensor)))


def remembered(source: Source) -> Source:
    """`source`; what of it is not read is said when the command ends."""
    _opened.append(source)
    return source


def has_opened() -> bool:
    """Whether the command has opened recordings."""
    return bool(_opened)


def left_out_values() -> list[dict[str, object]]:
    """What was not read of the sources that a command has opened, for `left_out` of ``--json``."""
    values: list[dict[str, object]] = []
    for source in _opened:
        for value in source.left_out.values():
            if value not in values:
                values.append(value)
    return values


def say_left_out() -> None:
    """Print a line on stderr for each kind of thing that was not read of the sources a command has opened."""
    lines = [f"codegen: {source.spec}: {line}" for source in _opened for line in source.left_out.lines()]
    for line in dict.fromkeys(lines):
        note(line)
    _opened.clear()
