"""`codegen demo`: the whole chain on one source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(demo)


def demo(
    source: Annotated[
        str, typer.Argument(metavar="[SOURCE]", help="Recordings to learn from and to show the device.")
    ] = "sim:digits?seed=0&count=400",
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR", help="Folder for the model, the C and the report."),
    ] = Path("demo-out"),
) -> int:
    """Run the whole chain on one source: train, prove, build, run, report.

    Trains a network, compares readouts of its features, emits C, compares it with the integer twin, runs
    recordings on an emulated board, frozen and learning, and writes a report. Exit code 1 if results that
    must be equal are not.

    Example: codegen demo 'sim:digits?count=400' -o demo-out
    """
    from feast_codegen.host.cli.demo import run

    return run(source, output)
