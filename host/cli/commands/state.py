"""`codegen state`: what a device has learned, to a file and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.cli.commands.stream import BaudOption, PortOption
from feast_codegen.host.cli.emission_options import StateOptions
from feast_codegen.host.cli.option_groups import with_option_groups
from feast_codegen.host.cli.output import print_facts, print_json
from feast_codegen.host.cli.shared_options import JsonOption, check_output


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(state)


@with_option_groups
def state(
    port: PortOption,
    model: Annotated[
        Path, typer.Option("--model", metavar="MODEL", help="The model the device was built from.")
    ],
    upload: Annotated[
        Path | None,
        typer.Option("--upload", metavar="MODEL", help="Make the device continue from this model's state."),
    ] = None,
    persist: Annotated[
        bool, typer.Option("--persist", help="Make the device write its state to flash, for the next start.")
    ] = False,
    download: Annotated[
        Path | None,
        typer.Option("--download", metavar="OUT", help="Write what it has learned to a model file."),
    ] = None,
    *,
    emission: StateOptions,
    baud: BaudOption = 115_200,
    as_json: JsonOption = False,
) -> None:
    """Read or replace the learned state of a device.

    Give --select, --weights, --no-readout and --no-filters as the firmware was built with. Uploading needs no
    flashing, only a device built with --learning and a model of the same geometry. With several options, the
    order is upload, persist, download.

    Example: codegen state --port /dev/ttyACM0 --model model.npz --download learned.npz
    """
    from feast_codegen.codegen.model.file import load_model, save_model
    from feast_codegen.host.boards.connect import device_at
    from feast_codegen.host.streaming.learned_state import check_same_geometry, from_words, to_words

    if download is not None:
        check_output(download)
    origin = load_model(model)
    other = load_model(upload) if upload is not None else None
    options = emission.options(origin)
    facts: dict[str, object] = {}
    with (
        device_at(port, model=origin, options=options, baud=baud, either_mode=True) as connect,
        connect() as link,
    ):
        if other is not None:
            check_same_geometry(other, link.hello, origin)
            link.write_state(to_words(other))
        if persist:
            facts["persisted"] = link.persist_state()
        if download is not None:
            learned = from_words(link.read_state(), origin, replace(options, learning=link.hello.learning))
            save_model(learned, download)
            facts["model_id"] = learned.model_id
        elif other is None and not persist and link.hello.uploading:
            raise FeastError("device holds part of an upload only: upload a model, or restart it")
        facts = {"build_id": link.hello.build_id, "state_id": f"{link.hello.state_id:08x}", **facts}
    print_json(facts) if as_json else print_facts(facts)
