"""`codegen build`: the firmware of a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from host.commands.filter_options import NoFiltersOption
from host.commands.options import (
    BoardOption,
    JsonOption,
    LearningOption,
    ReadoutOption,
    SelectOption,
    WeightsOption,
    wants_readout,
)
from host.console import count, percent, print_facts, print_json


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(build)


def build(
    board: BoardOption,
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL", help="Model to emit into the firmware project first. [what is there]"
        ),
    ] = None,
    learning: LearningOption = False,
    select: SelectOption = "nearest",
    weights: WeightsOption = "int16",
    readout: ReadoutOption = None,
    no_filters: NoFiltersOption = False,
    driver: Annotated[
        Path | None,
        typer.Option("--driver", metavar="DIR", help="C files that feed events, instead of the serial link."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Build the firmware with PlatformIO.

    The project is the folder firmware/; `pio run -e NAME` there gives the same bytes. The options
    --learning, --select, --weights, --readout and --no-filters are for MODEL.

    Example: codegen build --board mps2_an386 model.npz
    """
    from codegen.boards import get_board
    from codegen.errors import FeastError
    from codegen.model_file import load_model
    from codegen.options import Options
    from host.boards.build import build as build_firmware
    from host.device import emit_for_board

    target = get_board(board)
    if model is not None:
        network = load_model(model)
        options = Options(learning, select, weights, wants_readout(readout, network), not no_filters)
        emit_for_board(network, target, options)
    elif (learning, select, weights, readout, no_filters) != (False, "nearest", "int16", None, False):
        raise FeastError(
            "--learning, --select, --weights, --readout and --no-filters belong to emission: give MODEL too, "
            "or emit with them first"
        )
    built = build_firmware(target, driver=driver)
    if as_json:
        print_json(
            {
                "board": board,
                "elf": str(built.elf),
                "flash_bytes": built.flash_bytes,
                "ram_bytes": built.ram_bytes,
                "stack_reserved_bytes": built.stack_bytes,
                "flash_limit_bytes": target.code.bytes,
                "ram_limit_bytes": target.ram.bytes,
            }
        )
        return
    print_facts(
        {
            "firmware": built.elf,
            "flash": _share(built.flash_bytes, target.code.bytes),
            "RAM": f"{_share(built.ram_bytes + built.stack_bytes, target.ram.bytes)}, "
            f"{count(built.stack_bytes)} of them for the stack",
        }
    )


def _share(used: int, limit: int) -> str:
    return f"{count(used)} of {count(limit)} bytes, {percent(used / limit, 1)}"
