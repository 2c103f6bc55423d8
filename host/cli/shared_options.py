"""Arguments and options that several commands share, under one name and one meaning."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.model.model import Sensor

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
SensorOption = Annotated[
    str | None,
    typer.Option("--sensor", metavar="WxH", help="Sensor size, for formats that do not carry it."),
]
MaxRecordingsOption = Annotated[
    int | None, typer.Option("--max-recordings", metavar="N", min=1, help="Only the first N recordings.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")]


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
