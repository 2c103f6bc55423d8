"""`codegen flash`: build, write to the board, check who answers."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from feast_codegen.host.cli.emission_options import EmissionOptions
from feast_codegen.host.cli.option_groups import with_option_groups
from feast_codegen.host.cli.output import print_facts, print_json
from feast_codegen.host.cli.shared_options import (
    BoardOption,
    JsonOption,
)
from feast_codegen.host.progress import note
from feast_codegen.host.text import count

if TYPE_CHECKING:
    from feast_codegen.host.boards.build import BuildResult

ProgrammerName = Literal["pyocd", "openocd", "uf2"]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(flash)


@with_option_groups
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
    programmer: Annotated[
        ProgrammerName | None,
        typer.Option(
            "--programmer", help="Tool that writes the firmware. [the first one that the board lists]"
        ),
    ] = None,
    *,
    emission: EmissionOptions,
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
    from feast_codegen.codegen.base.errors import FeastError
    from feast_codegen.codegen.boards.board import get_board
    from feast_codegen.codegen.emit.plan import make_plan
    from feast_codegen.codegen.fixed_point.quantise import quantise
    from feast_codegen.codegen.model.file import load_model
    from feast_codegen.host.boards.build import build, firmware_path, own_firmware_path
    from feast_codegen.host.boards.find_port import find_port, verify_device
    from feast_codegen.host.boards.firmware_project import PROJECT
    from feast_codegen.host.boards.flash import flash as write_flash
    from feast_codegen.host.boards.flash import plan_flashing
    from feast_codegen.host.boards.identity import Identity, identity_of_library
    from feast_codegen.host.boards.run import build_for_board

    target, library = get_board(board), PROJECT / "lib" / "feast"
    plan_flashing(target, firmware_path(target), programmer, probe)  # refuses what cannot be before all else
    network = load_model(model) if model is not None else None
    if network is not None:
        options = emission.options(network)
    else:
        emission.require_none("an option of emission: give MODEL too, or emit with it first")
    if dry_run:
        identity = identity_of_library(library)
        if network is not None:
            emitted = make_plan(quantise(network)[0], target, options)
            identity = Identity(emitted.ids.build, emitted.ids.model)
        elf = own_firmware_path(target, identity) if identity else firmware_path(target)
        plan = plan_flashing(target, elf, programmer, probe)
        if as_json:
            print_json({"board": board, "programmer": plan.method, "command": list(plan.command)})
        else:
            print(shlex.join(plan.command))
        return
    if network is not None:
        emitted, built = build_for_board(network, target, options)
        manifest = {"model_id": emitted.ids.model, "build_id": emitted.ids.build}
        manifest["state_id"] = f"{emitted.ids.state:08x}"
    else:
        built = build(target)
        manifest = json.loads((library / "manifest.json").read_text(encoding="utf-8"))
        if built.identity is None or identity_of_library(library) != built.identity:
            raise FeastError(f"{library}: is not what was built: something else wrote there: run it again")
    plan = plan_flashing(target, built.elf, programmer, probe)
    note(f"flash: {shlex.join(plan.command)}")
    write_flash(plan, built.elf, probe)
    serial_port = port or find_port(target)
    build_id, state_id, model_id = (manifest[name] for name in ("build_id", "state_id", "model_id"))
    hello = verify_device(target, serial_port, build_id, int(state_id, 16), model_id=model_id)
    _print_outcome(as_json, board, plan.method, serial_port, built, manifest, hello.clock_fallback)


def _print_outcome(
    as_json: bool,
    board: str,
    programmer: str,
    port: str,
    built: BuildResult,
    manifest: dict[str, str],
    clock_fallback: bool,
) -> None:
    if as_json:
        print_json(
            {
                "board": board,
                "programmer": programmer,
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
            "flashed": f"{count(built.flash_bytes)} bytes through {programmer}",
            "answers": f"{port}: build {manifest['build_id']}, state {manifest['state_id']}",
            "model id": manifest["model_id"],
            "clock": "reset clock: the fast one did not come up" if clock_fallback else "as rated",
        }
    )
