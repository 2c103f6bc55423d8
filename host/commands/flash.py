"""`codegen flash`: build, write to the board, check who answers."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
from host.console import count, note, print_facts, print_json

if TYPE_CHECKING:
    from host.boards.build import BuildResult

MethodName = Literal["pyocd", "openocd", "uf2"]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(flash)


def flash(
    board: BoardOption,
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL", help="Model to emit into the firmware project first. [what is there]"
        ),
    ] = None,
    port: Annotated[
        str | None,
        typer.Option("--port", metavar="PORT", help="Serial port of the board. [that of its probe]"),
    ] = None,
    probe: Annotated[
        str | None,
        typer.Option(
            "--probe", metavar="ID", help="Serial number of the debug probe, or folder of the UF2 drive."
        ),
    ] = None,
    method: Annotated[
        MethodName | None, typer.Option("--method", help="How to flash. [the first the board knows]")
    ] = None,
    learning: LearningOption = False,
    select: SelectOption = "nearest",
    weights: WeightsOption = "int16",
    readout: ReadoutOption = None,
    no_filters: NoFiltersOption = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only print the command that would be run; needs no model or hardware."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Build, flash a real board, and check that it answers with the new model.

    Goes through pyOCD (pip install 'feast-codegen[flash]'), OpenOCD, or a copy to the boot loader's
    drive. The device must answer HELLO with the ids of the model.

    Example: codegen flash --board nrf52840dk model.npz --port /dev/ttyACM0
    """
    from codegen.boards import get_board
    from codegen.errors import FeastError
    from codegen.model_file import load_model
    from codegen.options import Options
    from host.boards.build import build, firmware_path
    from host.boards.flashing import flash as write_flash
    from host.boards.flashing import plan_flashing
    from host.boards.port import find_port, verify_device
    from host.boards.project import PROJECT
    from host.device import emit_for_board

    target = get_board(board)
    plan = plan_flashing(target, firmware_path(target), method, probe)
    if dry_run:
        command = shlex.join(plan.command)
        if as_json:
            print_json({"board": board, "method": plan.method, "command": list(plan.command)})
        else:
            print(command)
        return
    if model is not None:
        network = load_model(model)
        options = Options(learning, select, weights, wants_readout(readout, network), not no_filters)
        emit_for_board(network, target, options)
    elif (learning, select, weights, readout, no_filters) != (False, "nearest", "int16", None, False):
        raise FeastError(
            "--learning, --select, --weights, --readout and --no-filters belong to emission: give MODEL too"
        )
    built = build(target)
    manifest = json.loads((PROJECT / "lib" / "feast" / "manifest.json").read_text(encoding="utf-8"))
    note(f"flash: {shlex.join(plan.command)}")
    write_flash(plan, built.elf, probe)
    serial_port = port or find_port(target)
    hello = verify_device(target, serial_port, manifest["build_id"], int(manifest["state_id"], 16))
    _print_outcome(as_json, board, plan.method, serial_port, built, manifest, hello.clock_fallback)


def _print_outcome(
    as_json: bool,
    board: str,
    method: str,
    port: str,
    built: BuildResult,
    manifest: dict[str, str],
    clock_fallback: bool,
) -> None:
    if as_json:
        print_json(
            {
                "board": board,
                "method": method,
                "port": port,
                "model_id": manifest["model_id"],
                "build_id": manifest["build_id"],
                "state_id": manifest["state_id"],
                "clock_fallback": clock_fallback,
                "flash_bytes": built.flash_bytes,
                "ram_bytes": built.ram_bytes,
            }
        )
        return
    print_facts(
        {
            "flashed": f"{count(built.flash_bytes)} bytes through {method}",
            "answers": f"{port}: build {manifest['build_id']}, state {manifest['state_id']}",
            "model id": manifest["model_id"],
            "clock": "reset clock: the fast one did not come up" if clock_fallback else "as rated",
        }
    )
