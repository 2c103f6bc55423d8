"""`codegen emit`: a model as a C library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feast_codegen.host.cli.emission_options import EmitOptions
from feast_codegen.host.cli.option_groups import with_option_groups
from feast_codegen.host.cli.output import print_facts, print_json
from feast_codegen.host.cli.shared_options import (
    BoardOption,
    JsonOption,
    ModelArgument,
)
from feast_codegen.host.text import count


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(emit)


@with_option_groups
def emit(
    model: ModelArgument,
    board: BoardOption,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder of the library. [firmware/lib/PREFIX]"),
    ] = None,
    *,
    emission: EmitOptions,
    as_json: JsonOption = False,
) -> None:
    """Write a model as a self-contained C library.

    Example: codegen emit model.npz --board mps2_an386 -o feast
    """
    from feast_codegen.codegen.boards.board import get_board
    from feast_codegen.codegen.model.file import load_model
    from feast_codegen.host.boards.emit_library import emit_library
    from feast_codegen.host.boards.firmware_project import PROJECT

    network = load_model(model)
    options = emission.options(network)
    folder = output or PROJECT / "lib" / options.prefix
    plan, library = emit_library(network, get_board(board), options, folder)
    if as_json:
        print_json(
            {
                "board": board,
                "model_id": plan.ids.model,
                "build_id": plan.ids.build,
                "folder": str(library.folder),
                "written": library.written,
                "unchanged": library.unchanged,
                "removed": library.removed,
                "ram_bytes": plan.budget.ram,
                "flash_bytes": plan.budget.flash,
            }
        )
        return
    print_facts(
        {
            "library": library.folder,
            "files": f"{len(library.written)} written, {len(library.unchanged)} unchanged",
            "features": ", on ".join(layer.title for layer in reversed(plan.layers))
            + (f", scores of {len(plan.readout.quant.labels)} classes" if plan.readout else ""),
            "state in RAM": f"{count(plan.budget.ram)} bytes",
            "tables in flash": f"{count(plan.budget.tables)} bytes",
            "model id": plan.ids.model,
            "build id": plan.ids.build,
        }
    )
