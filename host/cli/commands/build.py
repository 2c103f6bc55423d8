"""`codegen build`: the firmware of a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feast_codegen.host.cli.emission_options import EmissionOptions
from feast_codegen.host.cli.option_groups import with_option_groups
from feast_codegen.host.cli.output import print_facts, print_json
from feast_codegen.host.cli.shared_options import (
    BoardOption,
    JsonOption,
)
from feast_codegen.host.text import count, percent


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(build)


@with_option_groups
def build(
    board: BoardOption,
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL", help="Model to emit into the firmware project first. [what is there]"
        ),
    ] = None,
    *,
    emission: EmissionOptions,
    driver: Annotated[
        Path | None,
        typer.Option("--driver", metavar="DIR", help="C files that feed events, instead of the serial link."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Build the firmware with PlatformIO.

    The project is the folder firmware/; `pio run -e NAME` there gives the same bytes. The options of
    `codegen emit` need MODEL.

    Example: codegen build --board mps2_an386 model.npz
    """
    from feast_codegen.codegen.boards.board import get_board
    from feast_codegen.codegen.model.file import load_model
    from feast_codegen.host.boards.build import build as build_firmware
    from feast_codegen.host.boards.run import build_for_board

    target = get_board(board)
    if model is not None:
        network = load_model(model)
        options = emission.options(network)
        built = build_for_board(network, target, options, driver=driver)[1]
    else:
        emission.require_none("an option of emission: give MODEL too, or emit with it first")
        built = build_firmware(target, driver=driver)
    identity = built.identity
    if as_json:
        print_json(
            {
                "board": board,
                "elf": str(built.elf),
                "build_id": identity.build_id if identity else None,
                "model_id": identity.model_id if identity else None,
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
            **({"build id": identity.build_id, "model id": identity.model_id} if identity else {}),
            "flash": _share(built.flash_bytes, target.code.bytes),
            "RAM": f"{_share(built.ram_bytes + built.stack_bytes, target.ram.bytes)}, "
            f"{count(built.stack_bytes)} of them for the stack",
        }
    )


def _share(used: int, limit: int) -> str:
    return f"{count(used)} of {count(limit)} bytes, {percent(used / limit, 1)}"
