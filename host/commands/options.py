"""Arguments and options that several commands share, under one name and one meaning."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from codegen.errors import FeastError
from codegen.model import Model, Sensor

SelectName = Literal["nearest", "threshold"]
WeightsName = Literal["int16", "int8"]

ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Model file written by `codegen train`.")
]
SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A file of events, a folder of class folders, tonic:NMNIST?save_to=DIR, or sim:digits, "
        "sim:bars, sim:planes.",
    ),
]
BoardOption = Annotated[
    str, typer.Option("--board", metavar="NAME", help="Target; `codegen boards` lists them.")
]
LearningOption = Annotated[
    bool, typer.Option("--learning", help="Learn on the device: state in RAM instead of const tables.")
]
SelectOption = Annotated[
    SelectName,
    typer.Option("--select", help="Frozen features: the nearest wins, or only those within their threshold."),
]
WeightsOption = Annotated[
    WeightsName,
    typer.Option("--weights", help="Frozen features: int8 halves their tables and costs some agreement."),
]
ReadoutOption = Annotated[
    bool | None,
    typer.Option(
        "--readout/--no-readout",
        show_default=False,
        help="With class scores, or without. [with, if the model has a readout]",
    ),
]
SensorOption = Annotated[
    str | None,
    typer.Option("--sensor", metavar="WxH", help="Sensor size, for formats that do not carry it."),
]
SkipOption = Annotated[
    bool,
    typer.Option(
        "--skip-bad-events", help="Leave out events outside the sensor or back in time, and count them."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")]


def wants_readout(choice: bool | None, model: Model) -> bool:
    """Value of a ``--readout/--no-readout``; raises FeastError if one is asked for and `model` has none."""
    if choice and model.readout is None:
        raise FeastError("--readout: the model has no readout: train it with codegen train --readout")
    return choice is not False


def parse_sensor(text: str | None) -> Sensor | None:
    """Sensor of a `--sensor` value; raises FeastError if it is no size."""
    return None if text is None else Sensor.parse(text)


def check_output(path: Path) -> Path:
    """Return `path` if a file can be written there; raises FeastError now instead of after long work."""
    folder = path.parent
    if path.is_dir():
        raise FeastError(f"{path}: is a folder, expected the name of a file to write")
    if not folder.is_dir():
        raise FeastError(f"{path}: there is no folder {folder} to write it in")
    if not os.access(folder, os.W_OK):
        raise FeastError(f"{path}: the folder {folder} may not be written to")
    return path
