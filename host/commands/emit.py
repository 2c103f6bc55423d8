"""`codegen emit`: a model as a C library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from host.commands.filter_options import NoFiltersOption
from host.commands.options import (
    BoardOption,
    JsonOption,
    LearningOption,
    ModelArgument,
    ReadoutOption,
    SelectOption,
    WeightsOption,
    wants_readout,
)
from host.console import count, print_facts, print_json


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(emit)


def emit(
    model: ModelArgument,
    board: BoardOption,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder of the library. [firmware/lib/feast]"),
    ] = None,
    learning: LearningOption = False,
    select: SelectOption = "nearest",
    weights: WeightsOption = "int16",
    readout: ReadoutOption = None,
    no_filters: NoFiltersOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a model as a self-contained C library.

    Example: codegen emit model.npz --board mps2_an386 -o feast
    """
    from codegen.boards import get_board
    from codegen.emit import write
    from codegen.model_file import load_model
    from codegen.options import Options
    from codegen.plan import make_plan
    from codegen.quantise import quantise
    from codegen.render import render
    from host.boards.project import PROJECT

    network = load_model(model)
    options = Options(learning, select, weights, wants_readout(readout, network), not no_filters)
    plan = make_plan(quantise(network)[0], get_board(board), options)
    emission = write(render(plan), output or PROJECT / "lib" / "feast")
    if as_json:
        print_json(
            {
                "board": board,
                "model_id": plan.model_id,
                "build_id": plan.build_id,
                "folder": str(emission.folder),
                "written": emission.written,
                "unchanged": emission.unchanged,
                "removed": emission.removed,
                "ram_bytes": plan.ram_bytes,
                "flash_bytes": plan.flash_bytes,
            }
        )
        return
    print_facts(
        {
            "library": emission.folder,
            "files": f"{len(emission.written)} written, {len(emission.unchanged)} unchanged",
            "features": f"{plan.features}, {'learning' if learning else 'frozen'}"
            + (f", on {plan.channels} frozen ones below" if plan.layers else "")
            + (f", scores of {len(plan.readout.labels)} classes" if plan.readout else ""),
            "state in RAM": f"{count(plan.ram_bytes)} bytes",
            "tables in flash": f"{count(plan.table_bytes)} bytes",
            "model id": plan.model_id,
            "build id": plan.build_id,
        }
    )
